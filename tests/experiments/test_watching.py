import numpy as np
import pytest
from gymagine.experiments.command_line import main
from gymagine.experiments.training import train
from gymagine.experiments.watching import watch, write_video
from PIL import Image


def trained(tmp_path, env):
    return train(
        "q-learning", env, total_timesteps=5_000, evaluation_episodes=0, folder=tmp_path, seed=1
    ).record


def test_a_gif_of_the_environment(tmp_path):
    record = trained(tmp_path, "FrozenLake-v1@is_slippery=false")
    film = tmp_path / "lake.gif"
    returns = watch(record, video=film, num_episodes=2)
    assert returns == [1.0, 1.0]
    with Image.open(film) as picture:
        assert picture.n_frames == 2 * 7  # the first picture and six steps
        assert picture.size == (256, 256)
        assert picture.info["duration"] == 250  # FrozenLake draws four a second


@pytest.mark.slow
def test_our_grids_show_values_and_policy(tmp_path):
    record = trained(tmp_path, "gymagine/Cliff-v0")
    film = tmp_path / "cliff.gif"
    watch(record, video=film, num_episodes=1, max_steps=2)
    plain = record.environment.make(render_mode="rgb_array")
    plain.reset(seed=0)
    with Image.open(film) as picture:
        shown = np.asarray(picture.convert("RGB"))
    bare = plain.render()
    assert shown.shape == bare.shape
    # the heat map covers the floor, three quarters of the cells
    coloured = np.abs(shown.astype(int) - bare.astype(int)).max(axis=2) > 40
    assert coloured.mean() > 0.5


def test_an_mp4(tmp_path):
    ffmpeg = pytest.importorskip("imageio_ffmpeg")
    frames = [np.full((33, 47, 3), shade, dtype=np.uint8) for shade in (0, 128, 255)]
    film = write_video(tmp_path / "film.mp4", frames, fps=5)
    reader = ffmpeg.read_frames(str(film))
    about = next(reader)
    assert about["size"] == (46, 32) and about["fps"] == 5
    shades = [np.frombuffer(frame, dtype=np.uint8).mean() for frame in reader]
    assert np.allclose(shades, [0, 128, 255], atol=4)
    assert [path.name for path in tmp_path.iterdir()] == ["film.mp4"]


@pytest.mark.slow
def test_a_window_is_opened_and_closed(tmp_path, monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    record = trained(tmp_path, "FrozenLake-v1@is_slippery=false")
    assert watch(record, num_episodes=1, max_steps=2) == [0.0]


def test_an_mp4_without_its_library_says_what_to_install(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'gymagine\[video\]'"):
        write_video(tmp_path / "film.mp4", [np.zeros((4, 4, 3), dtype=np.uint8)], fps=5)


def test_mistakes(tmp_path):
    record = trained(tmp_path, "FrozenLake-v1")
    with pytest.raises(ValueError, match=r"a file ending in \.gif or \.mp4, got film\.avi"):
        watch(record, video="film.avi")
    with pytest.raises(ValueError, match="at least one picture"):
        write_video(tmp_path / "film.gif", [], fps=5)


def test_the_command_takes_the_latest_run(tmp_path, capsys):
    trained(tmp_path / "runs", "FrozenLake-v1@is_slippery=false")
    film = tmp_path / "lake.gif"
    words = ["watch", str(tmp_path / "runs"), "--video", str(film), "--episodes", "1"]
    assert main(words) == 0
    assert f"returns: 1; written to {film}" in capsys.readouterr().out
    assert film.stat().st_size > 1_000
