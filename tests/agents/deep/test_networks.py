"""Q-networks: every switch is its equation, members are alone, and the whole compiles."""

import itertools

import numpy as np
import pytest
import torch
from gymagine.agents.deep.encoders import Encoder
from gymagine.agents.deep.layers import layer_noise
from gymagine.agents.deep.networks import QNetwork
from gymnasium import spaces
from torch import nn

SWITCHES = list(itertools.product([False, True], [None, 5], [False, True]))
VECTOR = spaces.Box(-1, 1, (4,))
FRAME = spaces.Box(0, 255, (10, 10, 2), np.uint8)


def generators(*seeds):
    return [np.random.default_rng(seed) for seed in seeds]


def q_network(space, seeds, **settings):
    """With the encoder drawn from the same generators."""
    rngs = generators(*seeds)
    settings = {"hidden_sizes": (6, 5), **settings}
    return QNetwork(Encoder([space], rngs=rngs), 3, rngs=rngs, **settings)


def observations(space, members, batch=7):
    space.seed(0)
    drawn = np.stack([space.sample() for _ in range(members * batch)])
    return (torch.from_numpy(drawn.reshape(members, batch, *space.shape)),)


def noise_of(network, *seeds):
    return layer_noise(network.noise_shapes, generators(*seeds)) if network.noise_shapes else None


def switches(duelling, num_atoms, noisy):
    return {"duelling": duelling, "num_atoms": num_atoms, "noisy": noisy}


def test_plain_values_are_torchs():
    network = q_network(VECTOR, (0, 1, 2), activation="tanh")
    (x,) = observations(VECTOR, 3)
    for m in range(3):
        own = nn.Sequential(
            *(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3))
        )
        for mine, theirs in zip(network.parameters(), own.parameters(), strict=True):
            theirs.data.copy_(mine[m].T if theirs.ndim == 2 else mine[m, 0])
        torch.testing.assert_close(network((x,))[m], own(x[m]))


def test_published_network_has_the_published_number_of_parameters():
    """Mnih et al. (2015), 18 actions: 77,984 in convolutions, 1,606,144 and 9,234 after."""
    frames, rngs = spaces.Box(0, 255, (4, 84, 84), np.uint8), generators(0)
    network = QNetwork(Encoder([frames], rngs=rngs), 18, rngs=rngs, hidden_sizes=())
    assert sum(p.numel() for p in network.parameters()) == 1_693_362


@pytest.mark.parametrize("hidden_sizes", [(), (6,), (6, 5)])
@pytest.mark.parametrize("num_atoms", [None, 5])
def test_duelling_is_equation_nine(hidden_sizes, num_atoms):
    network = q_network(
        VECTOR, (0, 1), hidden_sizes=hidden_sizes, duelling=True, num_atoms=num_atoms
    )
    observation = observations(VECTOR, 2)
    features = network.trunk(network.encoder(observation))
    advantages = network.advantages(features).reshape(2, 7, 3, -1)
    value = network.value(features)
    found = network(observation).reshape(2, 7, 3, -1)
    for a in range(3):
        expected = value + advantages[:, :, a] - advantages.sum(2) / 3
        torch.testing.assert_close(found[:, :, a], expected)
    # the mean over actions is the value, which is what makes the two identifiable
    torch.testing.assert_close(found.mean(2), value)


def test_duelling_streams_of_the_paper():
    """Wang et al. (2016): convolutions, then for each stream 512 units and its outputs."""
    frames, rngs = spaces.Box(0, 255, (4, 84, 84), np.uint8), generators(0)
    encoder = Encoder([frames], rngs=rngs, dense=False)
    network = QNetwork(encoder, 6, rngs=rngs, hidden_sizes=(512,), duelling=True)
    after = {name: tuple(p.shape) for name, p in network.named_parameters() if "enc" not in name}
    assert list(after.values()) == [
        *((1, 3136, 512), (1, 1, 512), (1, 512, 6), (1, 1, 6)),
        *((1, 3136, 512), (1, 1, 512), (1, 512, 1), (1, 1, 1)),
    ]


@pytest.mark.parametrize("flags", SWITCHES)
def test_shapes_and_gradients(flags):
    network = q_network(FRAME, (0, 1), **switches(*flags))
    observation, noise = observations(FRAME, 2), noise_of(network, 5, 6)
    out = network(observation, noise)
    assert out.shape == ((2, 7, 3) if flags[1] is None else (2, 7, 3, 5))
    weights = torch.randn(out.shape, generator=torch.Generator().manual_seed(0))
    (out * weights).sum().backward()
    for name, p in network.named_parameters():
        assert p.grad[0].any() and p.grad[1].any(), name
    network.zero_grad()
    (network(observation, noise) * weights)[1].sum().backward()
    assert not any(p.grad[0].any() for p in network.parameters())


@pytest.mark.parametrize("flags", SWITCHES)
@pytest.mark.parametrize("space", [VECTOR, FRAME], ids=["vector", "frame"])
def test_member_of_five_is_alone(space, flags):
    five = q_network(space, range(5), **switches(*flags))
    alone = q_network(space, [3], **switches(*flags))
    for many, one in zip(five.parameters(), alone.parameters(), strict=True):
        assert torch.equal(many[3], one[0])
    (x,) = observations(space, 5)
    found, expected = five((x,), noise_of(five, *range(5))), alone((x[3:4],), noise_of(alone, 3))
    torch.testing.assert_close(found[3], expected[0], atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("flags", SWITCHES)
def test_noise_is_in_every_layer_after_the_encoder_and_nowhere_else(flags):
    network = q_network(FRAME, (0, 1), **switches(*flags))
    if not flags[2]:
        assert network.noise_shapes == ()
        assert not any("sigma" in name for name, _ in network.named_parameters())
        return
    names = [name for name, _ in network.named_parameters()]
    sigmas = {name for name in names if name.endswith("_sigma")}
    assert sigmas == {f"{name}_sigma" for name in names if "enc" not in name and "_s" not in name}
    observation, noise = observations(FRAME, 2), noise_of(network, 5, 6)
    assert torch.equal(network(observation, noise), network(observation, noise))
    for i in range(len(noise)):  # each tensor reaches the values
        other = [2 * e if i == j else e for j, e in enumerate(noise)]
        assert not torch.allclose(network(observation, noise), network(observation, other))
    silent = [torch.zeros(shape) for shape in network.noise_shapes]
    torch.testing.assert_close(network(observation, silent), network(observation))


def test_switches_do_not_change_what_they_do_not_name():
    """The encoder and the shared layers start the same whatever is on."""
    starts = [q_network(FRAME, (0,), **switches(*flags)) for flags in SWITCHES]
    for network in starts[1:]:
        first = starts[0].encoder.parameters(), starts[0].trunk.layers[0].weight
        other = network.encoder.parameters(), network.trunk.layers[0].weight
        assert all(torch.equal(a, b) for a, b in zip(first[0], other[0], strict=True))
        assert torch.equal(first[1], other[1])


def test_double_precision():
    network = q_network(FRAME, (0, 1), duelling=True, num_atoms=5, noisy=True)
    observation, noise = observations(FRAME, 2), noise_of(network, 5, 6)
    single = network(observation, noise)
    double = network.double()(observation, [e.double() for e in noise])
    assert double.dtype == torch.float64
    torch.testing.assert_close(double.float(), single, atol=1e-5, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("flags", [(False, None, False), (True, 5, True)])
def test_values_and_gradients_compile_to_one_graph(unchecked, flags):
    network = q_network(FRAME, (0, 1), **switches(*flags))
    observation, noise = observations(FRAME, 2), noise_of(network, 5, 6)

    def loss(parameters, observation, noise):
        out = torch.func.functional_call(network, parameters, (observation, noise))
        return out.square().sum(), out

    update = torch.func.grad_and_value(loss, has_aux=True)
    parameters = dict(network.named_parameters())
    gradients, (_, out) = torch.compile(update, fullgraph=True)(parameters, observation, noise)
    eager_gradients, (_, eager_out) = update(parameters, observation, noise)
    torch.testing.assert_close(out, eager_out, atol=1e-5, rtol=1e-5)
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, eager_gradients[name], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_atoms": 1}, "at least two atoms, got 1"),
        ({"hidden_sizes": (4, 0)}, "at least 1, got 0"),
    ],
)
def test_mistakes(settings, message):
    with pytest.raises(ValueError, match=message):
        q_network(VECTOR, (0,), **settings)


def test_no_action_is_an_error():
    rngs = generators(0)
    with pytest.raises(ValueError, match="at least one action, got 0"):
        QNetwork(Encoder([VECTOR], rngs=rngs), 0, rngs=rngs, hidden_sizes=())
