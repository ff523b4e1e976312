"""Generators in files."""

import math
import warnings
from dataclasses import dataclass

import pytest
import torch
from gymagine.configuration import build_config, check_fields
from gymagine.generative.family import AbstractFamily
from gymagine.generative.module_state import load_state, save_state
from gymagine.generative.testing import check_generator
from gymagine.generative.training import fit
from gymagine.storage import write_arrays
from torch import nn
from torch.distributions import constraints


@dataclass(frozen=True)
class LinearConfig:
    width: int = 4
    sizes: tuple[int, ...] = (3, 2)

    def __post_init__(self):
        check_fields(self, {"width": (1, math.inf, True)}, {})


class Linear(AbstractFamily):
    """Squared distances from a linear map of the context."""

    Config = LinearConfig
    name = "linear"

    def __init__(self, event_shape, *, context_shape=None, **hyperparameters):
        super().__init__(
            event_shape,
            context_shape=context_shape,
            support=constraints.real,
            config=build_config(LinearConfig, hyperparameters, "Linear"),
        )
        inputs = math.prod(self.context_shape or (1,))
        width = self.config.width
        self.layers = nn.Sequential(
            nn.Linear(inputs, width), nn.Tanh(), nn.Linear(width, self.num_entries)
        )

    def _mean(self, num, context):
        if context is None:
            context = torch.ones(num, 1, dtype=self.example.dtype)
        return self.layers(context.flatten(1)).view(num, *self.event_shape)

    def _loss(self, x, context, rng):
        return ((x - self._mean(len(x), context)) ** 2).flatten(1).sum(dim=1)

    def _sample(self, num, context, temperature, rng):
        mean = self._mean(num, context)
        return mean + temperature * torch.randn(mean.shape, generator=rng, dtype=mean.dtype)


class Other(Linear):
    name = "other"


def test_the_laws():
    check_generator(Linear((2,)), torch.randn(3, 2))
    check_generator(Linear((2, 2), context_shape=(3,)), torch.randn(3, 2, 2), torch.randn(3, 3))


@pytest.mark.parametrize("context_shape", [None, (3,)])
def test_files(context_shape, tmp_path):
    path = tmp_path / "generator"
    made = Linear((2, 2), context_shape=context_shape, width=7, sizes=(5,))
    made.save(path)
    loaded = Linear.load(path)
    assert loaded.config == made.config
    assert loaded.config.sizes == (5,)
    assert (loaded.event_shape, loaded.context_shape) == (made.event_shape, made.context_shape)
    assert not loaded.training
    for key, value in made.state_dict().items():
        assert torch.equal(value, loaded.state_dict()[key])


def test_foreign_files(tmp_path):
    path = tmp_path / "generator"
    with pytest.raises(FileNotFoundError):
        Linear.load(path)
    Linear((2,)).save(path)
    with pytest.raises(ValueError, match=r"expected a generator of family other, got .*linear"):
        Other.load(path)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(ValueError, match="damaged"):
        Linear.load(path)
    write_arrays(path, {}, {"format": "gymagine-generator-1", "family": "linear"})
    with pytest.raises(ValueError, match="lacks 'config'"):
        Linear.load(path)


def test_states_of_other_makes(tmp_path):
    path = tmp_path / "state"
    save_state(Linear((2,)), path)
    with pytest.raises(ValueError, match=r"expected the state of a Sequential, got one without"):
        load_state(nn.Sequential(nn.Linear(2, 2)), path)
    with pytest.raises(ValueError, match=r"expected layers.0.weight of shape \(5, 1\)"):
        load_state(Linear((2,), width=5), path)
    with pytest.raises(ValueError, match="float64"):
        load_state(Linear((2,)).double(), path)


def test_mistakes():
    with pytest.raises(TypeError, match="Linear has no hyper-parameter 'widht'; did you mean wid"):
        Linear((2,), widht=3)
    with pytest.raises(ValueError, match="expected width"):
        Linear((2,), width=0)
    with pytest.raises(ValueError, match="expected event_shape with at least 1 entry"):
        Linear((2, 0))


def test_a_shape_is_a_tuple(without_shape_checks):
    with pytest.raises(TypeError, match="expected event_shape as a tuple of integers, got 2"):
        Linear(2)


def test_sampling_untrained_is_warned_of():
    generator = Linear((2,))
    with pytest.warns(UserWarning, match="sampling from a Linear in training mode"):
        generator.sample(1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(generator, torch.randn(8, 2), num_updates=1)
        generator.sample(1)


def test_a_generator_of_float64_comes_back_as_such(tmp_path):
    line = Linear((2,)).double()
    line.save(tmp_path / "line")
    loaded = Linear.load(tmp_path / "line")
    assert {p.dtype for p in loaded.parameters()} == {torch.float64}
    for name, value in line.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name
