"""One matrix of parameters: the module, its gradients and the members' parts act on it."""

import numpy as np
import pytest
import torch
from gymagine.agents.deep.flat_parameters import FlatParameters
from gymagine.agents.deep.layers import MemberConv2d, MemberMLP
from torch import nn


def network(members=3):
    rngs = [np.random.default_rng(seed) for seed in range(members)]
    return MemberMLP((4, 5, 2), "tanh", rngs=rngs, activate_last=False)


def test_the_module_computes_the_same_and_follows_the_matrix():
    x = torch.randn(3, 7, 4)
    before = network()(x)
    flat = FlatParameters(network())
    assert flat.values.shape == (3, 4 * 5 + 5 + 5 * 2 + 2)
    torch.testing.assert_close(flat.module(x), before, rtol=0, atol=0)
    flat.values.zero_()
    assert (flat.module(x) == 0).all()
    flat.views(flat.values)["layers.1.bias"].fill_(2.0)
    assert (flat.module(x) == 2).all()


def test_gradients_arrive_in_the_matrix():
    x, own = torch.randn(3, 7, 4), network()
    own(x).square().sum().backward()
    flat = FlatParameters(network())
    for _ in range(2):  # nothing adds up
        flat.write_gradients(flat.module(x).square().sum())
        for name, parameter in own.named_parameters():
            torch.testing.assert_close(flat.views(flat.gradients)[name], parameter.grad)
    for parameter, slope in flat.slopes.items():
        assert slope.shape == parameter.shape
    flat.write_gradients(flat.module.layers[1].bias.sum())
    assert flat.gradients.sum() == 3 * 2
    assert (flat.views(flat.gradients)["layers.1.bias"] == 1).all()


def test_a_member_is_a_part_of_the_same_numbers():
    x = torch.randn(1, 7, 4)
    flat = FlatParameters(network())
    whole = flat.module(x.expand(3, 7, 4))
    part = flat.of_member(1)
    torch.testing.assert_close(part.module(x)[0], whole[1])
    part.write_gradients(part.module(x).sum())
    assert (flat.gradients[1] != 0).any()
    assert (flat.gradients[[0, 2]] == 0).all()
    part.values.add_(1.0)
    torch.testing.assert_close(flat.module(x.expand(3, 7, 4))[1], part.module(x)[0])
    torch.testing.assert_close(flat.module(x.expand(3, 7, 4))[2], whole[2])


def test_convolutions_too():
    rngs = [np.random.default_rng(seed) for seed in range(2)]
    layer = MemberConv2d(3, 4, kernel_size=3, rngs=rngs)
    x = torch.randn(2, 5, 3, 6, 6)
    before = layer(x)
    torch.testing.assert_close(FlatParameters(layer).module(x), before)


def test_members_must_agree():
    with pytest.raises(ValueError, match="one number of members"):
        FlatParameters(nn.ModuleList([network(2), network(3)]))
