"""Importing registers names only; making finds them."""

import subprocess
import sys

import gymnasium
import pytest
from gymagine.envs.registration import ENVIRONMENT_IDS, register_environments


def test_registering_twice_changes_nothing():
    register_environments()
    before = {name: gymnasium.spec(name) for name in ENVIRONMENT_IDS}
    register_environments()
    assert all(gymnasium.spec(name) is spec for name, spec in before.items())


def test_another_s_registration_is_left_alone():
    register_environments()
    spec = gymnasium.spec("gymagine/Cliff-v0")
    try:
        gymnasium.registry[spec.id] = gymnasium.envs.registration.EnvSpec(id=spec.id)
        register_environments()
        assert gymnasium.spec(spec.id) is not spec
    finally:
        gymnasium.registry[spec.id] = spec


@pytest.mark.parametrize("env_id", ENVIRONMENT_IDS)
def test_entry_points_are_names_and_every_id_is_made(env_id):
    register_environments()
    spec = gymnasium.spec(env_id)
    assert isinstance(spec.entry_point, str)
    assert isinstance(spec.vector_entry_point, str)
    env = gymnasium.make(env_id)
    assert env.spec.max_episode_steps == spec.max_episode_steps
    assert env.unwrapped.mdp.name
    assert gymnasium.make(env.spec).observation_space == env.observation_space
    listed = gymnasium.make(env_id, render_mode="rgb_array_list")
    listed.reset(seed=0)
    assert len(listed.render()) == 1


def test_registering_imports_nothing_heavy():
    code = (
        "import sys, gymnasium; before = set(sys.modules);"
        "from gymagine.envs.registration import register_environments; register_environments();"
        "new = set(sys.modules) - before;"
        "heavy = ('numba', 'scipy', 'torch', 'stable_baselines3', 'matplotlib', 'PIL', 'pygame');"
        "print(sorted(m for m in new if m.split('.')[0] in heavy or 'textbook' in m))"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert printed.strip() == "[]"


def test_documentation_of_an_entry_point_is_its_models():
    from gymagine.envs.textbook.gambler import Gambler, GamblerVector, gambler

    assert Gambler.__doc__ == GamblerVector.__doc__ == gambler.__doc__
