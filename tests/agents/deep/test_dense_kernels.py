"""Compiled networks are those in PyTorch; choices follow their rates."""

import gymnasium
import numpy as np
import pytest
import torch
from gymagine.agents.deep.encoders import Encoder
from gymagine.agents.deep.networks import QNetwork
from gymagine.agents.deep.q_losses import QLossSettings
from gymagine.agents.deep.q_update import QUpdate
from gymagine.agents.deep.quick_values import quick_values

SPACES = [gymnasium.spaces.Box(-1, 1, (3,)), gymnasium.spaces.Discrete(4)]


def quick_network(activation="relu", sizes=(7, 5), **switches):
    rngs = [np.random.default_rng(seed) for seed in range(3)]
    encoder = Encoder(SPACES, "ab", rngs=rngs)
    network = QNetwork(
        encoder, 3, rngs=rngs, hidden_sizes=sizes, activation=activation, **switches
    )
    settings = QLossSettings(False, "huber", None, None, 1e-8)
    update = QUpdate(network, settings, torch.full((3,), 1e-3))
    return network, quick_values(network, update.values)


def observations(copies, seed=0):
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(3 * copies, 3)).astype(np.float32)
    return numbers, rng.integers(4, size=3 * copies)


@pytest.mark.parametrize("activation", ["relu", "tanh", "silu"])
@pytest.mark.parametrize("switches", [{}, {"duelling": True}])
def test_values(activation, switches):
    network, quick = quick_network(activation, **switches)
    leaves = tuple(leaf.reshape(3, 2, *leaf.shape[1:]) for leaf in observations(2))
    expected = network(tuple(map(torch.from_numpy, leaves))).detach().numpy()
    np.testing.assert_allclose(quick(leaves), expected, rtol=1e-4, atol=1e-5)
    for member in range(3):
        own = quick.of_member(member, [leaf[member] for leaf in leaves])
        np.testing.assert_allclose(own, expected[member], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("sizes", [(), (6,), (7, 5), (9, 4, 8)])
def test_greedy_choices(activation, sizes):
    network, quick = quick_network(activation, sizes)
    assert quick.chooses
    leaves = observations(20)
    shaped = tuple(torch.from_numpy(leaf.reshape(3, 20, *leaf.shape[1:])) for leaf in leaves)
    expected = network(shaped).argmax(dim=-1).flatten().numpy()
    uniforms = np.random.default_rng(0).random((60, 2))
    np.testing.assert_array_equal(quick.choose(leaves, uniforms, np.zeros(3)), expected)
    with torch.no_grad():  # what is learnt is used at once
        network.advantages.layers[-1].bias[1, 0, 2] += 100.0
    chosen = quick.choose(leaves, uniforms, np.zeros(3))
    assert (chosen[20:40] == 2).all()
    np.testing.assert_array_equal(chosen[:20], expected[:20])


def test_members_explore_at_their_own_rates():
    _, quick = quick_network()
    leaves = observations(400)
    greedy = quick.choose(leaves, np.ones((1200, 2)), np.zeros(3))
    uniforms = np.random.default_rng(1).random((1200, 2))
    chosen = quick.choose(leaves, uniforms, np.array([0.0, 0.5, 1.0]))
    np.testing.assert_array_equal(chosen[:400], greedy[:400])
    explores = uniforms[400:800, 0] < 0.5
    random = (uniforms[:, 1] * 3).astype(np.int64)
    expected = np.where(explores, random[400:800], greedy[400:800])
    np.testing.assert_array_equal(chosen[400:800], expected)
    np.testing.assert_array_equal(chosen[800:], random[800:])


def test_what_no_chain_is():
    assert not quick_network(duelling=True)[1].chooses
    assert not quick_network("silu")[1].chooses
    assert quick_network(noisy=True)[1] is None
