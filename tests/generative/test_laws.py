"""What every family of the catalogue owes its users: warnings and clear refusals."""

import copy
import dataclasses
import math
import warnings

import pytest
import torch
from gymagine.experiments.generator_catalogue import GENERATORS, generator_class
from gymagine.generative.data.dataset import Dataset, Events
from gymagine.generative.diffusion.abstract_diffusion import AbstractDiffusion
from gymagine.generative.generator import AbstractBound, AbstractDensity, AbstractMeanSampler
from gymagine.generative.trainable import AbstractTwoStage
from gymagine.generative.training import fit

PICTURES = {"dcgan", "gated-pixelcnn"}  # take nothing else
SMALL = {
    "hidden_sizes": (8,),
    "latent_size": 2,
    "channels": (4,),
    "num_couplings": 2,
    "num_transforms": 2,
    "num_layers": 1,
    "num_features": 4,
    "num_head_features": 4,
    "width": 8,
    "num_heads": 2,
    "num_steps": 4,
    "num_codes": 4,
    "num_unrolled": 1,
}
FEW = {"num_updates": 1, "batch_size": 4}

every_family = pytest.mark.parametrize("name", GENERATORS)


def shape_for(name):
    return (1, 4, 4) if name in PICTURES else (4,)


def made(name, event_shape=None, context_shape=None, **given):
    """A small one, with the same first parameters each time."""
    family = generator_class(name)
    own = {field.name: str(field.type) for field in dataclasses.fields(family.Config)}
    small = {
        key: value[0] if isinstance(value, tuple) and own[key].startswith("int") else value
        for key, value in SMALL.items()
        if key in own
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return family(
            event_shape or shape_for(name), context_shape=context_shape, **(small | given)
        )


def events_of(generator, num=6):
    """In the support."""
    support, shape = generator.support, (num, *generator.event_shape)
    rng = torch.Generator().manual_seed(0)
    if hasattr(support, "lower_bound"):
        low, high = support.lower_bound, support.upper_bound
        if support.is_discrete:
            return torch.randint(int(low), int(high) + 1, shape, generator=rng)
        return low + (high - low) * torch.rand(shape, generator=rng)
    if support.is_discrete:
        return torch.rand(shape, generator=rng).round()
    return torch.randn(shape, generator=rng)


def trained(name):
    generator = made(name)
    data = Dataset(Events(events_of(generator)))
    fit(generator, data, **FEW)
    if isinstance(generator, AbstractTwoStage):
        generator.fit_second(data, seed=0, **FEW)
    return generator


# ---- what is not trained ------------------------------------------------------------------------


@every_family
def test_sampling_is_warned_of_until_training_is_done(name, tmp_path, without_shape_checks):
    told = f"sampling from a {generator_class(name).__name__} in training mode"
    generator = made(name)
    draws = {"sample": lambda: generator.sample(2)}
    if isinstance(generator, AbstractMeanSampler):
        draws["sample_means"] = lambda: generator.sample_means(2)
    if isinstance(generator, AbstractDiffusion):
        x, known = torch.zeros(2, 4), torch.ones(2, 4, dtype=torch.bool)
        draws["complete"] = lambda: generator.complete(x, known)
        draws["sample_tilted"] = lambda: generator.sample_tilted(2, lambda x: x.sum(dim=1))
    for draw in (*draws.values(), *draws.values()):  # each time
        with pytest.warns(UserWarning, match=told):
            draw()
    done = trained(name)
    done.save(tmp_path / "generator")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        done.sample(2)
        generator_class(name).load(tmp_path / "generator").sample(2)
    with pytest.warns(UserWarning, match=told):
        copy.deepcopy(done).train().sample(2)


# ---- what cannot be constructed -----------------------------------------------------------------

NO_SHAPES = [3, None, "12", b"12", (2.5,), (4.0,), ("3",), (None,), (True,), ((3,),)]
NO_SIZES = [(0,), (-1,), (10**20,), ()]


@every_family
@pytest.mark.parametrize("which", ["event_shape", "context_shape"])
def test_shapes_are_tuples_of_sizes(name, which, without_shape_checks):
    family, usual = generator_class(name), {"event_shape": shape_for(name)}
    for shapes, error in ((NO_SHAPES, TypeError), (NO_SIZES, ValueError)):
        for shape in shapes:
            if shape is None and which == "context_shape":
                continue
            with pytest.raises(error, match="expected ") as raised:
                family(**(usual | {which: shape}))
            assert "got" in str(raised.value)


@every_family
def test_shapes_may_be_lists_and_numpys_numbers(name):
    shape = [torch.zeros(size).numpy().size for size in shape_for(name)]
    assert made(name, shape, torch.Size([3])).event_shape == shape_for(name)


HOSTILE = {
    "int": [0, -1, 2.5, True, "3", math.nan, math.inf, (3,), [3], 10**20, 7],
    "float": [-1, 0, True, "3", math.nan, math.inf, -math.inf, (3,), 10**20],
    "tuple": [(), (0,), (-1,), (2.5,), (True,), ("3",), (3, 0), 3, "33", (None,), ((3,),), (5, 3)],
    "bool": [0, 1, "yes", 0.5],
    "word": ["nonsense", "", 3, ("a",), 1.5],
}


def kind_of(annotation):
    if "tuple" in annotation:
        return "tuple"
    return next((kind for kind in HOSTILE if annotation.startswith(kind)), "word")


@every_family
@pytest.mark.parametrize("event_shape", [(4,), (2, 6), (1, 4, 4)], ids=str)
def test_every_hyperparameter_is_looked_at(name, event_shape, without_shape_checks):
    """What a family takes works, and what it does not is refused in words of ours."""
    family, refused = generator_class(name), 0
    networks = [{}]
    if "network" in {field.name for field in dataclasses.fields(family.Config)}:
        networks += [{"network": word} for word in ("convolutional", "unet", "transformer")]
    for field in dataclasses.fields(family.Config):
        for value in HOSTILE[kind_of(str(field.type))]:
            if isinstance(value, int) and value > 10**6 and kind_of(str(field.type)) == "float":
                continue
            for network in networks:
                given = network | {field.name: value}
                try:
                    generator = family(event_shape, **given)
                except (ValueError, TypeError) as error:
                    assert str(error).startswith("expected "), f"{given}: {error}"
                    refused += 1
                    continue
                assert generator.event_shape == event_shape
    assert refused > 10


# ---- what cannot be asked -----------------------------------------------------------------------


def calls_of(generator):
    """What takes events, by name."""
    found = {"loss": generator.loss}
    if isinstance(generator, AbstractDensity):
        found["log_prob"] = generator.log_prob
    if isinstance(generator, AbstractBound):
        found["log_prob_bound"] = generator.log_prob_bound
    if hasattr(generator, "complete"):
        known = torch.ones(6, *generator.event_shape, dtype=torch.bool)
        found["complete"] = lambda x, context=None: generator.complete(x, known, context)

    def fitted(x, context=None):
        fit(copy.deepcopy(generator), Dataset(Events(x, context)), **FEW)

    found["fit"] = fitted
    return found


def with_one(x, value):
    other = x.clone()
    other.view(-1)[3] = value
    return other


@every_family
def test_events_that_cannot_be(name, without_shape_checks):
    generator = made(name).eval()
    x = events_of(generator)
    mistakes = {
        "too few entries": x[..., :-1],
        "an axis too much": x.unsqueeze(1),
        "an array": x.numpy(),
        "a list": x.tolist(),
    }
    if x.is_floating_point():
        mistakes |= {"NaN": with_one(x, math.nan), "infinity": with_one(x, math.inf)}
    if not generator.support.is_discrete:
        mistakes |= {"64 bits": x.double(), "whole numbers": x.long()}
    if hasattr(generator.support, "lower_bound") or generator.support.is_discrete:
        mistakes["outside"] = with_one(x, 1_000)
        mistakes["below"] = with_one(x, -3)
    for method, call in calls_of(generator).items():
        call(x)
        for what, wrong in mistakes.items():
            with pytest.raises((ValueError, TypeError), match="expected ") as raised:
                call(wrong)
            assert "got" in str(raised.value), (method, what)
        if method != "complete":  # of which each call has as many as are known
            call(x[:2])
            with pytest.raises(ValueError, match="expected at least one event, got shape"):
                call(x[:0])


@every_family
def test_contexts_that_cannot_be(name, without_shape_checks):
    generator = made(name, context_shape=(3,)).eval()
    x, context = events_of(generator), torch.randn(6, 3)
    mistakes = {
        "none": None,
        "NaN": with_one(context, math.nan),
        "a column too few": context[:, :2],
        "an axis too few": context[:, 0],
        "64 bits": context.double(),
        "whole numbers": context.long(),
        "an array": context.numpy(),
    }
    draws = {"sample": generator.sample}
    if isinstance(generator, AbstractMeanSampler):
        draws["sample_means"] = generator.sample_means
    for method, call in calls_of(generator).items():
        call(x, context)
        for what, wrong in (mistakes | {"a row too few": context[1:]}).items():
            with pytest.raises((ValueError, TypeError), match="expected ") as raised:
                call(x, wrong)
            assert "got" in str(raised.value), (method, what)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that nothing is trained
        for method, draw in draws.items():
            draw(1, context[:1])
            for what, wrong in (mistakes | {"nothing": context[:0]}).items():
                with pytest.raises((ValueError, TypeError), match="expected ") as raised:
                    draw(2, wrong)
                assert "got" in str(raised.value), (method, what)
            for num in (0, -1, 2.5, "3", True, None):
                with pytest.raises((ValueError, TypeError), match=r"expected .*sample.*, got"):
                    draw(num, context)
            for temperature in (-1.0, math.nan, math.inf, "1", None, True):
                with pytest.raises((ValueError, TypeError), match=r"expected a temperature .*got"):
                    draw(2, context, temperature=temperature)


@every_family
def test_few_events_are_enough(name):
    """One event, or fewer than a batch has."""
    for num in (1, 3):
        generator = made(name)
        if name == "dcgan":
            generator = made(name, (1, 8, 8))  # whose maps have several places
        fit(generator, events_of(generator, num), num_updates=1, batch_size=128)
        assert all(parameter.isfinite().all() for parameter in generator.parameters())
