"""Ids, specs and environments become environments; anything else is told what is wrong."""

import copy

import gymnasium
import pytest
from gymagine.envs.environments import make_env, step_cap
from gymnasium import wrappers


def test_an_environment_is_returned_as_it_is():
    env = gymnasium.make("FrozenLake-v1")
    assert make_env(env) is env


@pytest.mark.parametrize("env", ["CliffWalking-v1", gymnasium.spec("CliffWalking-v1")])
def test_ids_and_specs_make_one(env):
    assert make_env(env).spec.id == "CliffWalking-v1"


def test_a_spec_keeps_its_options():
    spec = copy.deepcopy(gymnasium.spec("FrozenLake-v1"))  # the registry keeps its own
    spec.kwargs = {"map_name": "8x8"}
    assert make_env(spec).observation_space.n == 64


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Frozenlake-v1", "got 'Frozenlake-v1'; did you mean FrozenLake-v1"),
        ("Taxi-v3", "deprecated. Please use `Taxi-v4`"),
        ("not an id!", "Malformed environment ID"),
        ("no_such_module:Thing-v0", "No module named 'no_such_module'"),
        ("NoSuchSpace/Qqqqq-v0", "Namespace NoSuchSpace not found"),
    ],
)
def test_an_unknown_name_is_a_value_error(name, message):
    with pytest.raises(ValueError, match=message):
        make_env(name)


def test_the_least_time_limit_caps_the_steps():
    env = gymnasium.make("CliffWalking-v1")
    assert step_cap(env) is None
    env = wrappers.TimeLimit(wrappers.RecordEpisodeStatistics(wrappers.TimeLimit(env, 5)), 8)
    assert step_cap(env) == 5
    assert step_cap(gymnasium.make("FrozenLake-v1")) == 100
