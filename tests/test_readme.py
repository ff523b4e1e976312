"""What the README shows works: its example runs, its commands and options exist."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

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
    (example,) = blocks("python")
    exec(compile(example, "README.md", "exec"), {})
    learned, _, optimum, _, bound = capsys.readouterr().out.split()
    assert float(optimum) == pytest.approx(0.5420259320, abs=1e-8)
    assert float(learned) == pytest.approx(float(optimum), abs=0.05)
    assert float(bound) <= 1e-8


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
