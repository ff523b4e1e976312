import warnings

import gymnasium
import numpy as np
import pytest
from gymagine.envs.registration import register_environments
from gymagine.envs.two_ways import TwoWays, two_ways_expert
from gymnasium.utils.env_checker import check_env

register_environments()
ID = "gymagine/TwoWays-v0"


def played(act, episodes=100, env=None):
    """Successes, and whether each episode passed above."""
    env = TwoWays() if env is None else env
    found = []
    for seed in range(episodes):
        (observation, _), above = env.reset(seed=seed), False
        for step in range(60):
            observation, reward, terminated, truncated, info = env.step(act(observation, step))
            above |= observation[1] > 0.3
            assert reward == info["success"] == info["is_success"] and not truncated
            if terminated:
                break
        found.append((reward, above))
    return np.array(found)


def demonstrator(seed, **options):
    expert, memory = two_ways_expert(np.random.default_rng(seed)), [None]

    def act(observation, step):
        action, memory[0] = expert.predict(
            observation, memory[0], np.array([step == 0]), **options
        )
        return action

    return act


def test_gymnasiums_checker_finds_nothing():
    env = gymnasium.make(ID, render_mode="rgb_array")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped, skip_render_check=True)
    assert env.spec.max_episode_steps == 60


def test_the_demonstrator_succeeds_on_both_sides_and_the_mean_crashes():
    found = played(demonstrator(0), episodes=300)
    assert found[:, 0].mean() > 0.98
    assert 0.4 < found[:, 1].mean() < 0.6
    up, down = (two_ways_expert(np.random.default_rng(0)) for _ in range(2))

    def mean(observation, step):
        sides = np.array([1.0]), np.array([-1.0])
        actions = [
            expert.predict(observation, side, deterministic=True)[0]
            for expert, side in zip((up, down), sides, strict=True)
        ]
        return np.mean(actions, axis=0)

    assert played(mean)[:, 0].mean() == 0


def test_a_batch_of_places_keeps_its_sides():
    expert = two_ways_expert(np.random.default_rng(0))
    places = np.array([[-0.6, 0.0]] * 50)
    actions, sides = expert.predict(places)
    assert set(sides) == {-1.0, 1.0}
    begins = np.arange(50) < 25
    again, later = expert.predict(places, sides, begins)
    assert (later[25:] == sides[25:]).all() and (later[:25] != sides[:25]).any()
    assert (np.sign(again[:, 1]) == later).all()
    assert (np.abs(actions) <= 1).all() and actions.dtype == np.float32


def test_the_block_is_solid_and_its_corners_are_where_they_are():
    """By dense sampling of the way between two places."""
    env = TwoWays()
    rng = np.random.default_rng(0)
    both = [0, 0]
    for _ in range(500):
        env.reset(seed=0)
        start = rng.uniform(-0.6, 0.6, 2)
        env._trail = [start]
        action = rng.uniform(-1, 1, 2)
        end = start + np.array([0.16, 0.32]) * action
        line = start + np.linspace(0, 1, 4_001)[:, None] * (end - start)
        inside = (np.abs(line) <= [0.2, 0.3]).all(axis=1).any()
        assert env.step(action)[2] == inside
        both[int(inside)] += 1
    assert min(both) > 100


def test_walls_keep_the_point_in_and_actions_are_clipped():
    env = TwoWays()
    env.reset(seed=0)
    for _ in range(8):
        observation, *_ = env.step(np.array([0.0, 5.0]))
    assert observation[1] == 1 and env.observation_space.contains(observation)
    env.reset(seed=0)
    one = env.step(np.array([0.0, 7.0]))[0]
    env.reset(seed=0)
    assert (one == env.step(np.array([0.0, 1.0]))[0]).all()


def test_the_picture_shows_block_goal_trail_and_point():
    env = TwoWays(render_mode="rgb_array")
    env.reset(seed=0)
    for _ in range(3):
        env.step(np.array([1.0, 0.3]))
    picture = env.render()
    assert picture.shape == (128, 128, 3) and picture.dtype == np.uint8
    assert picture[64, 64].tolist() == [52, 56, 64]
    assert picture[10, 127].tolist() == [176, 219, 191]
    orange = (picture == [240, 130, 30]).all(axis=2)
    rows, columns = np.nonzero(orange)
    x, y = env._trail[-1]
    assert abs(columns.mean() - (x + 1) / 2 * 127) < 1
    assert abs(rows.mean() - (1 - y) / 2 * 127) < 1
    assert TwoWays().render() is None


def test_mistakes_are_refused(without_shape_checks):
    with pytest.raises(ValueError, match="expected render_mode None or 'rgb_array', got 'human'"):
        TwoWays(render_mode="human")
    env = TwoWays()
    with pytest.raises(ValueError, match="expected an episode that was begun"):
        env.step(np.zeros(2))
    env.reset(seed=0)
    for wrong in (np.zeros(3), np.array([np.nan, 0.0])):
        with pytest.raises(ValueError, match="expected an action of 2 finite numbers"):
            env.step(wrong)
