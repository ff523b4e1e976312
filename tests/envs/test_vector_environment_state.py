"""A restored vector environment goes on as the captured one does."""

import json

import gymnasium
import numpy as np
import pytest
from gymagine.envs.mdp import TabularMDP
from gymagine.envs.tabular_vector_env import TabularVectorEnv
from gymagine.envs.vector_environment_state import capture_vector, restore_vector
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv


def tabular(mode, copies=3):
    mdp = TabularMDP.from_env("FrozenLake-v1")
    return TabularVectorEnv(mdp, copies, autoreset_mode=mode, max_episode_steps=6)


def sync(env_id):
    def make(mode, copies=3):
        makers = [lambda: gymnasium.make(env_id, max_episode_steps=6)] * copies
        return SyncVectorEnv(makers, autoreset_mode=mode)

    return make


def go_on(env, num_steps, ended=None):
    """What the environment does from here; copies are reset by mask where it does not itself."""
    seen = []
    ended = np.zeros(env.num_envs, dtype=bool) if ended is None else ended
    for turn in range(num_steps):
        if env.metadata["autoreset_mode"] is AutoresetMode.DISABLED and ended.any():
            observations, _ = env.reset(options={"reset_mask": ended})
            seen.append(observations)
        batch = env.step(np.full(env.num_envs, turn % 2))
        ended = batch[2] | batch[3]
        seen.append(batch[:4])
    return seen, ended


def assert_same(first, second):
    for one, other in zip(first, second, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("mode", AutoresetMode)
@pytest.mark.parametrize(
    "make",
    [tabular, sync("FrozenLake-v1"), sync("Blackjack-v1"), sync("CartPole-v1")],
    ids=["tabular", "FrozenLake-v1", "Blackjack-v1", "CartPole-v1"],
)
def test_it_goes_on_alike(make, mode):
    env = make(mode)
    env.reset(seed=4)
    _, ended = go_on(env, 5)
    state = json.loads(json.dumps(capture_vector(env)))
    other = make(mode)
    restore_vector(other, state)
    assert_same(go_on(env, 40, ended)[0], go_on(other, 40, ended)[0])


def test_a_drawn_ahead_generator_is_kept():
    """300 steps are more than are drawn at once."""
    env = tabular(AutoresetMode.SAME_STEP)
    env.reset(seed=0)
    go_on(env, 100)
    other = tabular(AutoresetMode.SAME_STEP)
    restore_vector(other, capture_vector(env))
    assert_same(go_on(env, 300)[0], go_on(other, 300)[0])


def test_what_is_not_known_is_not_captured():
    class Secret(gymnasium.Wrapper):
        """Might remember anything."""

    env = SyncVectorEnv([lambda: Secret(gymnasium.make("FrozenLake-v1"))])
    env.reset(seed=0)
    assert capture_vector(env) is None
    processes = AsyncVectorEnv([lambda: gymnasium.make("FrozenLake-v1")])
    assert capture_vector(processes) is None
    processes.close()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda mode: tabular(mode, 2), r"expected a TabularVectorEnv of 3 copies, mode"),
        (
            sync("FrozenLake-v1"),
            r"expected a TabularVectorEnv of 3 copies, .* got \('SyncVectorEnv'",
        ),
    ],
)
def test_other_environments_are_refused(make, message):
    env = tabular(AutoresetMode.NEXT_STEP)
    env.reset(seed=0)
    with pytest.raises(ValueError, match=message):
        restore_vector(make(AutoresetMode.NEXT_STEP), capture_vector(env))


def test_another_format_is_refused():
    with pytest.raises(ValueError, match=r"expected a state of format .* got 'x'"):
        restore_vector(tabular(AutoresetMode.NEXT_STEP), {"format": "x"})


@pytest.mark.parametrize("make", [tabular, sync("FrozenLake-v1")])
def test_another_mode_or_another_memory_is_refused(make):
    env = make(AutoresetMode.NEXT_STEP)
    env.reset(seed=0)
    state = capture_vector(env)
    with pytest.raises(ValueError, match=r"mode NextStep, got .*SameStep"):
        restore_vector(make(AutoresetMode.SAME_STEP), state)
    state["values"]["step"] = 1
    with pytest.raises(ValueError, match=r"expected what .* remembers, got .*step"):
        restore_vector(make(AutoresetMode.NEXT_STEP), state)
