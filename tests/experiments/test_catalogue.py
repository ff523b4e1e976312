import dataclasses

import pytest
from gymagine.agents.agent import AbstractAgent
from gymagine.experiments.catalogue import (
    AGENTS,
    agent_class,
    find_agent,
    known_agents,
    suggestion,
)


@pytest.mark.parametrize("name", AGENTS)
def test_every_entry_is_an_agent_of_that_name(name):
    agent = agent_class(name)
    assert issubclass(agent, AbstractAgent)
    assert agent.name == name
    assert dataclasses.is_dataclass(agent.Config)
    agent.Config()  # every hyper-parameter has a default


@pytest.mark.parametrize(
    ("wrong", "near"),
    [
        ("q-lerning", "q-learning"),
        ("Q-Learning", "q-learning"),
        ("qlearning", "q-learning"),
        ("sarsa_lambda", "sarsa-lambda"),
        ("valueiteration", "value-iteration"),
        ("sb3:dqm", "sb3:dqn"),
    ],
)
def test_wrong_names_get_a_suggestion(wrong, near):
    with pytest.raises(ValueError, match=rf"unknown agent '{wrong}'; did you mean {near}\?"):
        find_agent(wrong)


def test_hopeless_names_get_the_list():
    with pytest.raises(ValueError, match="gymagine list agents"):
        find_agent("xyzzy")
    assert suggestion("xyzzy", AGENTS) == ""


def test_missing_libraries_are_named(monkeypatch):
    monkeypatch.setattr(
        "gymagine.experiments.catalogue.find_spec",
        lambda module: None if module == "sb3_contrib" else object(),
    )
    with pytest.raises(ValueError, match="pip install sb3-contrib"):
        find_agent("sb3-contrib:qrdqn")
    names = [entry.name for entry in known_agents()]
    assert "sb3:dqn" in names and "sb3-contrib:qrdqn" not in names


def test_a_comparison_takes_agents_of_other_modules(tmp_path):
    from gymagine.experiments.comparison import compare

    place = "gymagine.agents.random_policy:RandomPolicy"
    comparison = compare("FrozenLake-v1", place, seeds=1, folder=tmp_path, jobs=1)
    assert [run.status for run in comparison.runs] == ["finished"]


def test_agents_of_other_modules_are_found_by_place():
    place = "gymagine.agents.random_policy:RandomPolicy"
    assert agent_class(place) is agent_class("random")
    with pytest.raises(ValueError, match=r"random_policy has no agent Nothing"):
        agent_class("gymagine.agents.random_policy:Nothing")
