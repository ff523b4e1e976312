import gymagine  # noqa: F401  # registers
import gymnasium
import numpy as np
import pytest
from gymagine.envs.point_maze import DEFAULT_MAZE, PointMaze, WaypointController, distances_to
from gymagine.generative.data.environments import transitions
from gymnasium.utils.env_checker import check_env

CORRIDOR = ("#####", "#   #", "#####")


def test_it_is_an_environment_of_gymnasium():
    check_env(PointMaze(render_mode="rgb_array"))
    env = gymnasium.make("gymagine/PointMaze-v0")
    assert isinstance(env.unwrapped, PointMaze)
    assert env.spec.max_episode_steps == 200


def test_motion_without_walls_is_the_sum_of_actions():
    env = PointMaze(CORRIDOR, speed=0.2)
    env.reset(seed=0, options={"start": (1.5, 1.5), "goal": (3.5, 1.5)})
    for action in ([1.0, 0.0], [0.5, -0.5], [9.0, 0.1]):
        observation, reward, terminated, truncated, _ = env.step(np.array(action))
        assert (reward, terminated, truncated) == (0, False, False)
    np.testing.assert_allclose(
        observation, [1.5 + 0.2 * 2.5, 1.5 - 0.2 * 0.4, 3.5, 1.5], rtol=1e-6
    )


def test_the_goal_ends_the_episode_and_brings_the_reward():
    env = PointMaze(CORRIDOR)
    env.reset(options={"start": (1.5, 1.5), "goal": (2.3, 1.5)})
    right = np.array([1.0, 0.0], np.float32)
    outcomes = [env.step(right)[1:3] for _ in range(2)]
    assert outcomes == [(0.0, False), (1.0, True)]  # 0.55 and 0.3 away


def test_nobody_walks_through_walls():
    """Random motion never leaves the free cells, and a push along a wall slides."""
    env = PointMaze(speed=0.5)
    env.action_space.seed(0)
    free = set(env.free_cells)
    for seed in range(5):
        env.reset(seed=seed)
        action = env.action_space.sample()
        for t in range(300):
            if t % 5 == 0:
                action = np.sign(env.action_space.sample())
            x, y = env.step(action)[0][:2]
            assert (int(y), int(x)) in free
    env.reset(options={"start": (1.5, 1.5), "goal": (1.5, 7.5)})
    for _ in range(4):
        x, y = env.step(np.array([-1.0, 0.2]))[0][:2]
    assert x == pytest.approx(1, abs=0.01)
    assert y == pytest.approx(1.5 + 4 * 0.1)


def test_seeds_repeat_and_start_and_goal_differ():
    env = PointMaze()
    first = [env.reset(seed=seed)[0] for seed in range(50)]
    again = [env.reset(seed=seed)[0] for seed in range(50)]
    np.testing.assert_array_equal(first, again)
    assert all((own[:2] != own[2:]).any() for own in first)
    assert len({tuple(own) for own in first}) > 40


def test_distances_are_those_of_a_graph_library():
    networkx = pytest.importorskip("networkx")
    walls = PointMaze().walls
    graph = networkx.grid_2d_graph(*walls.shape)
    graph.remove_nodes_from([tuple(cell) for cell in np.argwhere(walls)])
    found = distances_to(walls, (1, 1))
    for cell, length in networkx.single_source_shortest_path_length(graph, (1, 1)).items():
        assert found[cell] == length
    assert (found[walls] == -1).all()


def steps_of_episodes(env, controller, num):
    lengths = []
    for seed in range(num):
        observation, _ = env.reset(seed=seed)
        state, t, ended, truncated = None, 0, False, False
        while not (ended or truncated):
            action, state = controller.predict(observation, state)
            observation, _, ended, truncated, _ = env.step(action)
            t += 1
        assert ended
        lengths.append(t)
    return np.array(lengths)


def test_the_controller_takes_shortest_paths_and_longer_ones_with_detours():
    env = gymnasium.make("gymagine/PointMaze-v0")
    straight = steps_of_episodes(env, WaypointController(env), 30)
    for seed, steps in enumerate(straight):
        x, y, goal_x, goal_y = env.reset(seed=seed)[0]
        cells = distances_to(env.unwrapped.walls, (int(goal_y), int(goal_x)))[int(y), int(x)]
        assert 2 * (cells - 1) <= steps <= 4 * cells + 1  # 4 steps a cell, less in corners
    noisy = steps_of_episodes(env, WaypointController(env, noise=0.3, seed=1), 30)
    detours = steps_of_episodes(env, WaypointController(env, detour=1.0, seed=1), 30)
    assert straight.mean() <= noisy.mean() < detours.mean()


def test_it_is_a_source_of_data():
    env = gymnasium.make("gymagine/PointMaze-v0")
    data = transitions(env, 300, WaypointController(env, detour=0.5, noise=0.2), seed=0)
    assert data.terminated.sum() >= 3
    assert data.reward.sum() == data.terminated.sum()


def test_it_is_drawn():
    env = PointMaze(render_mode="rgb_array")
    env.reset(options={"start": (1.5, 1.5), "goal": (7.5, 7.5)})
    picture = env.render()
    assert picture.shape == (9 * 24, 9 * 24, 3)
    at = lambda x, y: tuple(int(v) for v in picture[int(24 * y), int(24 * x)])  # noqa: E731
    assert len({at(0.5, 0.5), at(1.5, 1.5), at(7.5, 7.5), at(1.1, 1.1)}) == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"maze": ("###", "# #")}, "wall round"),
        ({"maze": ("###", "# ##")}, "one length"),
        ({"maze": ("#####", "# # #", "#####")}, "reached"),
        ({"maze": ("###", "# #", "###")}, "two free cells"),
        ({"speed": 0.7}, "speed"),
        ({"reach": 0.0}, "reach"),
        ({"render_mode": "human"}, "render_mode"),
    ],
)
def test_mistakes_are_told(arguments, message):
    with pytest.raises(ValueError, match=message):
        PointMaze(**arguments)


def test_mistakes_of_players_are_told():
    env = PointMaze()
    with pytest.raises(ValueError, match="start"):
        env.reset(options={"start": (0.5, 0.5)})
    env.reset(seed=0)
    with pytest.raises(ValueError, match="2 finite numbers"):
        env.step(np.array([np.nan, 0.0], np.float32))
    with pytest.raises(TypeError, match="PointMaze"):
        WaypointController(gymnasium.make("CartPole-v1"))
    with pytest.raises(ValueError, match="detour"):
        WaypointController(env, detour=2.0)
    with pytest.raises(ValueError, match="noise"):
        WaypointController(env, noise=-1.0)
    assert len(DEFAULT_MAZE) == 9
