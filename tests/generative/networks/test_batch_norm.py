"""Batch normalisation against PyTorch's, and statistics that only `settle_batch_norms` moves."""

import pytest
import torch
from gymagine.generative.networks.batch_norm import BatchNorm, settle_batch_norms
from torch import nn

torch.set_num_threads(1)


def filled(norm, rng):
    with torch.no_grad():
        norm.weight.copy_(torch.rand(3, generator=rng) + 0.5)
        norm.bias.copy_(torch.randn(3, generator=rng))
    return norm


@pytest.mark.parametrize("shape", [(6, 3), (6, 3, 4, 5)])
def test_it_is_pytorchs(shape):
    rng = torch.Generator().manual_seed(0)
    own = filled(BatchNorm(3), rng).double()
    theirs = (nn.BatchNorm1d if len(shape) == 2 else nn.BatchNorm2d)(3, momentum=1.0).double()
    with torch.no_grad():
        theirs.weight.copy_(own.weight)
        theirs.bias.copy_(own.bias)
    x = torch.randn(shape, generator=rng, dtype=torch.float64)
    torch.testing.assert_close(own(x), theirs(x))
    assert own.mean.tolist() == [0, 0, 0]  # a pass in training moves nothing
    assert own.variance.tolist() == [1, 1, 1]
    settle_batch_norms(own, lambda: own(x))
    torch.testing.assert_close(own.mean, theirs.running_mean)
    num = x.numel() / 3
    torch.testing.assert_close(own.variance, theirs.running_var * (num - 1) / num)


def test_evaluation_gives_the_settled_batch_what_training_gave():
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Linear(4, 5), BatchNorm(5), nn.ReLU(), nn.Linear(5, 3), BatchNorm(3)
    ).double()
    x = 3 + torch.randn(7, 4, dtype=torch.float64)
    expected = network.train()(x)
    assert (network.eval()(x) - expected).abs().max() > 0.1
    settle_batch_norms(network, lambda: network(x))
    assert not network.training
    torch.testing.assert_close(network(x), expected)
    # an event's output no longer depends on the others
    torch.testing.assert_close(network(x[:1]), expected[:1])


def test_hooks_are_gone_after_an_error():
    norm = BatchNorm(2)

    def fail():
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        settle_batch_norms(norm.eval(), fail)
    assert not norm.training
    norm.train()(torch.ones(3, 2))
    assert norm.mean.tolist() == [0, 0]


@pytest.mark.parametrize("places", [(), (1, 1)])
def test_a_single_number_cannot_be_normalised(places):
    norm, x = BatchNorm(2), torch.ones(1, 2, *places)
    with pytest.raises(ValueError, match=r"expected more than one number of each feature .* got"):
        norm(x)
    assert norm(torch.ones(2, 2, *places)).shape == (2, 2, *places)
    assert norm(torch.ones(1, 2, 3)).shape == (1, 2, 3)
    assert norm.eval()(x).shape == x.shape
