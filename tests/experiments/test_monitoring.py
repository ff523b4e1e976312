import json
import signal
import subprocess
import sys
import urllib.request

import pytest
from gymagine.experiments.monitoring import serve
from gymagine.experiments.training import train


def test_tensorboard_serves_the_runs(tmp_path):
    settings = {"total_timesteps": 500, "evaluation_episodes": 0}
    train("q-learning", "FrozenLake-v1", folder=tmp_path, **settings)
    command = [sys.executable, "-m", "gymagine", "monitor", str(tmp_path), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        address = process.stdout.readline().split(": ", 1)[1].split()[0]
        for _ in range(100):
            with urllib.request.urlopen(f"{address}data/plugin/scalars/tags", timeout=10) as page:
                tags = json.load(page)
            if tags:
                break
        ((run, found),) = tags.items()
        assert run.startswith("FrozenLake-v1/q-learning/0-")
        assert {"eval/mean_reward", "eval/exact_return", "time/fps"} <= set(found)
    finally:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 0 and "Traceback" not in errors


def test_a_folder_is_needed(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected a folder of runs"):
        serve(tmp_path / "nothing")
