"""`TabularEnv` against toy text's environments, closed forms and its own contract."""

import copy
import pickle

import gymnasium
import numpy as np
import pytest
from gymagine.envs.mdp import TabularMDP
from gymagine.envs.registration import register_environments
from gymagine.envs.tabular_env import TabularEnv
from gymagine.envs.textbook.gambler import gambler
from gymagine.envs.textbook.short_corridor import short_corridor
from gymnasium.error import ResetNeeded
from stable_baselines3 import PPO

register_environments()


def chain(length=4, reward=1.0):
    """Right pays on arriving at the last state, which ends it; left goes back."""
    last = length - 1
    rows = [
        [
            [(1.0, max(state - 1, 0), 0.0, False)],
            [(1.0, state + 1, reward * (state + 1 == last), state + 1 == last)],
        ]
        for state in range(last)
    ]
    return TabularMDP.from_outcomes([*rows, [[(1.0, last, 0.0, True)]] * 2], name="chain")


def from_toy_text(env_id):
    table = gymnasium.make(env_id).unwrapped.P
    return TabularMDP.from_outcomes([list(row.values()) for row in table.values()])


@pytest.mark.parametrize("env_id", ["FrozenLake-v1", "CliffWalking-v1"])
def test_same_episodes_as_toy_text_where_nothing_is_random(env_id):
    options = {"is_slippery": False}
    theirs = gymnasium.make(env_id, **options).unwrapped
    start = int(np.argmax(theirs.initial_state_distrib))
    rows = [list(row.values()) for row in theirs.P.values()]
    ours = TabularEnv(TabularMDP.from_outcomes(rows, initial_distribution=start))
    assert ours.reset(seed=0)[0] == theirs.reset(seed=0)[0]
    rng = np.random.default_rng(0)
    for _ in range(500):
        action = int(rng.integers(4))
        left, right = ours.step(action), theirs.step(action)
        assert left == right
        assert [type(part) for part in left[:1] + left[2:4]] == [
            type(part) for part in right[:1] + right[2:4]
        ]
        if left[2]:
            assert ours.reset()[0] == theirs.reset()[0]


def test_returns_of_the_uniform_policy_are_the_linear_solution():
    # v = r + P v over the states of FrozenLake, by a dense solve
    mdp = from_toy_text("FrozenLake-v1")
    matrix = mdp.continuation_matrix().toarray().reshape(16, 4, 16).mean(axis=1)
    truth = np.linalg.solve(np.eye(16) - matrix, mdp.expected_rewards.mean(axis=1))[0]
    env, rng = TabularEnv(mdp), np.random.default_rng(1)
    env.reset(seed=1)
    returns = []
    for _ in range(8000):
        env.reset()
        terminated = False
        while not terminated:
            _, reward, terminated, _, _ = env.step(int(rng.integers(4)))
        returns.append(reward)
    error = np.sqrt(truth * (1 - truth) / len(returns))
    assert abs(np.mean(returns) - truth) < 4.5 * error


def test_one_uniform_number_for_each_step_and_reset():
    env = TabularEnv(from_toy_text("FrozenLake-v1"))
    env.reset(seed=9)
    for _ in range(3):
        env.step(2)
    reference = np.random.default_rng(9)
    reference.random(4)
    assert env.np_random.bit_generator.state == reference.bit_generator.state


def test_start_states_follow_their_distribution():
    distribution = np.array([0.0, 0.7, 0.0, 0.3])
    env = TabularEnv(chain().with_initial_distribution(distribution))
    env.reset(seed=0)
    drawn = [env.reset()[0] for _ in range(5000)]
    found = np.bincount(drawn, minlength=4) / 5000
    assert found[0] == found[2] == 0
    assert abs(found[1] - 0.7) < 4.5 * np.sqrt(0.21 / 5000)
    assert env.reset()[1] == {"prob": distribution[env.s]}


def test_exploring_starts():
    env = TabularEnv(chain())
    env.reset(seed=0)
    before = env.np_random.bit_generator.state
    assert env.reset(options={"state": 2}) == (2, {"prob": 1.0})
    assert env.np_random.bit_generator.state == before
    with pytest.raises(ValueError, match=r"in \[0, 4\), got 4"):
        env.reset(options={"state": 4})


def test_observations_join_states():
    env = TabularEnv(short_corridor())
    assert env.observation_space == gymnasium.spaces.Discrete(2)
    assert env.reset(seed=0)[0] == 0
    seen = [env.step(action)[0] for action in (1, 0, 1)]
    assert seen == [0, 0, 1]
    assert env.s == 3


def test_masks_and_illegal_actions():
    env = TabularEnv(gambler(goal=6, capital=2, masked=True))
    _, info = env.reset(seed=0)
    assert info["action_mask"].dtype == np.int8
    assert info["action_mask"].tolist() == [1, 1, 0]
    with pytest.raises(ValueError, match=r"allowed in state 2, one of \[0, 1\], got 2"):
        env.step(2)
    with pytest.raises(ValueError, match=r"action in \[0, 3\), got 3 in state 2"):
        env.step(3)
    with pytest.raises(ValueError, match="got -1"):
        env.step(-1)
    info["action_mask"][:] = 0
    assert env.step(1)[4]["action_mask"].sum() > 0
    assert env.P[2][2] == []


@pytest.mark.parametrize("action", [np.int64(1), np.array(1), np.int32(1), True])
def test_actions_of_any_integer_type(action):
    env = TabularEnv(chain())
    env.reset(seed=0)
    assert env.step(action) == (1, 0.0, False, False, {"prob": 1.0})


def test_step_before_reset():
    with pytest.raises(ResetNeeded):
        TabularEnv(chain()).step(0)


def test_table_is_toy_texts():
    table = gymnasium.make("CliffWalking-v1").unwrapped.P
    env = TabularEnv(from_toy_text("CliffWalking-v1"))
    assert {state: dict(row) for state, row in table.items()} == env.P
    assert env.P is env.P
    np.testing.assert_array_equal(env.initial_state_distrib, env.mdp.initial_distribution)


def test_bad_options():
    with pytest.raises(ValueError, match="expected a render mode of"):
        TabularEnv(chain(), render_mode="picture")
    env = TabularEnv(chain())
    with pytest.raises(ValueError, match=r"shape \(4,\), got \(3,\)"):
        env.set_values(np.zeros(3))
    with pytest.raises(ValueError, match=r"\(4,\) or \(4, 2\), got \(2, 4\)"):
        env.set_values(np.zeros(4), policy=np.zeros((2, 4)))


# ---- changing models ----------------------------------------------------------------------------


def test_a_change_comes_after_its_step_over_all_episodes():
    first, second = chain(reward=1.0), chain(reward=5.0)
    env = TabularEnv(first, model_changes=[(7, second)])
    env.reset(seed=0)
    rewards = []
    for step in range(1, 13):
        _, reward, terminated, _, _ = env.step(1)
        rewards.append(reward)
        assert env.mdp is (first if step < 7 else second)
        assert env.steps_taken == step
        if terminated:
            env.reset()
    assert rewards == [0, 0, 1, 0, 0, 1, 0, 0, 5, 0, 0, 5]
    assert env.P[2][1] == [(1.0, 3, 5.0, True)]
    env.reset(seed=0)
    assert env.mdp is first
    assert env.P[2][1] == [(1.0, 3, 1.0, True)]


def test_changes_must_fit():
    with pytest.raises(ValueError, match="rising steps from 1, got step 0"):
        TabularEnv(chain(), model_changes=[(0, chain())])
    with pytest.raises(ValueError, match="got step 3 after 3"):
        TabularEnv(chain(), model_changes=[(3, chain()), (3, chain())])
    with pytest.raises(ValueError, match=r"\(4, 2, 4\), got \(5, 2, 5\) from step 3"):
        TabularEnv(chain(), model_changes=[(3, chain(5))])
    with pytest.raises(ValueError, match="action mask in every model or in none"):
        TabularEnv(gambler(goal=6), model_changes=[(3, gambler(goal=6, masked=True))])


# ---- rendering ----------------------------------------------------------------------------------


def test_rendering_shows_state_values_and_policy():
    env = TabularEnv(chain(), render_mode="rgb_array")
    env.reset(seed=0)
    plain = env.render()
    env.step(1)
    moved = env.render()
    env.set_values([0.0, 1.0, 2.0, 3.0], policy=[1, 1, 1, 0])
    painted = env.render()
    assert plain.shape == moved.shape == painted.shape == (65, 4 * 64 + 1, 3)
    assert (plain != moved).any()
    assert len(np.unique(painted.reshape(-1, 3), axis=0)) > len(
        np.unique(moved.reshape(-1, 3), axis=0)
    )
    env.set_values(None)
    np.testing.assert_array_equal(env.render(), moved)


def test_rendering_as_text():
    env = gymnasium.make("gymagine/GridWorld-v0", render_mode="ansi")
    env.reset(seed=0)
    assert env.render().splitlines() == [" .  .  .  G ", " .  #  .  H ", "[S] .  .  . "]
    env.step(0)
    assert env.render().splitlines()[0] == "action 0"
    assert "[.] #" in env.render()
    nameless = TabularEnv(chain(), render_mode="ansi")
    nameless.reset(seed=0)
    assert nameless.render() == "chain: state 0 of 4\n"


def test_rendering_without_a_mode_warns():
    env = TabularEnv(chain())
    env.reset(seed=0)
    with pytest.warns(UserWarning, match="render_mode='rgb_array'"):
        assert env.render() is None


def test_the_window_opens_and_closes_twice():
    env = TabularEnv(chain(), render_mode="human")
    env.metadata = {**env.metadata, "render_fps": 1000}
    env.reset(seed=0)
    env.step(1)
    import pygame

    surface = pygame.display.get_surface()
    assert surface.get_size() == (4 * 64 + 1, 65)
    assert len(np.unique(pygame.surfarray.array3d(surface))) > 1
    env.close()
    env.close()
    assert pygame.display.get_surface() is None


@pytest.mark.parametrize("twin", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_a_copy_goes_on_alike_and_opens_its_own_window(twin):
    env = TabularEnv(chain(), render_mode="human")
    env.metadata = {**env.metadata, "render_fps": 1000}
    env.reset(seed=3)
    other = twin(env)
    assert other._window is None
    assert [other.step(0) for _ in range(5)] == [env.step(0) for _ in range(5)]
    env.close()
    other.close()


def test_stable_baselines_trains_on_it():
    env = gymnasium.make("gymagine/GridWorld-v0")
    model = PPO("MlpPolicy", env, n_steps=64, batch_size=64, n_epochs=1, seed=0, device="cpu")
    model.learn(128)
    action, _ = model.predict(env.reset(seed=0)[0])
    assert env.action_space.contains(int(action))
