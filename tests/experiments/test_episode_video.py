"""Runs leave a film of an episode in TensorBoard, and nothing else of them changes."""

import io

import gymnasium
import numpy as np
import pytest
from gymagine.experiments.command_line import main
from gymagine.experiments.environment_names import EnvironmentName
from gymagine.experiments.episode_video import cut_film
from gymagine.experiments.population_training import train_population
from gymagine.experiments.recording import Recording
from gymagine.experiments.records import RunRecord
from gymagine.experiments.training import resume, train
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

LAKE = "FrozenLake-v1@is_slippery=false"
SMALL = {"total_timesteps": 5_000, "evaluation_episodes": 0, "seed": 1}
MEMBERS = {
    "seeds": 2,
    "total_timesteps": 40,
    "evaluate_every": 40,
    "evaluation_episodes": 1,
    "final_episodes": 1,
    "learning_starts": 10,
    "batch_size": 4,
    "buffer_size": 100,
    "hidden_sizes": (4,),
}


def films(record):
    found = []
    for path in record.folder.glob("events*"):
        accumulator = EventAccumulator(str(path)).Reload()
        if "video/episode" in accumulator.Tags()["images"]:
            found += accumulator.Images("video/episode")
    return sorted(found, key=lambda film: film.step)


def pictures(content):
    with Image.open(io.BytesIO(content)) as film:
        shown, milliseconds = [], []
        for number in range(film.n_frames):
            film.seek(number)
            shown.append(np.asarray(film.convert("RGB")))
            milliseconds.append(film.info["duration"])
        return shown, milliseconds


def shades(number, size=(8, 8)):
    """Pictures of one grey each, all different from the one before."""
    return [np.full((*size, 3), 40 + 7 * k % 200, dtype=np.uint8) for k in range(number)]


@pytest.mark.parametrize(
    ("steps", "rate", "kept", "shown"),
    [
        (11, 4.0, 11, 4.0),  # as fast as the environment
        (250, 50.0, 250, 50.0),
        (501, 50.0, 251, 25.0),  # every second one, at the same speed
        (1_001, 2.0, 251, 251 / 30),  # over after half a minute
        (1_000, 200.0, 251, 50.0),  # no faster than a GIF can be
        (298, 1.0, 298, 298 / 30),
    ],
)
def test_a_film_is_bounded(steps, rate, kept, shown):
    film = cut_film(iter(shades(steps)), rate=rate)
    assert film.num_pictures == kept
    assert film.rate == pytest.approx(shown)
    frames, durations = pictures(film.content)
    assert len(frames) == kept
    assert durations[0] == pytest.approx(1000 / shown, abs=10)  # GIF counts hundredths of a second
    assert np.abs(frames[0].astype(int) - shades(1)[0]).max() <= 4
    assert np.abs(frames[-1].astype(int) - shades(steps)[-1]).max() <= 4  # how it ended


@pytest.mark.parametrize(
    ("size", "smaller"), [((400, 600), (200, 300)), ((320, 8), (320, 8)), ((700, 321), (234, 107))]
)
def test_large_pictures_are_drawn_smaller(size, smaller):
    film = cut_film(shades(3, size), rate=10.0)
    assert (film.height, film.width) == smaller
    frames, _ = pictures(film.content)
    assert frames[0].shape == (*smaller, 3)


def test_no_pictures_are_no_film():
    with pytest.raises(ValueError, match="at least one picture"):
        cut_film([], rate=10.0)


@pytest.mark.slow
def test_the_film_is_the_episode_and_changes_nothing(tmp_path):
    plain = train("q-learning", LAKE, folder=tmp_path / "plain", **SMALL).record
    record = train("q-learning", LAKE, folder=tmp_path / "filmed", video=True, **SMALL).record
    (film,) = films(record)
    assert film.step == 5_000
    assert (film.width, film.height) == (256, 256)
    frames, durations = pictures(film.encoded_image_string)
    # the shortest way over the lake has six steps, and FrozenLake draws four a second
    assert durations == [250] * 7
    env = EnvironmentName.parse(LAKE).make(render_mode="rgb_array")
    env.reset(seed=0)
    difference = np.abs(frames[0].astype(int) - env.render())
    assert difference.mean() < 8  # 64 colours are not all
    assert len(film.encoded_image_string) < 200_000
    assert films(plain) == []
    assert record.checkpoint.read_bytes() == plain.checkpoint.read_bytes()
    told, untold = (
        [(point.timesteps, point.score) for point in one.evaluations()] for one in (record, plain)
    )
    assert told == untold


def test_each_member_of_a_population_has_its_film(tmp_path):
    plain = train_population("dqn", "CartPole-v1", folder=tmp_path / "plain", **MEMBERS)
    filmed = train_population("dqn", "CartPole-v1", folder=tmp_path / "f", video=True, **MEMBERS)
    for one, other in zip(filmed, plain, strict=True):
        (film,) = films(one.record)
        assert (film.step, film.width, film.height) == (40, 300, 200)
        assert len(pictures(film.encoded_image_string)[0]) > 5
        assert one.record.checkpoint.read_bytes() == other.record.checkpoint.read_bytes()


@pytest.mark.slow
def test_a_run_that_was_killed_before_its_film_makes_it_when_it_is_resumed(tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    def kill(self, agent):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Recording, "film", kill)
        with pytest.raises(Killed):
            train("q-learning", LAKE, folder=tmp_path, video=True, **SMALL)
    (config,) = tmp_path.rglob("config.json")
    record = RunRecord.open(config.parent)
    assert (record.status, films(record)) == ("running", [])
    assert resume(record).status == "finished"
    assert [film.step for film in films(record)] == [5_000]
    resume(record, total_timesteps=6_000)
    assert [film.step for film in films(record)] == [5_000, 6_000]


class Blind(gymnasium.Env):
    """Cannot be drawn, or only until its library breaks."""

    observation_space = gymnasium.spaces.Discrete(2)
    action_space = gymnasium.spaces.Discrete(2)
    broken_after = 0

    def __init__(self, render_mode=None):
        self.render_mode = render_mode

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return 0, {}

    def step(self, action):
        return 1, 1.0, True, False, {}

    def render(self):
        if Blind.broken_after == 0:
            raise RuntimeError("no display")
        Blind.broken_after -= 1
        return np.zeros((4, 4, 3), dtype=np.uint8)


class Drawable(Blind):
    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012  (Gymnasium's own form)


@pytest.fixture
def blind():
    gymnasium.register("Blind-v0", Blind)
    gymnasium.register("Drawable-v0", Drawable)
    yield
    del gymnasium.registry["Blind-v0"], gymnasium.registry["Drawable-v0"]


SHORT = {"total_timesteps": 20, "evaluation_episodes": 1, "final_episodes": 1}


@pytest.mark.usefixtures("blind")
def test_what_cannot_be_drawn_is_told_before_anything_is_written(tmp_path, capsys):
    Blind.broken_after = 0
    wanted = "Blind-v0 cannot be drawn for a video: it knows no way, not rgb_array"
    with pytest.raises(ValueError, match=wanted):
        train("q-learning", "Blind-v0", folder=tmp_path, video=True, **SHORT)
    with pytest.raises(ValueError, match="Drawable-v0 cannot be drawn for a video: no display"):
        train("q-learning", "Drawable-v0", folder=tmp_path, video=True, **SHORT)
    with pytest.raises(ValueError, match=wanted):
        train_population("dqn", "Blind-v0", folder=tmp_path, video=True, **MEMBERS)
    words = ["train", "q-learning", "Blind-v0", "--video", "--folder", str(tmp_path)]
    assert main(words) == 2
    assert capsys.readouterr().err == f"gymagine: error: {wanted}\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("blind")
def test_a_film_that_fails_in_the_end_is_told_and_fails_no_run(tmp_path, caplog):
    Blind.broken_after = 1  # the picture that is drawn to see whether it can be
    result = train("q-learning", "Drawable-v0", folder=tmp_path, video=True, **SHORT)
    assert result.status == result.record.status == "finished"
    assert films(result.record) == []
    assert "has no video: RuntimeError: no display" in caplog.text


def test_an_environment_object_is_made_again_with_its_wrappers(tmp_path):
    env = gymnasium.wrappers.TimeLimit(gymnasium.make("CartPole-v1"), 5)
    result = train("random", env, folder=tmp_path, video=True, **SHORT)
    (film,) = films(result.record)
    durations = pictures(film.encoded_image_string)[1]
    assert sum(durations) == 6 * 20  # pictures that do not differ are one that is shown longer


def test_an_object_that_cannot_be_made_again_must_draw_itself(tmp_path):
    wanted = r"expected evaluation_env=... with render_mode='rgb_array' for a video"
    env = Drawable()
    with pytest.raises(ValueError, match=wanted):
        train("random", env, evaluation_env=Drawable(), folder=tmp_path, video=True, **SHORT)
    Blind.broken_after = 9
    seen = Drawable(render_mode="rgb_array")
    result = train("random", env, evaluation_env=seen, folder=tmp_path, video=True, **SHORT)
    (film,) = films(result.record)
    assert (film.width, film.height) == (4, 4)
