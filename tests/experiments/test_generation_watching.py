"""What is drawn of generators whose events are known."""

import numpy as np
import pytest
import torch
from gymagine.experiments.generation_data import data_for
from gymagine.experiments.generation_watching import (
    Completing,
    GenerationWatcher,
    completions,
    interpolations,
    pictures_of,
    reconstructions,
    samples,
    write_pictures,
)
from gymagine.experiments.scalars import open_logger, read_rows
from gymagine.generative.data.dataset import Dataset, Events
from gymagine.generative.data.preparation import DynamicBinarisation, Scaling
from gymagine.generative.generator import AbstractGenerator, AbstractLatent
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

X = torch.arange(256, dtype=torch.uint8).repeat_interleave(4).view(-1, 1, 2, 2)
PICTURES = Dataset(Events(X), None, Events(X.flip(0)), prepare=Scaling(), name="flat")


class Flat(AbstractGenerator, AbstractLatent):
    """Pictures of one grey each; the grey is the latent, and the class where there are some."""

    latent_shape = (1,)

    def __init__(self, context_shape=None, event_shape=(1, 2, 2)):
        super().__init__(event_shape, context_shape=context_shape)
        self.grey = torch.nn.Parameter(torch.tensor(0.25))

    def _loss(self, x, context, rng):
        return (x - self.grey).flatten(1).square().sum(dim=1)

    def _sample(self, num, context, temperature, rng):
        grey = self.grey.expand(num) if context is None else context.argmax(1) / 10
        return self.decode(temperature * grey[:, None])

    def encode(self, x, context=None, *, rng=None):
        return x.flatten(1)[:, :1]

    def decode(self, z, context=None):
        return z.view(-1, 1, 1, 1).expand(-1, *self.event_shape)

    def complete(self, x, known, context=None, *, temperature=1.0, rng=None):
        return torch.where(known, x, temperature * self.grey)


def cells(picture, num_columns, num_rows, side=2):
    """(rows, columns) the grey of each picture of a grid, in [0, 1]."""
    factor = picture.shape[1] // (num_columns * (side + 1) + 1)
    assert picture.shape[0] == factor * (num_rows * (side + 1) + 1)
    small = picture[::factor, ::factor, 0] / 255
    return small[1 :: side + 1, 1 :: side + 1][:num_rows, :num_columns]


def test_samples_are_what_the_generator_draws():
    drawn = cells(samples(Flat(), PICTURES, num=4), 2, 2)
    np.testing.assert_allclose(drawn, 0.25, atol=0.003)
    cold = cells(samples(Flat(), PICTURES, num=4, temperature=0.0), 2, 2)
    np.testing.assert_array_equal(cold, 0)


def test_a_row_of_samples_for_each_class():
    drawn = cells(samples(Flat((10,)), PICTURES, num=3), 3, 10)
    np.testing.assert_allclose(drawn, np.tile(np.arange(10) / 10, (3, 1)).T, atol=0.003)


def test_real_events_stand_above_what_comes_back():
    above, below = cells(reconstructions(Flat(), PICTURES), 16, 2)
    np.testing.assert_array_equal(above, below)
    np.testing.assert_allclose(above * 255, 255 - np.arange(16))  # the first of the test events


def test_lines_between_latents_are_straight():
    data = Dataset(Events(X[::16]), None, Events(X[::16]), prepare=Scaling(), name="flat")
    rows = cells(interpolations(Flat(), data), 10, 8)
    np.testing.assert_allclose(rows[:, 0], np.arange(0, 256, 32) / 255, atol=0.003)
    np.testing.assert_allclose(rows[:, -1], np.arange(16, 256, 32) / 255, atol=0.003)
    np.testing.assert_allclose(np.diff(rows, n=2, axis=1), 0, atol=0.009)  # but for rounding


def test_the_upper_half_is_kept_and_the_rest_drawn():
    picture = completions(Flat(), PICTURES)
    factor = picture.shape[1] // (16 * 3 + 1)
    small = picture[::factor, ::factor, 0] / 255
    real, told, drawn = (small[1 + 3 * i : 3 + 3 * i, 1::3][:, :16] for i in range(3))
    np.testing.assert_array_equal(told[0], real[0])
    np.testing.assert_array_equal(drawn[0], real[0])
    assert (told[1] == told[1].min()).all()
    np.testing.assert_allclose(drawn[1], 0.25, atol=0.003)


def test_what_cannot_be_told_a_part_is_refused():
    class Plain(AbstractGenerator):
        def __init__(self):
            super().__init__((1, 2, 2))

        def _loss(self, x, context, rng):
            return x.flatten(1).sum(dim=1)

        def _sample(self, num, context, temperature, rng):
            return torch.zeros(num, 1, 2, 2)

    assert isinstance(Flat(), Completing)
    assert not isinstance(Plain(), Completing)
    with pytest.raises(ValueError, match="expected a generator that completes events, got Plain"):
        completions(Plain(), PICTURES)
    assert set(pictures_of(Plain(), PICTURES, 0)) == {"samples"}


def test_codes_have_nothing_between_them():
    class Coded(Flat):
        def encode(self, x, context=None, *, rng=None):
            return (255 * super().encode(x)).long()

        def decode(self, z, context=None):
            return super().decode(z / 255)

    assert set(pictures_of(Flat(), PICTURES, 0)) == {
        "samples",
        "reconstructions",
        "interpolations",
    }
    assert set(pictures_of(Coded(), PICTURES, 0)) == {"samples", "reconstructions"}


def test_noise_of_the_preparation_is_the_seeds():
    noisy = Dataset(Events(X), None, Events(X[100:]), prepare=DynamicBinarisation(), name="flat")
    found = []
    for seed in (0, 0, 1):
        torch.randn(17)  # noise of others
        found.append(reconstructions(Flat(), noisy, seed=seed))
    np.testing.assert_array_equal(found[0], found[1])
    assert (found[0] != found[2]).any()


def test_points_are_drawn_beside_the_data():
    class Point(Flat):
        def __init__(self):
            super().__init__(event_shape=(2,))

        def _sample(self, num, context, temperature, rng):
            return torch.randn(num, 2, generator=rng)

        def decode(self, z, context=None):
            return z.expand(-1, 2)

    moons = data_for("nice", "moons")
    once, again, other = (samples(Point(), moons, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(once, again)
    half = once.shape[1] // 2
    assert (once[:, :half] == other[:, :half]).mean() > 0.999  # the data, but for a pixel of frame
    assert (once[:, half:] != other[:, half:]).any()


def test_the_watcher_writes_scalars_and_pictures(tmp_path):
    logger = open_logger(tmp_path)
    watcher = GenerationWatcher(logger, PICTURES, seed=0)
    watcher.logged(10, {"train/loss": 2.5})
    watcher.evaluated(10, Flat())
    logger.close()
    assert read_rows(tmp_path / "metrics.csv") == [{"time/total_timesteps": 10, "train/loss": 2.5}]
    events = EventAccumulator(str(tmp_path)).Reload()
    assert {tag for tag in events.Tags()["images"]} == {
        "pictures/samples",
        "pictures/reconstructions",
        "pictures/interpolations",
    }


def test_pictures_of_the_same_parameters_are_drawn_once(tmp_path):
    class Counted(Flat):
        num_draws = 0

        def __init__(self):
            super().__init__()
            self.level = torch.nn.Parameter(torch.zeros(()))

        def _sample(self, num, context, temperature, rng):
            self.num_draws += 1
            return super()._sample(num, context, temperature, rng)

    watcher, counted = GenerationWatcher(open_logger(tmp_path), PICTURES, seed=0), Counted()
    watcher.evaluated(10, counted)
    drawn = counted.num_draws
    assert drawn > 0
    watcher.pictures(counted)
    assert counted.num_draws == drawn
    counted.level.data += 1  # in place: what was kept must be a copy
    watcher.pictures(counted)
    assert counted.num_draws == 2 * drawn


def test_pictures_become_files(tmp_path):
    write_pictures(pictures_of(Flat(), PICTURES, 0), tmp_path)
    for name, picture in pictures_of(Flat(), PICTURES, 0).items():
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / f"{name}.png")), picture)
