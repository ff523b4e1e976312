import gymnasium
import numpy as np
import pytest
from gymagine.generative.chunks import chunk_windows, episode_ends
from gymagine.generative.data.environments import Transitions, transitions
from gymnasium import spaces

LENGTHS = (5, 3, 7, 4)  # of the episodes, over and over


class Counter(gymnasium.Env):
    """Shows the episode and the step; every other episode is cut off, and does not terminate."""

    observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float64)
    action_space = spaces.Box(-np.inf, np.inf, (1,), np.float64)

    def __init__(self):
        self.episode = -1

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.episode, self.step_number = self.episode + 1, 0
        return self.shown(), {}

    def step(self, action):
        self.step_number += 1
        over = self.step_number == LENGTHS[self.episode % len(LENGTHS)]
        is_cut = self.episode % 2 == 1
        return self.shown(), 0.0, over and not is_cut, over and is_cut, {}

    def shown(self):
        return np.array([self.episode, self.step_number], dtype=np.float64)


class Teller:
    """Its action is 100 times the episode, plus the step."""

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        return np.array([100 * observation[0] + observation[1]]), None


@pytest.fixture(scope="module")
def data():
    return transitions(Counter(), 2 * sum(LENGTHS) + 2, Teller())


def test_windows_are_what_a_walk_along_each_episode_gives(data):
    """Every number is told by the counter: episode and step of what is seen and done."""
    windows = chunk_windows(
        data, observation_horizon=3, prediction_horizon=4, cut_episodes="repeat"
    )
    assert len(windows) == len(data)
    seen, done = data.observation[windows.observed], data.action[windows.acted][..., 0]
    for window, (episode, step) in enumerate(data.observation):
        last = LENGTHS[int(episode) % 4] - 1 if episode < 8 else 1  # the data end in a ninth
        before = [step - 2, step - 1, step]
        after = [step, step + 1, step + 2, step + 3]
        assert seen[window].tolist() == [[episode, max(s, 0)] for s in before]
        assert windows.observed_known[window].tolist() == [s >= 0 for s in before]
        assert done[window].tolist() == [100 * episode + min(s, last) for s in after]
        assert windows.acted_known[window].tolist() == [s <= last for s in after]


def test_nothing_is_repeated_after_an_episode_was_cut_off(data):
    """Episodes of 3 and 4 steps are cut: of the second the first window alone is whole."""
    windows = chunk_windows(data, observation_horizon=1, prediction_horizon=4)
    episodes = data.observation[windows.steps, 0]
    kept = {int(e): data.observation[windows.steps[episodes == e], 1].tolist() for e in range(8)}
    every = {e: list(range(LENGTHS[e % 4])) for e in (0, 2, 4, 6)}
    assert kept == every | {1: [], 3: [0], 5: [], 7: [0]}
    assert not (episodes == 8).any()  # whose end the data do not show


def test_what_is_executed_is_diffusion_policys_slice(data):
    """Its windows begin at the first observation; [To - 1 : To - 1 + Ta] of them is executed."""
    t_o, t_a, t_p = 3, 2, 6
    ours = chunk_windows(
        data, observation_horizon=t_o, prediction_horizon=t_p, cut_episodes="repeat"
    )
    ends = episode_ends(data)
    for start in range(len(data)):
        if data.observation[start, 1] > 0:
            continue
        episode = np.arange(start, ends[start] + 1)
        padded = np.pad(data.action[episode, 0], (t_o - 1, t_p), mode="edge")
        for step in range(len(episode)):
            theirs = padded[step : step + t_o - 1 + t_p]  # from the first observation's action on
            executed = data.action[ours.acted[start + step, :t_a], 0]
            assert executed.tolist() == theirs[t_o - 1 : t_o - 1 + t_a].tolist()


def test_a_window_knows_its_own_step(data):
    windows = chunk_windows(data, observation_horizon=2, prediction_horizon=2)
    assert (windows.observed[:, -1] == windows.steps).all()
    assert (windows.acted[:, 0] == windows.steps).all()
    some = windows.take(np.array([4, 1]))
    assert some.steps.tolist() == windows.steps[[4, 1]].tolist()


def test_windows_that_cannot_be(data):
    with pytest.raises(ValueError, match="expected prediction_horizon of at least 1, got 0"):
        chunk_windows(data, observation_horizon=1, prediction_horizon=0)
    with pytest.raises(ValueError, match="expected observation_horizon of at least 1, got -1"):
        chunk_windows(data, observation_horizon=-1, prediction_horizon=1)
    never = Transitions(
        data.observation,
        data.action,
        data.reward,
        data.next_observation,
        np.zeros(len(data), dtype=bool),
        data.terminated | data.truncated,
    )
    with pytest.raises(ValueError, match="expected an episode that terminates, or one of at le"):
        chunk_windows(never, observation_horizon=1, prediction_horizon=8)


def test_how_cut_episodes_are_told_is_checked(data, without_shape_checks):
    with pytest.raises(ValueError, match="expected cut_episodes among"):
        chunk_windows(data, observation_horizon=1, prediction_horizon=1, cut_episodes="drop")
