"""Truths: the emulator itself, driven frame by frame beside the preprocessed game."""

import gymnasium
import numpy as np
import pytest

pytest.importorskip("ale_py")
cv2 = pytest.importorskip("cv2")

from gymagine.envs.atari import ATARI_OPTIONS, is_atari, preprocess_atari  # noqa: E402
from gymagine.experiments.environment_names import EnvironmentName  # noqa: E402

STEPS = 300


def game(id_="ALE/Breakout-v5", **options):
    return gymnasium.make(id_, **ATARI_OPTIONS, **options)


def shrunk(screens):
    """The brighter of two screens at each place, as 84 x 84 bytes."""
    brighter = np.maximum(*screens)
    return cv2.resize(brighter, (84, 84), interpolation=cv2.INTER_AREA)


def played(env, actions):
    """Rewards, ends and observations of a sequence of actions."""
    found = [env.step(action) for action in actions]
    observations, rewards, terminated, _, _ = zip(*found, strict=True)
    return np.stack(observations), np.array(rewards), np.array(terminated)


def test_frames_are_those_of_the_emulator():
    """Every fourth screen, of which the last two are joined, in stacks of four."""
    env = preprocess_atari(game(repeat_action_probability=0.0))
    first, _ = env.reset(seed=3)
    idle = env.unwrapped.ale.getEpisodeFrameNumber()
    assert first.shape == (4, 84, 84) and first.dtype == np.uint8
    actions = np.random.default_rng(0).integers(env.action_space.n, size=40)
    observations, _, _ = played(env, actions)

    raw = game(repeat_action_probability=0.0).unwrapped
    raw.reset(seed=3)
    for _ in range(idle - raw.ale.getEpisodeFrameNumber()):
        raw.step(0)
    frames = [shrunk([raw.ale.getScreenGrayscale()] * 2)] * 4
    assert np.array_equal(first, np.stack(frames))
    for action, seen in zip(actions, observations, strict=True):
        screens = []
        for _ in range(4):
            raw.step(int(action))
            screens.append(raw.ale.getScreenGrayscale())
        frames.append(shrunk(screens[-2:]))
        assert np.array_equal(seen, np.stack(frames[-4:]))


@pytest.mark.slow
def test_games_begin_with_up_to_thirty_idle_frames():
    env = preprocess_atari(game())
    lengths = set()
    for seed in range(25):
        env.reset(seed=seed)
        lengths.add(env.unwrapped.ale.getEpisodeFrameNumber())
    assert min(lengths) >= 1 and max(lengths) <= 30 and len(lengths) > 8


def test_episodes_are_lives_to_learn_and_games_to_evaluate():
    """Who only serves, and never moves, loses Breakout's five lives one after the other."""
    ends = {}
    for evaluating in (False, True):
        env = preprocess_atari(game(repeat_action_probability=0.0), evaluating=evaluating)
        env.reset(seed=0)
        ends[evaluating], lives = [], 5
        while lives:
            _, _, terminated, _, info = env.step(1)
            if info["lives"] < lives:
                lives = info["lives"]
                ends[evaluating].append(terminated)
            else:
                assert not terminated
    assert ends == {False: [True] * 5, True: [False] * 4 + [True]}


def test_rewards_are_clipped_to_learn_and_the_games_own_to_evaluate():
    """Ms Pac-Man's dots bring 10 points each."""
    rewards = []
    for evaluating in (False, True):
        env = preprocess_atari(game("ALE/MsPacman-v5"), evaluating=evaluating)
        env.reset(seed=0)
        rewards.append(played(env, [2, 3, 1, 4] * 30)[1])
    clipped, own = rewards
    assert own.max() >= 10.0 and np.array_equal(clipped, np.clip(own, -1.0, 1.0))


@pytest.mark.parametrize("evaluating", [False, True])
def test_the_spec_makes_the_same_game_again(evaluating):
    env = preprocess_atari(game(), evaluating=evaluating)
    other = gymnasium.make(env.spec)
    actions = np.random.default_rng(1).integers(env.action_space.n, size=STEPS)
    for one in (env, other):
        one.reset(seed=5)
    ours, theirs = played(env, actions), played(other, actions)
    assert all(np.array_equal(one, two) for one, two in zip(ours, theirs, strict=True))
    assert ours[2].any()


def test_games_that_skip_frames_themselves_are_refused():
    with pytest.raises(ValueError, match="frame-skipping"):
        preprocess_atari(gymnasium.make("ALE/Breakout-v5"))


def test_games_that_show_their_memory_are_refused():
    with pytest.raises(ValueError, match=r"shows pictures, got observations of \(128,\)"):
        preprocess_atari(game(obs_type="ram"))


def test_who_is_a_game():
    assert is_atari(gymnasium.spec("ALE/Pong-v5"))
    assert not is_atari(gymnasium.spec("CartPole-v1"))


# ---- by name --------------------------------------------------------------------------------


def test_names_make_preprocessed_games():
    name = EnvironmentName.parse("ALE/Breakout-v5@preprocessing=atari")
    assert EnvironmentName.parse(name.label) == name
    assert name.for_evaluation.label == "ALE/Breakout-v5@preprocessing=atari-evaluation"
    assert name.for_evaluation.for_evaluation == name.for_evaluation
    for one, clipped in ((name, True), (name.for_evaluation, False)):
        env = one.make(render_mode="rgb_array")
        assert env.observation_space.shape == (4, 84, 84)
        wrappers = [wrapper.name for wrapper in env.spec.additional_wrappers]
        assert ("ClipReward" in wrappers) == clipped
        env.reset(seed=0)
        assert env.render().shape == (210, 160, 3)


def test_options_of_the_game_stay():
    name = EnvironmentName.parse("ale_py:ALE/Breakout-v5", ["mode=4", "preprocessing=atari"])
    assert name.make().unwrapped.spec.kwargs["mode"] == 4
    assert name.preprocessed("atari") is name
    plain = EnvironmentName("ALE/Breakout-v5", {"preprocessing": "none"})
    assert plain.make().observation_space.shape == (210, 160, 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("CartPole-v1@preprocessing=atari", "expected a game of the Arcade Learning Environment"),
        ("ALE/Pong-v5@preprocessing=nature", "expected one of none, atari, atari-evaluation, got"),
        ("ALE/Pong-v5@preprocessing=atari,frameskip=4", "expected frameskip=1"),
        ("ALE/Pong-v5@preprocessing=[1]", r"expected one of none, atari, .*got \[1\]"),
        ("ALE/Pung-v5", r"did you mean ALE/Pong-v5\?"),
    ],
)
def test_wrong_names_are_said(text, message):
    with pytest.raises(ValueError, match=message):
        EnvironmentName.parse(text).for_evaluation.make()


def test_an_emulator_that_cannot_be_imported_is_said(monkeypatch):
    def import_broken(name):
        raise ImportError("libz.so.1: cannot open shared object file")

    monkeypatch.setattr("gymagine.experiments.environment_names.import_module", import_broken)
    with pytest.raises(ValueError, match="unknown environment 'ALE/Pong-v5': libz"):
        EnvironmentName("ALE/Pong-v5").make()
