"""Models read from environments: the traps of toy text's ``P``, and the known optima."""

import gymnasium
import numpy as np
import pytest
from gymagine.envs.env_models import model_from_env
from gymagine.envs.mdp import TabularMDP
from gymagine.envs.registration import register_environments
from gymagine.envs.tabular_env import TabularEnv
from gymnasium import spaces, wrappers
from gymnasium.envs.toy_text.frozen_lake import FrozenLakeEnv, generate_random_map

register_environments()

TOY_TEXT = [
    ("FrozenLake-v1", {}),
    ("FrozenLake-v1", {"is_slippery": False}),
    ("FrozenLake-v1", {"success_rate": 0.75, "reward_schedule": (5, -2, -0.1)}),
    ("FrozenLake-v1", {"success_rate": 1.0}),
    ("FrozenLake-v1", {"desc": ["SFS", "FHG"]}),
    ("FrozenLake-v1", {"desc": generate_random_map(size=6, seed=4)}),
    ("FrozenLake8x8-v1", {}),
    ("CliffWalking-v1", {}),
    ("CliffWalking-v1", {"is_slippery": True}),
    ("CliffWalkingSlippery-v1", {}),
    ("Taxi-v4", {}),
    ("Taxi-v4", {"is_rainy": True}),
]


class TableEnv(gymnasium.Env):
    """An environment with any table one likes."""

    def __init__(self, table, num_states=2, num_actions=2, **attributes):
        self.P = table
        self.observation_space = spaces.Discrete(num_states)
        self.action_space = spaces.Discrete(num_actions)
        self.closed = 0
        for name, value in attributes.items():
            setattr(self, name, value)

    def close(self):
        self.closed += 1


STAY, LEAVE = [(1.0, 0, 0.0, False)], [(1.0, 1, 1.0, True)]


def optimal_values(mdp, discount):
    matrix, rewards = mdp.continuation_matrix(), mdp.expected_rewards
    values = np.zeros(mdp.num_states)
    for _ in range(200_000):
        backup = (rewards + discount * (matrix @ values).reshape(rewards.shape)).max(axis=1)
        if np.abs(backup - values).max() < 1e-13:
            return backup
        values = backup
    raise AssertionError("no convergence")


# ---- the traps ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "options"), TOY_TEXT)
def test_the_model_is_the_table(name, options):
    env = gymnasium.make(name, **options)
    mdp = model_from_env(env)
    base = env.unwrapped
    for state in range(mdp.num_states):
        for action in range(mdp.num_actions):
            sums = {}
            for p, following, reward, terminated in base.P[state][action]:
                key = (int(following), float(reward), bool(terminated))
                sums[key] = sums.get(key, 0.0) + p
            sums = {key: p for key, p in sums.items() if p > 0}
            got = {(s, r, end): p for p, s, r, end in mdp.outcomes(state, action)}
            assert got == pytest.approx(sums)
            assert len(mdp.outcomes(state, action)) == len(sums)
    np.testing.assert_array_equal(mdp.initial_distribution, base.initial_state_distrib)
    assert mdp.max_episode_steps == env.spec.max_episode_steps
    assert mdp.name == name


def test_goal_and_cliff_cells_are_not_absorbing():
    mdp = model_from_env("CliffWalking-v1")
    assert mdp.outcomes(47, 3) == [(1.0, 36, -100.0, False)]  # as in the table
    assert mdp.outcomes(35, 2) == [(1.0, 47, -1.0, True)]
    assert optimal_values(mdp, 1.0)[36] == pytest.approx(-13)


def test_duplicate_next_states_are_summed():
    mdp = model_from_env("FrozenLake-v1")
    assert mdp.outcomes(0, 0) == [
        (pytest.approx(2 / 3), 0, 0.0, False),
        (pytest.approx(1 / 3), 4, 0.0, False),
    ]


def test_the_table_may_be_made_of_lists_and_numpy_integers():
    table = [
        [[(np.float32(0.5), np.int64(1), np.int8(3), np.bool_(True)), (0.5, 1, 3, True)], STAY],
        [LEAVE, STAY],
    ]
    mdp = model_from_env(TableEnv(table, initial_state_distrib=[1, 0]))
    assert mdp.outcomes(0, 0) == [(1.0, 1, 3.0, True)]
    assert mdp.name == "TableEnv"
    assert mdp.max_episode_steps is None


def test_actions_without_outcomes_are_masked():
    env = TableEnv({0: {0: STAY, 1: []}, 1: {1: LEAVE}}, isd=np.array([0.25, 0.75]))
    mdp = model_from_env(env)
    np.testing.assert_array_equal(mdp.action_mask, [[True, False], [False, True]])
    np.testing.assert_array_equal(mdp.initial_distribution, [0.25, 0.75])


def test_a_space_that_starts_elsewhere_may_number_the_table():
    table = {
        3: {1: [(1.0, 4, 0.0, False)], 2: [(1.0, 3, 0.0, False)]},
        4: {1: [(1.0, 4, 1, True)]},
    }
    env = TableEnv(table, isd=[1, 0])
    env.observation_space = spaces.Discrete(2, start=3)
    env.action_space = spaces.Discrete(2, start=1)
    expected = {
        0: {0: [(1.0, 1, 0.0, False)], 1: [(1.0, 0, 0.0, False)]},
        1: {0: [(1.0, 1, 1.0, True)], 1: []},
    }
    assert model_from_env(env).to_dict() == expected
    env.P = expected  # numbered from 0 although the space is not
    assert model_from_env(env).to_dict() == expected


def test_the_start_is_the_environments_or_ours_or_asked_for():
    table = {0: {0: STAY, 1: LEAVE}, 1: {0: STAY, 1: LEAVE}}
    with pytest.raises(ValueError, match=r"initial distribution in TableEnv.*give initial_distr"):
        model_from_env(TableEnv(table))
    for env in (TableEnv(table), TableEnv(table, isd=[1, 0])):
        mdp = model_from_env(env, initial_distribution=1)
        np.testing.assert_array_equal(mdp.initial_distribution, [0, 1])
    mdp = TabularMDP.from_env("Blackjack-v1", initial_distribution=703)
    assert mdp.initial_distribution[703] == 1


def test_the_fickle_passenger_is_not_in_the_table():
    with pytest.raises(ValueError, match=r"fickle passenger.*TabularMDP\.estimate"):
        model_from_env(gymnasium.make("Taxi-v4", fickle_passenger=True))


# ---- wrappers, caps, lifetimes ------------------------------------------------------------------


def test_harmless_wrappers_are_looked_through(tmp_path):
    from stable_baselines3.common.monitor import Monitor

    env = gymnasium.make("FrozenLake-v1", render_mode="rgb_array", max_episode_steps=30)
    assert isinstance(env, wrappers.TimeLimit)
    env = wrappers.RecordEpisodeStatistics(wrappers.Autoreset(env))
    env = Monitor(wrappers.RenderCollection(env))
    env = wrappers.TimeLimit(env, 50)
    mdp = model_from_env(env)
    assert mdp.max_episode_steps == 30  # the least
    assert mdp.to_dict() == model_from_env("FrozenLake-v1").to_dict()


@pytest.mark.parametrize(
    "wrap",
    [
        lambda env: wrappers.TransformReward(env, lambda reward: 2 * reward),
        lambda env: wrappers.TimeAwareObservation(env),
        lambda env: wrappers.StickyAction(env, 0.5),
        lambda env: wrappers.TimeLimit(wrappers.ClipReward(env, 0, 0.5), 9),
        lambda env: type("TimeLimit", (wrappers.TimeLimit,), {})(env, 9),
    ],
)
def test_other_wrappers_are_refused_by_name(wrap):
    env = wrap(gymnasium.make("FrozenLake-v1"))
    inner = env if not hasattr(env.env, "min_reward") else env.env
    while type(inner) is wrappers.TimeLimit:
        inner = inner.env
    with pytest.raises(ValueError, match=rf"got {type(inner).__name__}, .*TabularMDP\.estimate"):
        model_from_env(env)


def test_the_step_cap():
    assert model_from_env("FrozenLake-v1").max_episode_steps == 100
    assert model_from_env("CliffWalking-v1").max_episode_steps is None
    env = gymnasium.make("FrozenLake-v1", max_episode_steps=7)
    assert model_from_env(env).max_episode_steps == 7
    assert model_from_env(env.unwrapped).max_episode_steps is None  # it never truncates
    assert model_from_env(FrozenLakeEnv()).max_episode_steps is None
    assert model_from_env(wrappers.TimeLimit(FrozenLakeEnv(), 3)).max_episode_steps == 3
    env = gymnasium.make("FrozenLake-v1", max_episode_steps=-1)
    assert model_from_env(env).max_episode_steps is None
    env = gymnasium.make("Blackjack-v1", max_episode_steps=4)
    assert model_from_env(env).max_episode_steps == 4


def test_what_was_made_here_is_closed_and_nothing_else():
    made = []

    def make():
        made.append(TableEnv({0: {0: STAY}, 1: {0: LEAVE}}, num_actions=1, isd=[1, 0]))
        return made[-1]

    gymnasium.register("gymagine-test/Table-v0", entry_point=make)
    try:
        assert model_from_env("gymagine-test/Table-v0").name == "gymagine-test/Table-v0"
        assert made[-1].closed == 1
        with pytest.raises(ValueError, match="start state"):
            model_from_env("gymagine-test/Table-v0", initial_distribution=9)
        assert made[-1].closed == 1
        model_from_env(make())
        assert made[-1].closed == 0
    finally:
        del gymnasium.registry["gymagine-test/Table-v0"]


def test_our_own_environment_gives_its_model_itself():
    mdp = TabularMDP.from_outcomes([[STAY, LEAVE], [STAY, LEAVE]], max_episode_steps=9)
    env = TabularEnv(mdp)
    assert model_from_env(env) is mdp
    assert model_from_env(wrappers.TimeLimit(env, 9)) is mdp
    capped = model_from_env(wrappers.TimeLimit(env, 4))
    assert capped.max_episode_steps == 4
    assert capped.to_dict() == mdp.to_dict()
    moved = model_from_env(env, initial_distribution=1)
    np.testing.assert_array_equal(moved.initial_distribution, [0, 1])


def test_all_rules_of_blackjack_are_read():
    for options in ({}, {"natural": True}, {"sab": True}, {"sab": False, "natural": False}):
        env = gymnasium.make("Blackjack-v1", **options)
        rules = {"sab": env.unwrapped.sab, "natural": env.unwrapped.natural}
        mdp = model_from_env(env)
        assert mdp.num_states == (714 if any(rules.values()) else 704)
        assert (mdp.rewards.max() == 1.5) == (rules["natural"] and not rules["sab"])


# ---- what tells no model ------------------------------------------------------------------------


class PictureEnv(TableEnv):
    def __init__(self):
        super().__init__({0: {0: STAY}})
        self.observation_space = spaces.Box(0, 255, (4, 4), np.uint8)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: "CartPole-v1", r"got CartPole-v1.*TabularMDP\.estimate.*discretize"),
        (PictureEnv, r"got PictureEnv.*TabularMDP\.estimate.*discretize"),
        (lambda: TableEnv(np.eye(2)), r"no table P; TabularMDP\.estimate"),
        (lambda: TableEnv({}), r"no table P; TabularMDP\.estimate"),
        (lambda: TableEnv({0: {0: STAY}}), "P has 1 states, but 2 observations; Tab.*estimate"),
        (lambda: TableEnv([0.5, 0.5]), "no table of lists of outcomes; TabularMDP.estimate"),
        (lambda: TableEnv({0: {0: STAY}, 1: [3.0, 4.0]}, isd=[1, 0]), "table P in TableEnv: "),
        (lambda: TableEnv({0: {0: STAY}, 5: {0: STAY}}, isd=[1, 0]), "keys 0 to 1, got 5"),
        (lambda: TableEnv({0: {0: STAY}, 1: {2: STAY}}, isd=[1, 0]), "keys 0 to 1, got 2"),
        (lambda: TableEnv({0: {0: STAY}, 1: {0: [(1, 2, 0, True)]}}, isd=[1, 0]), "state 1, act"),
        (lambda: TableEnv({0: {0: STAY}, 1: {0: [(0.9, 1, 0, True)]}}, isd=[1, 0]), "got 0.9"),
        (lambda: TableEnv({0: {0: STAY}, 1: {0: STAY}}, isd=[1, 1]), "that sums to 1, got 2"),
        (lambda: "FrozenLake-v7", "did you mean FrozenLake-v1"),
    ],
)
def test_an_environment_without_a_model_says_so(make, message):
    with pytest.raises(ValueError, match=message):
        model_from_env(make())


# ---- layouts ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("FrozenLake-v1", {"is_slippery": False}),
        ("FrozenLake-v1", {"is_slippery": False, "desc": ["SFFF", "FHFG"]}),
        ("CliffWalking-v1", {}),
    ],
)
def test_layouts_show_where_actions_lead(name, options):
    env = gymnasium.make(name, **options)
    mdp = model_from_env(env)
    layout = mdp.layout
    moved = 0
    for row in range(layout.num_rows):
        for column in range(layout.num_columns):
            if layout.cells[row][column] in "HG":
                continue
            for action, (down, right) in enumerate(layout.directions):
                target = (row + down, column + right)
                ((_, following, _, terminated),) = mdp.outcomes(
                    int(layout.state_of_cell[row, column]), action
                )
                if not (0 <= target[0] < layout.num_rows and 0 <= target[1] < layout.num_columns):
                    assert following == layout.state_of_cell[row, column]
                elif not (name == "CliffWalking-v1" and layout.cells[target[0]][target[1]] == "H"):
                    assert following == layout.state_of_cell[target]
                    assert terminated == (layout.cells[target[0]][target[1]] in "GH")
                    moved += 1
    assert moved > 10
    start = int(np.argmax(mdp.initial_distribution))
    assert layout.cells[start // layout.num_columns][start % layout.num_columns] == "S"


def test_the_cliff_is_drawn():
    assert model_from_env("CliffWalking-v1").layout.cells == (*["." * 12] * 3, "SHHHHHHHHHHG")
    assert model_from_env("Taxi-v4").layout is None


# ---- the known optima (computed outside this package) -------------------------------------------


@pytest.mark.parametrize(
    ("name", "options", "discount", "expected"),
    [
        ("FrozenLake-v1", {}, 0.99, 0.5420259320003089),
        ("FrozenLake-v1", {}, 0.95, 0.1804715783970903),
        ("FrozenLake-v1", {}, 1.0, 14 / 17),
        ("FrozenLake-v1", {"is_slippery": False}, 0.99, 0.99**5),
        ("FrozenLake8x8-v1", {}, 0.99, 0.41464036179986113),
        ("CliffWalking-v1", {}, 0.99, -(1 - 0.99**13) / 0.01),
        ("Taxi-v4", {}, 1.0, 2379 / 300),
        ("Taxi-v4", {}, 0.99, 6.327464314919367),
        ("Blackjack-v1", {"sab": True}, 1.0, -0.043113105413476974),
    ],
)
def test_known_optima(name, options, discount, expected):
    mdp = TabularMDP.from_env(gymnasium.make(name, **options))
    value = mdp.initial_distribution @ optimal_values(mdp, discount)
    assert value == pytest.approx(expected, abs=1e-9)


def test_a_model_that_changes_with_time_is_refused():
    env = gymnasium.make("gymagine/DynaMaze-v0", variant="blocking", change_step=70)
    with pytest.raises(ValueError, match=r"one model, got DynaMaze-blocking, .* \[70\] steps"):
        model_from_env(env)
    plain = gymnasium.make("gymagine/DynaMaze-v0")
    assert model_from_env(plain).to_dict() == plain.unwrapped.P
