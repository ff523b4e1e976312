"""A population's environments tell what single ones do, in every autoreset mode."""

import json

import gymnasium
import numpy as np
import pytest
from gymagine.agents.deep.member_steps import EnvironmentSteps, VectorMemberSteps
from gymagine.agents.deep.observation_leaves import ObservationLeaves
from gymnasium.vector import AutoresetMode, SyncVectorEnv

ROWS, ROUNDS, SEEDS = 3, 90, [5, 11, 2]
ENVIRONMENTS = ["CartPole-v1", "Blackjack-v1", "FrozenLake-v1"]


def single(env_id, choices=()):
    env = gymnasium.make(env_id, max_episode_steps=7)
    return EnvironmentSteps([env], ObservationLeaves(env.observation_space), choices)


def vector(env_id, mode, choices=()):
    makers = [lambda: gymnasium.make(env_id, max_episode_steps=7)] * ROWS
    env = SyncVectorEnv(makers, autoreset_mode=mode)
    leaves = ObservationLeaves(env.single_observation_space)
    return VectorMemberSteps(env, leaves, choices)


def action_of(row, turn):
    return (7 * row + 3 * turn + turn // 4) % 2


def lived(steps, seeds, first_row=0):
    """For every row its transitions, each with the observation it began from."""
    steps.reset(seeds)
    told = [[] for _ in seeds]
    for _ in range(ROUNDS):
        before = [tuple(leaf[row].tolist() for leaf in steps.leaves) for row in range(len(seeds))]
        actions = [action_of(first_row + row, len(told[row])) for row in range(len(seeds))]
        found = steps.step(np.array(actions))
        for row in range(len(seeds)):
            if not found.taken[row]:
                assert found.rewards[row] == 0
                assert not (found.terminated[row] or found.truncated[row])
                continue
            after = tuple(leaf[row].tolist() for leaf in found.next_leaves)
            ends = (bool(found.terminated[row]), bool(found.truncated[row]))
            told[row].append((before[row], actions[row], found.rewards[row], *ends, after))
    return told


@pytest.mark.parametrize("mode", AutoresetMode)
@pytest.mark.parametrize("env_id", ENVIRONMENTS)
def test_rows_are_single_environments(env_id, mode):
    together = lived(vector(env_id, mode), SEEDS)
    for row, seed in enumerate(SEEDS):
        (alone,) = lived(single(env_id), [seed], row)
        assert len(together[row]) > ROUNDS // 3
        assert together[row] == alone[: len(together[row])]
        assert any(truncated or terminated for *_, terminated, truncated, _ in together[row])


@pytest.mark.parametrize("mode", AutoresetMode)
def test_masks_are_those_of_the_observation(mode):
    env = gymnasium.make("Taxi-v4").unwrapped
    for steps in (vector("Taxi-v4", mode, (6,)), single("Taxi-v4", (6,))):
        rows = steps.num_rows
        steps.reset(SEEDS[:rows])
        for turn in range(40):
            for row in range(rows):
                expected = env.action_mask(int(steps.leaves[0][row])).astype(bool)
                assert steps.masks[row].tolist() == expected.tolist()
            found = steps.step(np.full(rows, turn % 6))
            for row in np.flatnonzero(found.taken):
                expected = env.action_mask(int(found.next_leaves[0][row])).astype(bool)
                assert found.next_masks[row].tolist() == expected.tolist()


@pytest.mark.parametrize("mode", AutoresetMode)
def test_restored_environments_go_on_alike(mode):
    for make in (lambda: vector("CartPole-v1", mode), lambda: single("CartPole-v1")):
        steps = make()
        rows = steps.num_rows
        steps.reset(SEEDS[:rows])
        for turn in range(20):
            steps.step(np.full(rows, turn % 2))
        other = make()
        other.restore(json.loads(json.dumps(steps.states())))
        for turn in range(30):
            one, same = (x.step(np.full(rows, turn % 2)) for x in (steps, other))
            np.testing.assert_array_equal(one.next_leaves[0], same.next_leaves[0])
            np.testing.assert_array_equal(one.taken, same.taken)


def test_leaves_are_not_written_over():
    makers = [lambda: gymnasium.make("CartPole-v1")] * 2
    env = SyncVectorEnv(makers, copy=False)
    steps = VectorMemberSteps(env, ObservationLeaves(env.single_observation_space))
    steps.reset([0, 1])
    before = steps.leaves[0]
    kept = before.copy()
    steps.step(np.array([0, 1]))
    np.testing.assert_array_equal(before, kept)


class Broken(gymnasium.ObservationWrapper):
    def observation(self, observation):
        return self.spoil(observation)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda seen: seen * np.nan, "finite numbers in observations"),
        (lambda seen: seen[:2], r"of shape \(B, \*\(4,\)\)"),
    ],
)
def test_what_cannot_be_learnt_from_is_refused(spoil, message):
    env = Broken(gymnasium.make("CartPole-v1", disable_env_checker=True))
    env.spoil = lambda seen: seen
    steps = EnvironmentSteps([env], ObservationLeaves(env.observation_space))
    steps.reset([0])
    env.spoil = spoil
    with pytest.raises(ValueError, match=message):
        steps.step(np.array([0]))


def test_masks_of_a_wrong_length_are_refused():
    with pytest.raises(ValueError, match="of 5 entries, got 6"):
        single("Taxi-v4", (5,)).reset([0])
