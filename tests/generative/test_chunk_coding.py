"""Chunks as events of real numbers and of levels, and back."""

import numpy as np
import pytest
import torch
from gymagine.generative.autoregressive.made import MADE
from gymagine.generative.baselines.mixture_regression import MixtureRegression
from gymagine.generative.baselines.regression import Regression
from gymagine.generative.chunk_coding import ChunkCoding, ChunkNoise, generator_of_chunks
from gymagine.generative.codec import Codec
from gymagine.generative.diffusion.ddpm import DDPM
from gymnasium import spaces

MIXED = spaces.Dict(
    arm=spaces.Box(-2, 2, (2,)), gear=spaces.Discrete(3, start=1), lamps=spaces.MultiBinary(2)
)


def mixed_rows(num):
    """(num, 2, 7) of values that levels from 0 to 4 can tell, and the values."""
    rng = np.random.default_rng(0)
    values = {
        "arm": (rng.integers(0, 5, (2 * num, 2)) - 2).astype(np.float32),
        "gear": rng.integers(1, 4, 2 * num),
        "lamps": rng.integers(0, 2, (2 * num, 2)).astype(np.int8),
    }
    codec = Codec(MIXED)
    codec.normaliser.scale.fill_(2.0)  # the arm's numbers go from -1 to 1
    return codec, codec.encode(values).view(num, 2, 7), values


@pytest.mark.parametrize("layout", ["vector", "sequence"])
@pytest.mark.parametrize("num_levels", [None, 5])
def test_events_and_back(layout, num_levels):
    codec, rows, values = mixed_rows(6)
    coding = ChunkCoding(codec, 2, layout=layout, num_levels=num_levels)
    events = coding.events(rows)
    assert tuple(events.shape[1:]) == coding.event_shape
    torch.testing.assert_close(coding.rows(events), rows)
    back = codec.decode(coding.rows(events).flatten(0, 1))
    for key, array in values.items():
        np.testing.assert_array_equal(back[key], array)
    if num_levels is not None:
        assert coding.event_shape == (2 * 5,)  # a number for each of two, a category, two bits
        assert events.dtype == torch.int64 and events.max() <= 4


def test_a_sequence_has_time_last():
    codec, rows, _ = mixed_rows(3)
    events = ChunkCoding(codec, 2, layout="sequence").events(rows)
    assert torch.equal(events[:, :, 1], rows[:, 1])


def test_levels_reach_both_ends_and_round():
    codec = Codec(spaces.Box(-1, 1, (1,), np.float64))
    coding = ChunkCoding(codec, 1, num_levels=11)
    x = torch.tensor([-1.0, -0.95, 0.44, 1.0, 3.0]).view(-1, 1, 1)
    assert coding.rows(coding.events(x)).flatten() == pytest.approx([-1, -1, 0.4, 1, 1])


def test_supports_say_what_a_chunk_is():
    codec = Codec(spaces.Box(-1, 1, (2,)))

    def made(family, **given):
        return generator_of_chunks(
            lambda shape: family(shape, context_shape=(3,), **given), codec, 4
        )[0]

    assert made(Regression).event_shape == (8,)
    levels = made(MADE, conditional="categorical", num_levels=9, hidden_sizes=(8,))
    assert levels.event_shape == (8,) and levels.support.upper_bound == 8
    generator, _ = generator_of_chunks(
        lambda shape: DDPM(shape, context_shape=(3,), network="unet", channels=8),
        codec,
        4,
        "sequence",
    )
    assert generator.event_shape == (2, 4)
    with pytest.raises(ValueError, match="expected a generator of real numbers, or of more than"):
        made(MADE, hidden_sizes=(8,))  # of zeros and ones
    gears = Codec(spaces.Discrete(7))
    with pytest.raises(ValueError, match="expected at least 7 levels for the 7 values"):
        generator_of_chunks(
            lambda shape: MADE(shape, conditional="categorical", num_levels=5), gears, 4
        )
    assert generator_of_chunks(MixtureRegression, gears, 2)[0].num_entries == 14


def test_a_level_too_much_is_the_last_category():
    coding = ChunkCoding(Codec(spaces.Discrete(3)), 1, num_levels=5)
    assert coding.rows(torch.tensor([[4], [1]])).argmax(dim=2).flatten().tolist() == [2, 1]


def test_noise_is_of_each_entry():
    noise = ChunkNoise((0.0, 1.0, 0.0, 3.0))
    x = torch.zeros(5_000, 2, 2)
    deviations = noise(x, torch.Generator().manual_seed(0)).std(dim=0)
    torch.testing.assert_close(
        deviations, torch.tensor([[0.0, 1.0], [0.0, 3.0]]), atol=0.1, rtol=0
    )
