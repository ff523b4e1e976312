"""The laws pass on right environments and fail on each kind of wrong one."""

import gymnasium
import pytest
from gymagine.envs.mdp import TabularMDP
from gymagine.envs.registration import ENVIRONMENT_IDS, register_environments
from gymagine.envs.tabular_env import TabularEnv
from gymagine.envs.testing import (
    check_determinism,
    check_frequencies,
    check_illegal_actions,
    check_rendering,
    check_returns,
    check_tabular_env,
)
from gymagine.envs.textbook.gambler import gambler
from gymagine.envs.textbook.maximization_bias import maximization_bias
from stable_baselines3.common.env_checker import check_env as check_sb3

register_environments()

VARIANTS = [
    ("gymagine/GridWorld-v0", {"slip": 0.2, "moves": 9}),
    ("gymagine/WindyGridworld-v0", {"moves": 8, "stochastic_wind": True}),
    ("gymagine/DynaMaze-v0", {"variant": "blocking"}),
    ("gymagine/DynaMaze-v0", {"variant": "shortcut", "change_step": 150}),
]


@pytest.mark.parametrize(
    ("env_id", "options"), [*((env_id, {}) for env_id in ENVIRONMENT_IDS), *VARIANTS]
)
def test_our_environments_keep_every_law(env_id, options):
    env = gymnasium.make(env_id, **options)
    check_tabular_env(env, num_pairs=10, num_samples=200)
    check_sb3(env, warn=True)


@pytest.mark.parametrize("env_id", ["FrozenLake-v1", "CliffWalking-v1", "Taxi-v4"])
def test_toy_text_keeps_every_law(env_id):
    check_tabular_env(gymnasium.make(env_id), num_pairs=10, num_samples=200)


@pytest.mark.parametrize(
    "mdp",
    [gambler(masked=True), maximization_bias(masked=True)],
    ids=lambda mdp: mdp.name,
)
def test_masked_models_keep_the_laws(mdp):
    env = TabularEnv(mdp)
    for law in (check_returns, check_determinism, check_frequencies):
        law(env)
    check_illegal_actions(env)


def coin(probability=0.5):
    return [
        [[(probability, 0, 1.0, False), (1 - probability, 1, 0.0, True)]],
        [[(1.0, 1, 0, True)]],
    ]


class Broken(TabularEnv):
    """An environment that lies in one of several ways."""

    def __init__(self, lie):
        super().__init__(TabularMDP.from_outcomes(coin()))
        self.lie = lie
        self.told = TabularMDP.from_outcomes(coin(0.2 if lie == "odds" else 0.5)).to_dict()
        if lie == "outcome":
            self.told[0][0] = [(0.5, 0, 3.0, False), (0.5, 1, 0.0, True)]

    @property
    def P(self):  # noqa: N802 - toy text's name
        return self.told

    def reset(self, *, seed=None, options=None):
        return super().reset(seed=None if self.lie == "seed" else seed, options=options)

    def step(self, action):
        if self.lie == "lenient":
            action = 0
        return super().step(action)


@pytest.mark.parametrize(
    ("lie", "law"),
    [
        ("odds", check_frequencies),
        ("outcome", check_returns),
        ("seed", check_determinism),
        ("lenient", check_illegal_actions),
    ],
)
def test_each_lie_is_found(lie, law):
    check_returns(Broken(None))
    law(Broken(None))
    with pytest.raises(AssertionError, match="expected"):
        law(Broken(lie))


def test_a_blank_picture_is_found():
    class Blank(TabularEnv):
        def _frame(self):
            return super()._frame() * 0

    entry_point = {
        "entry_point": lambda **options: Blank(TabularMDP.from_outcomes(coin()), **options)
    }
    gymnasium.register("test/Blank-v0", **entry_point)
    with pytest.raises(AssertionError, match="all alike"):
        check_rendering(gymnasium.make("test/Blank-v0"))


def test_a_warning_of_the_checker_is_found():
    class Chatty(TabularEnv):
        def reset(self, *, seed=7, options=None):
            return super().reset(seed=seed, options=options)

    with pytest.raises(AssertionError, match="no warning"):
        check_tabular_env(Chatty(TabularMDP.from_outcomes(coin())))
