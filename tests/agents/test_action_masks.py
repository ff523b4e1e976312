"""What may be said of allowed actions, and what is refused."""

import gymnasium
import numpy as np
import pytest
from gymagine.agents.action_masks import (
    allows_all,
    choice_sizes,
    flat_mask,
    mask_rows,
    masks_of_batch,
)
from gymagine.agents.deep.a2c import A2C
from gymagine.agents.deep.dqn import DQN
from gymagine.agents.random_policy import RandomPolicy
from gymagine.agents.tabular.q_learning import QLearning
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv


def test_sizes_are_those_that_gymnasium_samples_under():
    for space in (spaces.Discrete(4), spaces.MultiDiscrete([3, 2]), spaces.MultiBinary(2)):
        sizes = choice_sizes(space)
        one_each = tuple(np.eye(size, dtype=np.int8)[-1] for size in sizes)
        mask = one_each[0] if isinstance(space, spaces.Discrete) else one_each
        if isinstance(space, spaces.MultiBinary):
            mask = np.ones(2, dtype=np.int8)  # its own masks mean something else
        assert space.contains(space.sample(mask))
        assert flat_mask(one_each).sum() == len(sizes)
    assert choice_sizes(spaces.Box(-1, 1)) == ()


def test_rows_of_masks():
    masks = [{"action_mask": np.array([0, 1, 1])}, {"other": 1}, {"action_mask": [True, False, 0]}]
    assert mask_rows(masks).tolist() == [[False, True, True], [True] * 3, [True, False, False]]
    assert mask_rows([{}]) is None
    assert mask_rows([{}], 3) is None
    with pytest.raises(ValueError, match=r"of 3 entries, got 2"):
        mask_rows([*masks, {"action_mask": [1, 1]}])
    with pytest.raises(ValueError, match=r"of 5 entries, got 3"):
        mask_rows(masks, 5)


def test_masks_of_a_batch():
    assert masks_of_batch([1, 0], 3, (2,)).tolist() == [[True, False]] * 3
    pair = (np.array([0, 1]), np.array([1, 1, 0]))
    assert masks_of_batch(pair, 1, (2, 3)).tolist() == [[False, True, True, True, False]]
    with pytest.raises(ValueError, match=r"shape \(2,\) or \(3, 2\), got \(3,\)"):
        masks_of_batch([1, 0, 1], 3, (2,))
    with pytest.raises(ValueError, match="none in row 1 of 2"):
        masks_of_batch([[1, 0], [0, 0]], 2, (2,))
    with pytest.raises(ValueError, match="none in row 0 of 1"):
        masks_of_batch([1, 1, 0, 0, 0], 1, (2, 3))  # the second choice has nothing


def test_each_choice_is_looked_at():
    rng = np.random.default_rng(0)
    masks, sizes = rng.random((200, 9)) < 0.4, (4, 2, 3)
    expected = [all(part.any() for part in np.split(row, np.cumsum(sizes)[:-1])) for row in masks]
    assert allows_all(masks, sizes).tolist() == expected
    assert 0 < sum(expected) < 200


@pytest.mark.parametrize("agent", [DQN, A2C, RandomPolicy, QLearning])
def test_an_agent_that_may_do_nothing_says_so(agent):
    one = agent("Taxi-v4", seed=0)
    if agent is QLearning:
        one.learn(10)
    with pytest.raises(ValueError, match="allows an action, got none in row 0"):
        one.predict(3, action_mask=np.zeros(6, dtype=np.int8))
    assert one.predict(3, action_mask=np.eye(6, dtype=np.int8)[4])[0] == 4


class Corridor(gymnasium.Env):
    """Two steps long; forbids everything from a given step on, and where it ends."""

    observation_space = spaces.Box(0, 9, (1,))

    def __init__(self, action_space, stuck_at=9):
        self.action_space, self.stuck_at, self.taken = action_space, stuck_at, []

    def seen(self):
        allowed = self.at < min(self.stuck_at, 2)
        masks = tuple(
            np.eye(size, dtype=np.int8)[-1] * allowed for size in choice_sizes(self.action_space)
        )
        mask = masks[0] if len(masks) == 1 else masks
        return np.array([self.at], dtype=np.float32), {"action_mask": mask}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.at = 0
        return self.seen()

    def step(self, action):
        self.at += 1
        self.taken.append(np.asarray(action).tolist())
        observation, info = self.seen()
        return observation, 1.0, self.at == 2, False, info


@pytest.mark.parametrize("mode", [None, *AutoresetMode])
@pytest.mark.parametrize("space", [spaces.Discrete(3), spaces.MultiDiscrete([3, 2])])
def test_masks_of_whole_episodes(space, mode):
    inner = []

    def make(stuck_at=9):
        inner.append(Corridor(space, stuck_at))
        return inner[-1]

    def world(stuck_at=9):
        if mode is None:
            return make(stuck_at)
        return SyncVectorEnv([lambda: make(9), lambda: make(stuck_at)], autoreset_mode=mode)

    kind = DQN if isinstance(space, spaces.Discrete) else A2C
    settings = {"learning_starts": 4, "batch_size": 4} if kind is DQN else {}
    if mode is None and kind is A2C:
        settings = {"num_envs": 1}
    kind(world(), seed=0, hidden_sizes=(8,), **settings).learn(40)
    only = [2] if kind is A2C else 2
    last = [2, 1] if kind is A2C else only
    assert len(inner[0].taken) >= 20
    assert all(action == last for one in inner for action in one.taken)
    with pytest.raises(ValueError, match="to allow an action while the episode goes on"):
        kind(world(1), seed=0, hidden_sizes=(8,), **settings).learn(40)
