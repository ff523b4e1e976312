import dataclasses
from dataclasses import dataclass

import pytest
import tyro
from gymagine.agents.deep import A2CConfig, DQNConfig, REINFORCEConfig
from gymagine.experiments.catalogue import AGENTS, agent_class
from gymagine.experiments.commands.options import documented


@dataclass(frozen=True)
class Config:
    """Of nobody."""

    size: int = 3
    """How large it is, as ``info["size"]`` or
    (see `Config`) as its text says,
    or not."""
    plain: bool = False

    def __post_init__(self):
        if self.size < 1:
            raise ValueError("expected a size of at least 1")


@dataclass(frozen=True)
class Larger(Config):
    """Of nobody's heir."""

    more: float = 0.5
    """One line."""


def told(config, capsys):
    with pytest.raises(SystemExit):
        tyro.cli(documented(config), args=["--help"])
    return " ".join(capsys.readouterr().out.replace("│", "").split())


def test_a_field_tells_its_docstring_in_one_paragraph(capsys):
    text = told(Larger, capsys)
    assert 'How large it is, as info["size"] or (see Config) as its text says, or not.' in text
    assert "One line. (default: 0.5)" in text


def test_values_are_those_of_the_config_and_checked_only_there():
    parsed = tyro.cli(documented(Larger), args=["--size", "0", "--plain"])
    assert dataclasses.asdict(parsed) == {"size": 0, "plain": True, "more": 0.5}


@pytest.mark.parametrize("config", [A2CConfig, DQNConfig, REINFORCEConfig])
def test_every_hyper_parameter_of_a_deep_agent_is_told(config):
    shown = documented(config)
    assert dataclasses.asdict(shown()) == dataclasses.asdict(config())
    for field in dataclasses.fields(shown):
        (about,) = field.type.__metadata__[-1:]
        assert about.help.endswith(".") and "`" not in about.help and "  " not in about.help


@pytest.mark.parametrize("agent", [name for name, entry in AGENTS.items() if entry.kind != "peer"])
def test_every_agent_can_be_shown(agent):
    config = agent_class(agent).Config
    assert dataclasses.asdict(documented(config)()) == dataclasses.asdict(config())
