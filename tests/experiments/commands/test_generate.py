"""``gymagine generate`` under PyTorch's launcher."""

import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest
from gymagine.storage import read_arrays

WORDS = ["--batch-size", "64", "--log-interval", "5", "--checkpoint-every", "5"]


def started(folder, family, words, **environment):
    command = [sys.executable, "-m", "gymagine", "generate", family, "moons", *WORDS]
    return subprocess.Popen(
        [*command, *words, "--folder", folder],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def both(folder, family, *words):
    """What two processes in a group say, what they complain of, and their exit codes."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = str(free.getsockname()[1])
    place = {"WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": port}
    processes = [started(folder, family, words, RANK=str(i), **place) for i in range(2)]
    said = [process.communicate(timeout=180) for process in processes]
    return (
        [text for text, _ in said],
        [text for _, text in said],
        [p.returncode for p in processes],
    )


def generator_in(folder):
    (path,) = folder.rglob("generator.safetensors")  # of one run
    return read_arrays(path, expected_format="gymagine-generator-1")[0]


@pytest.mark.slow
@pytest.mark.parametrize("family", ["nice", "autoencoder"])
def test_two_processes_leave_the_run_of_one(family, tmp_path):
    words = ["--num-updates", "10", "--no-measure"]
    out, errors, codes = both(tmp_path / "two", family, *words)
    assert codes == [0, 0], errors
    assert out[1] == "" == errors[1]
    assert out[0].startswith(f"{family} on moons, 10 updates")
    alone = started(tmp_path / "one", family, words)
    alone.communicate(timeout=120)
    expected, found = (generator_in(tmp_path / name) for name in ("one", "two"))
    assert expected.keys() == found.keys()
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-5, atol=1e-6)
    (folder,) = (tmp_path / "two" / "moons" / family).iterdir()
    assert json.loads((folder / "status.json").read_text())["status"] == "finished"
    assert len(list(folder.glob("events.out.tfevents.*"))) == 1
    rows = (folder / "metrics.csv").read_text().splitlines()
    alone_rows = next((tmp_path / "one").rglob("metrics.csv")).read_text().splitlines()
    assert len(rows) == len(alone_rows)
    assert (folder / "samples.png").exists()


@pytest.mark.slow
def test_a_batch_that_cannot_be_shared_leaves_no_run(tmp_path):
    _, errors, codes = both(tmp_path / "two", "nice", "--batch-size", "63")
    assert codes == [2, 2]
    assert "expected a batch_size that 2 processes share equally, got 63" in errors[0]
    assert not list(tmp_path.rglob("config.json"))
