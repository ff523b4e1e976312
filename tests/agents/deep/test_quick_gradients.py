"""Gradients in numpy are autograd's."""

import numpy as np
import pytest
import torch
from gymagine.agents.deep.flat_parameters import FlatParameters
from gymagine.agents.deep.layers import MemberLinear, MemberMLP
from gymagine.agents.deep.quick_gradients import quick_backprop
from torch import nn


class Network(nn.Module):
    def __init__(self, hidden, activation, members):
        super().__init__()
        rngs = [np.random.default_rng(seed) for seed in range(members)]
        self.body = MemberMLP((4, *hidden), activation, rngs=rngs, activate_last=True)
        self.last = MemberLinear((4, *hidden)[-1], 3, rngs=rngs)

    def forward(self, x):
        return self.last(self.body(x))


@pytest.mark.parametrize("hidden", [(), (6,), (8, 5)])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("batch", [7, 9_000])
def test_equal_to_autograds(hidden, activation, members, batch):
    flat = FlatParameters(Network(hidden, activation, members))
    quick = quick_backprop(flat, flat.module.body, flat.module.last)
    generator = torch.Generator().manual_seed(1)
    for _ in range(2):  # the second time nothing is left of the first
        x, dy = torch.randn(members, batch, 7, generator=generator).split([4, 3], dim=2)
        out = flat.module(x)
        flat.write_gradients((out * dy).sum())
        expected = flat.gradients.clone()
        flat.gradients.normal_()
        found = quick.forward(x.numpy())
        quick.backward(dy.numpy())
        np.testing.assert_allclose(found, out.detach().numpy(), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(flat.gradients, expected, rtol=1e-4, atol=2e-6 * batch)


def test_what_numpy_cannot_do_is_left_to_autograd():
    rngs = [np.random.default_rng(0)]
    last = MemberLinear(4, 1, rngs=rngs)
    for body in (
        MemberMLP((4, 4), "silu", rngs=rngs, activate_last=True),
        MemberMLP((4, 4), "tanh", rngs=rngs, activate_last=True, noisy=True),
    ):
        flat = FlatParameters(nn.ModuleList([body, last]))
        assert quick_backprop(flat, *flat.module) is None
