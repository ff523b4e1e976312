"""What the README shows works: its examples run, its commands and options exist."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from gymagine.generative.arithmetic import acting_arithmetic

README = Path(__file__).parent.parent / "README.md"
pytestmark = pytest.mark.skipif(not README.is_file(), reason="runs beside the source tree")


def blocks(language):
    text = README.read_text(encoding="utf-8") if README.is_file() else ""
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


COMMANDS = sorted(
    {
        line.partition("#")[0].strip()
        for block in blocks("bash")
        for line in block.splitlines()
        if line.startswith("gymagine ")
    }
)


def test_the_python_example_runs(capsys):
    example = blocks("python")[0]
    exec(compile(example, "README.md", "exec"), {})
    learned, _, optimum, _, bound = capsys.readouterr().out.split()
    assert float(optimum) == pytest.approx(0.5420259320, abs=1e-8)
    assert float(learned) == pytest.approx(float(optimum), abs=0.05)
    assert float(bound) <= 1e-8


@pytest.mark.slow  # the export alone takes ten seconds
def test_the_deep_example_runs(tmp_path, monkeypatch):
    onnxruntime = pytest.importorskip("onnxruntime")
    monkeypatch.chdir(tmp_path)
    example = blocks("python")[1]
    found = {}
    exec(compile(example, "README.md", "exec"), found)
    members = found["population"].members
    assert [(agent.seed, agent.num_timesteps) for agent in members] == [
        (seed, 2_000) for seed in range(10)
    ]
    at_a_stretch = found["Population"](
        found["DQN"], "CartPole-v1", seeds=10, double=True, learning_starts=500
    )
    at_a_stretch.learn(2_000).save("stretch.safetensors")
    found["population"].save("parts.safetensors")
    assert Path("stretch.safetensors").read_bytes() == Path("parts.safetensors").read_bytes()
    observations = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    session = onnxruntime.InferenceSession("policy.onnx")
    (actions,) = session.run(None, {"observation": observations})
    wanted, _ = members[0].predict(observations, deterministic=True)
    assert (actions == wanted).all()


@pytest.mark.slow
def test_the_generative_example_runs():
    example = blocks("python")[2]
    found = {}
    exec(compile(example, "README.md", "exec"), found)
    assert found["flow"].sample(5).shape == (5, 2)
    with acting_arithmetic(1):
        log_prob = found["flow"].log_prob(found["moons"].test.x).mean()
    assert float(log_prob) > -1.9  # a full Gaussian's


@pytest.mark.slow
def test_the_example_of_dreams_runs():
    example = blocks("python")[3]
    found = {}
    exec(compile(example, "README.md", "exec"), found)
    training = found["found"]
    assert training.agent.num_timesteps == 5_000
    assert len(training.data) == 2_000
    assert training.fits[0].error < 0.1 * training.fits[0].copying_error
    assert len(blocks("python")) == 4


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_and_their_options_exist(command):
    words = command.split()
    name = words[1:3] if words[1] == "train" and not words[2].startswith("-") else words[1:2]
    result = subprocess.run(
        [sys.executable, "-m", "gymagine", *name, "--help"], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    for word in words:
        if word.startswith("--"):
            assert word in result.stdout


@pytest.mark.parametrize(
    "link", re.findall(r"\]\(([^)#:]+)\)", README.read_text()) if README.is_file() else []
)
def test_links_lead_somewhere(link):
    assert (README.parent / link).exists()
