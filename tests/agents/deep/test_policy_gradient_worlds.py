"""Agents with policies in worlds of every kind of space, and in every kind of vector of them."""

import gymnasium
import numpy as np
import pytest
from gymagine.agents.deep.a2c import A2C
from gymagine.agents.deep.reinforce import REINFORCE
from gymagine.envs import probes
from gymnasium import spaces

SHARED = {"discount": 0.5, "learning_rate": 1e-2, "optimiser": "adam", "hidden_sizes": (16,)}
AGENTS = {"a2c": (A2C, {}), "reinforce": (REINFORCE, {"episodes_per_update": 4})}
NEXT, SAME, DISABLED = gymnasium.vector.AutoresetMode


def others_slow(names, *fast):
    """All pairs with an agent are tried in the whole suite, some in the fast one too."""
    return pytest.mark.parametrize(
        ("agent", "name"),
        [
            pytest.param(agent, name, marks=[] if (agent, name) in fast else [pytest.mark.slow])
            for agent in AGENTS
            for name in names
        ],
    )


@pytest.fixture(autouse=True)
def quick(without_shape_checks):
    """The parts are checked elsewhere."""


class Told(gymnasium.Env):
    """One step: the right action is what the observation says; others pay less or nothing.

    Args:
        observations: Of what is seen; `seen` makes an observation of a number from 0.
        actions: Of what can be done; `right` makes the best action of the number.
        masks: Whether infos forbid all but the right action and the first.
    """

    def __init__(self, observations, actions, seen, right, *, masks=False):
        self.observation_space, self.action_space = observations, actions
        self._seen, self._right, self._masks = seen, right, masks
        self._number = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._number = int(self.np_random.integers(2))
        return self._seen(self._number), self._info()

    def step(self, action):
        assert action in self.action_space, action
        right = np.asarray(self._right(self._number))
        if self._masks:
            assert action in (0, right), "a forbidden action"
        if isinstance(self.action_space, spaces.Box):
            share = 1 - float(np.mean((action - right) ** 2))
        else:
            share = float(np.mean(action == right))
        return self._seen(self._number), share, True, False, self._info()

    def _info(self):
        if not self._masks:
            return {}
        allowed = np.zeros(self.action_space.n, np.int8)
        allowed[[0, self._right(self._number)]] = 1
        return {"action_mask": allowed}


def frame(number):
    picture = np.zeros((10, 10, 1), np.uint8)
    picture[5 * number : 5 * number + 5] = 255
    return picture


_ONE_HOT = spaces.Discrete(2, start=3)
_SEEN = {"_ONE_HOT": lambda number: number + 3}


def _told(actions, right, observations=_ONE_HOT, seen=_SEEN["_ONE_HOT"], **settings):
    return lambda: Told(observations, actions, seen, right, **settings)


WORLDS = {
    "a start elsewhere": _told(spaces.Discrete(3, start=-2), lambda number: number - 1),
    "several choices": _told(
        spaces.MultiDiscrete([2, 3], start=[1, -1]), lambda number: [1 + number, 1 - number]
    ),
    "yes and no": _told(spaces.MultiBinary(3), lambda number: [number, 1 - number, 1]),
    "masks": _told(spaces.Discrete(50), lambda number: 20 + number, masks=True),
    "a dictionary": _told(
        spaces.Discrete(2),
        lambda number: number,
        spaces.Dict(a=spaces.Discrete(2), b=spaces.Tuple([spaces.Box(-1, 1, (2,))])),
        lambda number: {"a": 0, "b": (np.full(2, number, np.float32),)},
    ),
    "frames": _told(
        spaces.Discrete(2), lambda number: number, spaces.Box(0, 255, (10, 10, 1), np.uint8), frame
    ),
    "numbers in a shape": _told(
        spaces.Box(-1, 1, (1, 2), np.float32), lambda number: np.full((1, 2), number - 0.5)
    ),
}


@others_slow(
    WORLDS,
    *(("a2c", name) for name in WORLDS if name != "frames"),
    ("reinforce", "masks"),
    ("reinforce", "several choices"),
)
def test_spaces_and_masks(agent, name):
    cls, settings = AGENTS[agent]
    learnt = cls(WORLDS[name], seed=1, num_envs=4, **SHARED | settings).learn(2_000)
    assert learnt.episode_returns.mean() > (0.7 if name == "numbers in a shape" else 0.85)
    observation = learnt.observation_space.sample()
    assert learnt.predict(observation)[0] in learnt.action_space


@others_slow([NEXT, SAME, DISABLED], ("a2c", NEXT), ("reinforce", NEXT))
def test_a_copy_of_a_vector_environment_each(agent, name):
    cls, settings = AGENTS[agent]
    env = gymnasium.vector.SyncVectorEnv([probes.policy_probe] * 4, autoreset_mode=name)
    learnt = cls(env, seed=1, **SHARED | settings).learn(1_500)
    assert learnt.predict(np.array([[-1.0], [1.0]], np.float32))[0].tolist() == [0, 1]
    assert 1_500 <= learnt.num_timesteps < 1_504
    env = gymnasium.vector.SyncVectorEnv([probes.truncation_probe] * 4, autoreset_mode=name)
    learnt = cls(env, seed=1, **SHARED | settings | {"value_weight": 1.0}).learn(3_000)
    assert learnt.state_values(np.zeros(1, np.float32)) == pytest.approx(2.0, abs=0.2)
