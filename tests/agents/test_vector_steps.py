"""The transitions of vector environments are those of single ones, in every autoreset mode."""

import gymnasium
import numpy as np
import pytest
from gymagine.agents.vector_steps import VectorSteps, info_of_copy
from gymagine.envs.mdp import TabularMDP
from gymagine.envs.tabular_vector_env import TabularVectorEnv
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.vector.utils import iterate
from gymnasium.wrappers.vector import DictInfoToList, RecordEpisodeStatistics

MODES = list(AutoresetMode)
COPIES, ROUNDS, SEED = 3, 120, 5


def sync(env_id, mode, **options):
    makers = [lambda: gymnasium.make(env_id, max_episode_steps=7)] * COPIES
    return SyncVectorEnv(makers, autoreset_mode=mode, **options)


def plain(value):
    if isinstance(value, tuple):
        return tuple(plain(part) for part in value)
    return np.asarray(value).tolist()


def action_of(copy, turn, num_actions):
    return (7 * copy + 3 * turn + turn // 4) % num_actions


def from_single(env_id, copy, num_transitions):
    """What one environment does when it is reset as soon as an episode ends."""
    env = gymnasium.make(env_id, max_episode_steps=7)
    seen, turn = [], 0
    observation, _ = env.reset(seed=SEED + copy)
    while len(seen) < num_transitions:
        action = action_of(copy, turn, env.action_space.n)
        following, reward, terminated, truncated, _ = env.step(action)
        seen.append((plain(observation), action, reward, terminated, truncated, plain(following)))
        turn += 1
        observation = following
        if terminated or truncated:
            observation, _ = env.reset()
    return seen


def from_vector(env):
    """The same, read through `VectorSteps`."""
    steps = VectorSteps(env)
    space = env.observation_space
    batch, _ = steps.reset(SEED)
    now = [plain(one) for one in iterate(space, batch)]
    seen, turns = [[] for _ in range(COPIES)], [0] * COPIES
    for _ in range(ROUNDS):
        actions = [action_of(c, turns[c], env.single_action_space.n) for c in range(COPIES)]
        found = steps.step(np.array(actions))
        following = [plain(one) for one in iterate(space, found.next_observations)]
        first = [plain(one) for one in iterate(space, found.first_observations)]
        for copy in range(COPIES):
            if found.taken[copy]:
                seen[copy].append(
                    (
                        now[copy],
                        actions[copy],
                        found.rewards[copy],
                        found.terminated[copy],
                        found.truncated[copy],
                        following[copy],
                    )
                )
                turns[copy] += 1
                now[copy] = following[copy]
            if found.begun[copy]:
                now[copy] = first[copy]
    return seen


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("env_id", ["FrozenLake-v1", "Blackjack-v1", "CartPole-v1"])
@pytest.mark.parametrize("copying", [True, False])
def test_transitions_are_those_of_single_environments(env_id, mode, copying):
    for copy, seen in enumerate(from_vector(sync(env_id, mode, copy=copying))):
        assert len(seen) >= ROUNDS // 3
        ends = sum(terminated or truncated for *_, terminated, truncated, _ in seen)
        assert ends > 10
        lost = ROUNDS - len(seen)  # a copy that waits for the next step takes no action in it
        assert lost in ((ends, ends - 1) if mode is AutoresetMode.NEXT_STEP else (0,))
        assert seen == from_single(env_id, copy, len(seen))


@pytest.mark.parametrize("mode", MODES)
def test_the_same_for_our_own_vector_environment(mode):
    mdp = TabularMDP.from_env("FrozenLake-v1")
    ours = TabularVectorEnv(mdp, COPIES, autoreset_mode=mode, max_episode_steps=7)
    makers = [lambda: gymnasium.wrappers.TimeLimit(tabular(mdp), 7)] * COPIES
    assert from_vector(ours) == from_vector(SyncVectorEnv(makers, autoreset_mode=mode))


def tabular(mdp):
    from gymagine.envs.tabular_env import TabularEnv

    return TabularEnv(mdp)


@pytest.mark.parametrize("wrap", [lambda env: env, RecordEpisodeStatistics, DictInfoToList])
@pytest.mark.parametrize("mode", MODES)
def test_infos_are_those_of_the_step(mode, wrap):
    env = wrap(sync("Taxi-v4", mode))
    steps = VectorSteps(env)
    _, infos = steps.reset(SEED)
    masks = [info_of_copy(infos, copy)["action_mask"] for copy in range(COPIES)]
    assert all(mask.shape == (6,) for mask in masks)
    singles = [gymnasium.make("Taxi-v4", max_episode_steps=7) for _ in range(COPIES)]
    for copy, single in enumerate(singles):
        single.reset(seed=SEED + copy)
    for turn in range(7):
        found = steps.step(np.full(COPIES, turn % 4))
        for copy, single in enumerate(singles):
            expected = single.step(turn % 4)[4]
            assert found.info(copy)["action_mask"].tolist() == expected["action_mask"].tolist()
            assert found.info(copy)["prob"] == expected["prob"]
    assert found.truncated.all()


def test_nested_and_absent_infos():
    infos = {
        "a": np.array([1, 2]),
        "_a": np.array([True, False]),
        "b": {"c": np.array([3.0, 4.0]), "_c": np.array([True, True])},
        "_b": np.array([False, True]),
        "d": np.array(["x", "y"]),
    }
    assert info_of_copy(infos, 0) == {"a": 1, "d": "x"}
    assert info_of_copy(infos, 1) == {"b": {"c": 4.0}, "d": "y"}
    assert info_of_copy([{"a": 1}, {"b": 2}], 1) == {"b": 2}


def test_infos_of_all_copies_are_each_ones():
    infos = {"speed": 3.0, "note": "slow", "stats": {"mean": 2.0}, "one": np.array(1)}
    assert info_of_copy(infos, 1) == infos


def test_an_undeclared_mode_is_refused():
    env = sync("FrozenLake-v1", AutoresetMode.NEXT_STEP)
    env.metadata = {}
    with pytest.raises(ValueError, match=r"declares metadata\['autoreset_mode'\], got None"):
        VectorSteps(env)


@pytest.mark.parametrize("mode", ["next_step", 3, None])
def test_an_unknown_mode_is_refused(mode):
    env = sync("FrozenLake-v1", AutoresetMode.NEXT_STEP)
    env.metadata = {"autoreset_mode": mode}
    with pytest.raises(ValueError, match=r"declares metadata\['autoreset_mode'\], got"):
        VectorSteps(env)


class Lacking(TabularVectorEnv):
    """Does not say all that Gymnasium's own vector environments say."""

    lacks = ""

    def step(self, actions):
        *outcome, infos = super().step(actions)
        return *outcome, {key: value for key, value in infos.items() if self.lacks not in key}


def test_the_info_of_a_beginning_is_not_taken_for_that_of_the_last_step():
    mdp = TabularMDP.from_env("FrozenLake-v1")
    env = Lacking(mdp, COPIES, autoreset_mode=AutoresetMode.SAME_STEP, max_episode_steps=1)
    env.lacks = "final_info"
    steps = VectorSteps(env)
    steps.reset(SEED)
    found = steps.step(np.zeros(COPIES, dtype=np.int64))
    assert found.begun.all() and "prob" in info_of_copy(found.first_infos, 0)
    assert found.info(0) == {}


def test_a_last_observation_that_is_not_told_is_missed():
    mdp = TabularMDP.from_env("FrozenLake-v1")
    env = Lacking(mdp, COPIES, autoreset_mode=AutoresetMode.SAME_STEP, max_episode_steps=1)
    env.lacks = "final_obs"
    steps = VectorSteps(env)
    steps.reset(SEED)
    with pytest.raises(ValueError, match=r"expected infos\['final_obs'\] of copy 0"):
        steps.step(np.zeros(COPIES, dtype=np.int64))


def test_a_reset_may_write_over_what_the_step_returned():
    class Thrifty(TabularVectorEnv):
        """Keeps one buffer of each kind."""

        def reset(self, *, seed=None, options=None):
            observations, infos = super().reset(seed=seed, options=options)
            for buffer in getattr(self, "buffers", ()):
                buffer[:] = 0
            return observations, infos

        def step(self, actions):
            observations, *self.buffers, infos = super().step(actions)
            return observations, *self.buffers, infos

    certain = TabularMDP.from_outcomes([[[(1.0, 0, 2.5, True)]]])
    steps = VectorSteps(Thrifty(certain, 2, autoreset_mode=AutoresetMode.DISABLED))
    steps.reset(SEED)
    found = steps.step(np.zeros(2, dtype=np.int64))
    assert found.rewards.tolist() == [2.5, 2.5]
    assert found.terminated.all() and found.begun.all()


def test_seeds_of_copies_reach_those_who_take_them():
    seeds = [11, 5, 7]
    first, _ = VectorSteps(sync("CartPole-v1", MODES[0])).reset(seeds)
    expected = [gymnasium.make("CartPole-v1").reset(seed=seed)[0] for seed in seeds]
    assert np.array_equal(first, np.stack(expected))
    own = gymnasium.make_vec("CartPole-v1", COPIES, vectorization_mode="vector_entry_point")
    first, _ = VectorSteps(own).reset(seeds)
    assert np.array_equal(first, own.reset(seed=11)[0])
