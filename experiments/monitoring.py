"""TensorBoard on a folder of runs: curves, value maps and HParams in a browser."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

__all__ = ["monitor", "serve"]


def serve(folder: str | os.PathLike[str], *, host: str = "localhost", port: int = 6006) -> str:
    """Start TensorBoard in this process and return its address.

    Args:
        folder: The folder of runs.
        host: What to listen on.
        port: 0 takes any free one.

    Raises:
        FileNotFoundError: There is no such folder.
        OSError: The port is taken.
    """
    from tensorboard.program import TensorBoard, TensorBoardServerException

    path = Path(folder)
    if not path.is_dir():
        raise FileNotFoundError(f"expected a folder of runs at {path}, found none")
    board = TensorBoard()
    board.configure(
        argv=["tensorboard", "--logdir", str(path), "--host", host, "--port", str(port)]
    )
    try:
        address: str = board.launch()
    except TensorBoardServerException as error:
        raise OSError(f"TensorBoard cannot listen on {host}:{port}: {error}") from error
    return address


def monitor(folder: str | os.PathLike[str], *, host: str = "localhost", port: int = 6006) -> None:
    """Serve TensorBoard until Ctrl-C; see `serve`."""
    address = serve(folder, host=host, port=port)
    sys.stdout.write(f"TensorBoard on {folder}: {address} (Ctrl-C closes it)\n")
    sys.stdout.flush()
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        sys.stdout.write("\n")
