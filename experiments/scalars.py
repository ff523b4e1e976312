"""A run's scalars: Stable-Baselines3's logger, writing to TensorBoard and to ``metrics.csv``.

The tags are those that people look for (``rollout/ep_rew_mean``, ``eval/mean_reward``,
``time/fps``, ``train/learning_rate``), and the x axis is ``time/total_timesteps``.

A run that is resumed at step t writes a new event file that tells TensorBoard to forget what
earlier files said of steps after t, and drops the same rows of ``metrics.csv``.
"""

from __future__ import annotations

import csv
import io
import logging
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from stable_baselines3.common.logger import (
    HumanOutputFormat,
    KVWriter,
    Logger,
    TensorBoardOutputFormat,
)

from ..storage import write_text

if TYPE_CHECKING:
    from torch.utils.tensorboard import FileWriter

    from .episode_video import Film

__all__ = [
    "MetricsFile",
    "open_logger",
    "read_rows",
    "record_film",
    "record_hyperparameters",
    "run_logger",
]

_STEP = "time/total_timesteps"

_log = logging.getLogger(__name__)


class MetricsFile(KVWriter):
    """``metrics.csv``: one line per dump of the logger, a column per tag, blank where absent.

    Each line is written at once, so that a killed process leaves at most its last line torn, which
    `read_rows` passes over. A tag that is new in the middle of a run makes the file be written
    anew with one column more.

    Args:
        path: The file.
        keep_until: Keep the rows up to this step; None begins a new file.
    """

    def __init__(self, path: Path, *, keep_until: int | None = None) -> None:
        self._path = path
        self._columns: list[str] = [_STEP]
        rows = [] if keep_until is None else read_rows(path)
        self._rewrite([row for row in rows if row[_STEP] <= (keep_until or 0)])

    def write(
        self,
        key_values: dict[str, Any],
        key_excluded: dict[str, tuple[str, ...]],
        step: int = 0,
    ) -> None:
        """Append one line; see `KVWriter.write`. What is no number is passed over."""
        row: dict[str, int | float] = {_STEP: step}
        for key, value in key_values.items():
            if "csv" not in key_excluded[key] and isinstance(value, int | float | np.number):
                row[key] = value.item() if isinstance(value, np.number) else value
        if len(row) == 1:
            return
        if not row.keys() <= set(self._columns):
            self._rewrite([*read_rows(self._path), row])
            return
        with open(self._path, "a", encoding="utf-8", newline="") as file:
            file.write(_lines([row], self._columns))

    def close(self) -> None:
        """Nothing is open between two lines."""

    def _rewrite(self, rows: list[dict[str, int | float]]) -> None:
        tags = {key for row in rows for key in row}
        self._columns += sorted(tags - set(self._columns))
        write_text(self._path, ",".join(self._columns) + "\n" + _lines(rows, self._columns))


def read_rows(path: Path) -> list[dict[str, int | float]]:
    """The rows of a metrics file, each without the tags that it leaves blank.

    A torn last line, of a process that was killed, is left out; no file is no rows.
    """
    if not path.is_file():
        return []
    rows = []
    try:
        text = path.read_text(encoding="utf-8")
        whole = text[: text.rfind("\n") + 1]
        for row in csv.DictReader(io.StringIO(whole)):
            rows.append({key: _number(key, value) for key, value in row.items() if value})
    except (ValueError, TypeError, csv.Error) as error:
        raise ValueError(
            f"expected the scalars of a run, got {path}, which is damaged ({error})"
        ) from error
    return [row for row in rows if _STEP in row]


def open_logger(
    folder: Path, *, resumed_at: int | None = None, console: bool = False, events: bool = True
) -> Logger:
    """The logger of a run.

    Args:
        folder: The run's folder.
        resumed_at: The step of the checkpoint that the run goes on from, or None for a new run.
        console: Also print every dump as a table.
        events: Write TensorBoard's event files.
    """
    formats: list[KVWriter] = [MetricsFile(folder / "metrics.csv", keep_until=resumed_at)]
    if events:
        formats.append(_event_file(folder, resumed_at))
    if console:
        formats.append(HumanOutputFormat(sys.stdout))
    return Logger(folder=str(folder), output_formats=formats)


@contextmanager
def run_logger(
    folder: Path, *, resumed_at: int | None = None, console: bool = False
) -> Iterator[Logger]:
    """`open_logger`, closed in the end; on a full disk the first error is the one that is told.

    TensorBoard writes in a thread of its own, whose end would otherwise be told as a traceback.
    """
    before = threading.excepthook

    def tell(arguments: threading.ExceptHookArgs) -> None:
        if type(arguments.thread).__name__ != "_AsyncWriterThread":
            before(arguments)
            return
        _log.warning("TensorBoard's file could not be written: %s", arguments.exc_value)

    threading.excepthook = tell
    logger = open_logger(folder, resumed_at=resumed_at, console=console)
    try:
        yield logger
    except BaseException:
        try:
            logger.close()
        except OSError as error:
            _log.warning("the run's scalars are not complete: %s", error)
        raise
    else:
        logger.close()
    finally:
        threading.excepthook = before


def record_hyperparameters(logger: Logger, hyperparameters: Mapping[str, Any]) -> None:
    """Put a run on TensorBoard's HParams page, beside the last values of its scalars.

    Only the session is written, not the definition of an experiment that Stable-Baselines3's and
    PyTorch's loggers write with each run: of several TensorBoard takes the first, and shows no
    columns of agents that have other hyper-parameters. Without it the columns are those of all
    runs, and those that differ between them come first.

    Args:
        logger: The run's.
        hyperparameters: By name; what is no number, flag or text is shown as text.
    """
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams import metadata
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionStartInfo

    start = SessionStartInfo(start_time_secs=time.time())
    for key, value in hyperparameters.items():
        shown = start.hparams[key]
        if isinstance(value, bool):
            shown.bool_value = value
        elif isinstance(value, int | float):
            shown.number_value = value
        else:
            shown.string_value = _text(value)
    about = metadata.create_summary_metadata(HParamsPluginData(session_start_info=start))
    page = Summary(value=[Summary.Value(tag=metadata.SESSION_START_INFO_TAG, metadata=about)])
    for writer in _event_writers(logger):
        writer.add_summary(page)


def record_film(logger: Logger, tag: str, film: Film, *, step: int) -> None:
    """Put a moving picture on TensorBoard's page of images.

    Args:
        logger: The run's.
        tag: Its title.
        film: The picture.
        step: Environment steps that the agent had taken.
    """
    from tensorboard.compat.proto.summary_pb2 import Summary

    image = Summary.Image(
        width=film.width, height=film.height, colorspace=3, encoded_image_string=film.content
    )
    for writer in _event_writers(logger):
        writer.add_summary(Summary(value=[Summary.Value(tag=tag, image=image)]), step)


def _event_writers(logger: Logger) -> Iterator[FileWriter]:
    for output in logger.output_formats:
        if isinstance(output, TensorBoardOutputFormat):
            writer: Any = output.writer.file_writer  # PyTorch's annotation says None only
            yield writer


def _event_file(folder: Path, resumed_at: int | None) -> TensorBoardOutputFormat:
    from torch.utils.tensorboard import SummaryWriter

    output = TensorBoardOutputFormat(str(folder))
    if resumed_at is not None:
        output.writer.close()
        output.writer = SummaryWriter(log_dir=str(folder), purge_step=resumed_at + 1)
    return output


def _lines(rows: list[dict[str, int | float]], columns: list[str]) -> str:
    text = io.StringIO()
    csv.DictWriter(text, columns, restval="", lineterminator="\n").writerows(rows)
    return text.getvalue()


def _text(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _number(key: str, text: str) -> int | float:
    return int(text) if key == _STEP else float(text)
