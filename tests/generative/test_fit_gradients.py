"""Compiled or not, a phase's gradient is the one that automatic differentiation finds."""

import pytest
import torch
from gymagine.generative.autoregressive.made import MADE
from gymagine.generative.fit_gradients import gradient_of
from gymagine.generative.flows.real_nvp import RealNVP
from gymagine.generative.generator import AbstractGenerator
from gymagine.generative.trainable import Phase
from torch import nn

CPU = torch.device("cpu")


class Statistical(AbstractGenerator):
    """A regression whose layer keeps statistics, and which has a parameter without a use."""

    def __init__(self):
        super().__init__((3,))
        self.norm, self.linear = nn.BatchNorm1d(3), nn.Linear(3, 1)
        self.unused = nn.Parameter(torch.ones(2))

    def _loss(self, x, context, rng):
        return self.linear(self.norm(x)).square().sum(dim=1)

    def _sample(self, num, context, temperature, rng):
        return torch.zeros(num, 3)


def phase_of(generator):
    parameters = list(generator.parameters())
    return Phase("loss", lambda x, c, rng: generator.loss(x, c, rng=rng), parameters)


def flow():
    return RealNVP((3,), context_shape=(2,), num_couplings=2, hidden_sizes=(8,)).double()


def made():
    return MADE((5,), conditional="bernoulli", hidden_sizes=(16,)).double()


def events(generator):
    rng = torch.Generator().manual_seed(1)
    x = torch.randn(7, *generator.event_shape, generator=rng, dtype=torch.float64)
    if isinstance(generator, MADE):
        x = (x > 0).double()
    context = None
    if generator.context_shape is not None:
        context = torch.randn(7, *generator.context_shape, generator=rng, dtype=torch.float64)
    return x, context


def backward_of(generator, x, context):
    loss = generator.loss(x, context).mean()
    generator.zero_grad()
    loss.backward()
    return loss, [parameter.grad for parameter in generator.parameters()]


@pytest.mark.parametrize("make", [flow, made])
@pytest.mark.parametrize(
    "compiled", [False, pytest.param(True, marks=[pytest.mark.slow])], ids=["eager", "compiled"]
)
def test_it_is_that_of_backward(make, compiled, without_shape_checks):
    torch.manual_seed(0)
    generator = make()
    x, context = events(generator)
    loss, gradients = gradient_of(phase_of(generator), generator, CPU, compiled=compiled)(
        x, context
    )
    assert all(parameter.grad is None for parameter in generator.parameters())
    expected_loss, expected = backward_of(generator, x, context)
    torch.testing.assert_close(loss, expected_loss.detach())
    assert not loss.requires_grad
    assert len(gradients) == len(expected)
    for found, one in zip(gradients, expected, strict=True):
        torch.testing.assert_close(found, one)
        assert not found.requires_grad


@pytest.mark.slow
def test_compiled_gradients_follow_the_parameters(without_shape_checks):
    torch.manual_seed(0)
    generator = flow()
    x, context = events(generator)
    gradient = gradient_of(phase_of(generator), generator, CPU, compiled=True)
    first, _ = gradient(x, context)
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.add_(0.1)
    second, found = gradient(x, context)
    assert first != second
    for one, expected in zip(found, backward_of(generator, x, context)[1], strict=True):
        torch.testing.assert_close(one, expected)


@pytest.mark.parametrize(
    "compiled", [False, pytest.param(True, marks=[pytest.mark.slow])], ids=["eager", "compiled"]
)
def test_statistics_and_unused_parameters(compiled, without_shape_checks):
    torch.manual_seed(0)
    generator = Statistical()
    x = torch.randn(50, 3) * 4 + 1
    _, gradients = gradient_of(phase_of(generator), generator, CPU, compiled=compiled)(x, None)
    names = [name for name, _ in generator.named_parameters()]
    assert gradients[names.index("unused")] is None
    torch.testing.assert_close(generator.norm.running_mean, 0.1 * x.mean(dim=0))
    assert (gradients[names.index("linear.weight")] != 0).any()


class Tied(AbstractGenerator):
    """With a layer that is used twice."""

    def __init__(self):
        super().__init__((3,))
        layer = nn.Linear(3, 3)
        self.network = nn.Sequential(layer, nn.Tanh(), layer)

    def _loss(self, x, context, rng):
        return self.network(x).square().sum(dim=1)

    def _sample(self, num, context, temperature, rng):
        return torch.zeros(num, 3)


@pytest.mark.slow
def test_what_is_no_graph_says_so(without_shape_checks):
    generator, x = Tied(), torch.randn(7, 3)
    with pytest.raises(RuntimeError, match=r"got Tied's, which .* without compile"):
        gradient_of(phase_of(generator), generator, CPU, compiled=True)(x, None)


def test_mixed_precision_computes_in_half_as_many_bits():
    torch.manual_seed(0)
    generator = RealNVP((3,), num_couplings=2, hidden_sizes=(8,))
    x = torch.randn(7, 3)
    phase = phase_of(generator)
    exact, _ = gradient_of(phase, generator, CPU)(x, None)
    rough, found = gradient_of(phase, generator, CPU, mixed_precision=True)(x, None)
    assert exact != rough
    torch.testing.assert_close(exact, rough.to(exact), atol=0.05, rtol=0.02)
    assert all(one.dtype == torch.float32 for one in found)


class Noisy(AbstractGenerator):
    """A regression on noise, whose shape the batch decides."""

    def __init__(self):
        super().__init__((3,))
        self.linear = nn.Linear(3, 1)

    def _loss(self, x, context, rng):
        return self.linear(x + 0.1 * torch.randn(len(x), 3, generator=rng)).square().sum(dim=1)

    def _sample(self, num, context, temperature, rng):
        return torch.zeros(num, 3)


@pytest.mark.slow
def test_many_generators_in_one_process_are_compiled(without_shape_checks):
    # PyTorch keeps graphs by code object: shapes of the others would become unknown numbers
    before = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    for number in range(2, 13):
        torch.manual_seed(0)
        generator = Noisy()
        gradient = gradient_of(phase_of(generator), generator, CPU, compiled=True)
        loss, (found, _) = gradient(torch.ones(number, 3), None)
        assert loss.isfinite() and found.isfinite().all()
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == before + 11


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (lambda x: (x - 1).square().mean(), r"expected nll of shape \(7,\), .* got \(\)"),
        (lambda x: (x - 1).square(), r"expected nll of shape \(7,\), .* got \(7, 3\)"),
        (lambda x: x.detach().sum(dim=1), "expected nll that depends on parameters of RealNVP"),
    ],
)
def test_a_loss_is_one_number_of_each_event_with_a_gradient(loss, message):
    generator = flow()
    x, context = events(generator)
    shift = next(generator.parameters())
    phase = Phase("nll", lambda x, c, rng: loss(x + shift.sum()), [shift])
    with pytest.raises(ValueError, match=message):
        gradient_of(phase, generator, CPU)(x, context)
