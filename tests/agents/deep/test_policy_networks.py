"""Policies and values: parameters reach the right distribution, and every member is alone."""

import math

import numpy as np
import pytest
import torch
from gymagine.agents.deep.encoders import Encoder
from gymagine.agents.deep.policy_distributions import (
    Categorical,
    DiagonalGaussian,
    MultiCategorical,
    SquashedGaussian,
)
from gymagine.agents.deep.policy_networks import (
    ActorCritic,
    PolicyHead,
    PolicyNetwork,
    ValueHead,
    ValueNetwork,
)
from gymnasium import spaces
from scipy import integrate, optimize, stats
from stable_baselines3 import A2C

VECTOR = spaces.Box(-1, 1, (4,))
FRAME = spaces.Box(0, 255, (10, 10, 2), np.uint8)
BOX = spaces.Box(np.float32([-2, 0]), np.float32([2, 5]))
HALF = spaces.Box(np.float32([0, 0]), np.float32([1, np.inf]))

ACTIONS = {
    "discrete": (spaces.Discrete(3, start=1), {}, Categorical),
    "multi-discrete": (spaces.MultiDiscrete([3, 2]), {}, MultiCategorical),
    "multi-binary": (spaces.MultiBinary(3), {}, MultiCategorical),
    "gaussian": (HALF, {}, DiagonalGaussian),
    "gaussian, its sigma": (HALF, {"state_dependent_sigma": True}, DiagonalGaussian),
    "squashed": (BOX, {"squash": True}, SquashedGaussian),
    "squashed, its sigma": (
        BOX,
        {"squash": True, "state_dependent_sigma": True, "initial_log_sigma": -1.0},
        SquashedGaussian,
    ),
}
CASES = pytest.mark.parametrize(("actions", "settings", "kind"), ACTIONS.values(), ids=ACTIONS)


def generators(*seeds):
    return [np.random.default_rng(seed) for seed in seeds]


def observations(space, members, batch=6):
    space.seed(0)
    drawn = np.stack([space.sample() for _ in range(members * batch)])
    return (torch.from_numpy(drawn.reshape(members, batch, *space.shape)),)


def policy_network(space, actions, seeds, **settings):
    rngs = generators(*seeds)
    encoder = Encoder([space], rngs=rngs)
    settings = {"hidden_sizes": (8,), **settings}
    return PolicyNetwork(encoder, PolicyHead(encoder.num_features, actions, rngs=rngs, **settings))


def actor_critic(space, actions, seeds, *, separate=False, **settings):
    rngs = generators(*seeds)
    encoder = Encoder([space], rngs=rngs)
    policy = PolicyHead(encoder.num_features, actions, rngs=rngs, hidden_sizes=(8,), **settings)
    value = ValueHead(encoder.num_features, rngs=rngs, hidden_sizes=(8,))
    own = Encoder([space], rngs=rngs) if separate else None
    return ActorCritic(encoder, policy, value, value_encoder=own)


def noise_for(policy, *seeds):
    shape = policy.noise_shape[1:]
    draws = [
        rng.random(shape) if policy.noise_kind == "uniform" else rng.standard_normal(shape)
        for rng in generators(*seeds)
    ]
    return torch.from_numpy(np.stack(draws)).float()


@CASES
def test_a_policy_of_the_space(actions, settings, kind):
    policy = policy_network(VECTOR, actions, (0, 1), **settings)(observations(VECTOR, 2))
    assert type(policy) is kind
    latent = policy.sample_latent(noise_for(policy, 0, 1))
    shape = (2, 6) if isinstance(actions, spaces.Discrete) else (2, 6, *actions.sample().shape)
    assert policy.sample(noise_for(policy, 0, 1)).shape == policy.mode().shape == shape
    assert policy.log_prob_of_latent(latent).shape == policy.entropy().shape == (2, 6)
    if kind is SquashedGaussian:
        assert policy.low.tolist() == [-2, 0] and policy.high.tolist() == [2, 5]


@CASES
@pytest.mark.parametrize("separate", [False, True])
def test_every_parameter_gets_a_gradient_of_its_member_only(actions, settings, kind, separate):
    network = actor_critic(FRAME, actions, (0, 1), separate=separate, **settings)
    policy, values = network(observations(FRAME, 2))
    latent = policy.sample_latent(noise_for(policy, 2, 3)).detach()
    loss = policy.log_prob_of_latent(latent) * torch.linspace(-1, 1, 6) + values.square()
    loss[1].sum().backward()
    for name, p in network.named_parameters():
        assert p.grad[1].any(), name
        assert not p.grad[0].any(), name


@CASES
@pytest.mark.parametrize("space", [VECTOR, FRAME], ids=["vector", "frame"])
def test_member_of_five_is_alone(space, actions, settings, kind):
    five = actor_critic(space, actions, range(5), **settings)
    alone = actor_critic(space, actions, [3], **settings)
    for many, one in zip(five.parameters(), alone.parameters(), strict=True):
        assert torch.equal(many[3], one[0])
    (x,) = observations(space, 5)
    (policy, values), (own, own_values) = five((x,)), alone((x[3:4],))
    close = {"atol": 1e-6, "rtol": 1e-6}
    torch.testing.assert_close(values[3], own_values[0], **close)
    torch.testing.assert_close(policy.entropy()[3], own.entropy()[0], **close)
    drawn, own_drawn = policy.sample(noise_for(policy, *range(5))), own.sample(noise_for(own, 3))
    torch.testing.assert_close(drawn[3], own_drawn[0], **close)


def test_masks_reach_the_distribution():
    allowed = torch.ones(2, 6, 5, dtype=torch.bool)
    allowed[..., 1] = allowed[..., 3] = False
    single = policy_network(VECTOR, spaces.Discrete(5), (0, 1))(observations(VECTOR, 2), allowed)
    assert not single.probabilities[..., [1, 3]].any()
    several = policy_network(VECTOR, spaces.MultiDiscrete([2, 3]), (0, 1))
    choices = several(observations(VECTOR, 2), allowed).choices
    assert (choices[0].probabilities == torch.tensor([1.0, 0.0])).all()
    assert not choices[1].probabilities[..., 1].any()
    with pytest.raises(ValueError, match="no mask of allowed actions for a Box"):
        policy_network(VECTOR, BOX, (0, 1))(observations(VECTOR, 2), allowed)


def test_sigma_starts_where_it_is_told():
    free = policy_network(VECTOR, BOX, (0, 1), initial_log_sigma=-0.5)
    assert free.head.log_sigma.shape == (2, 1, 2)
    assert (free.head.log_sigma == -0.5).all()
    its = policy_network(
        *(VECTOR, BOX, (0, 1)), initial_log_sigma=-0.5, state_dependent_sigma=True
    )
    log_sigma = its(observations(VECTOR, 2)).log_sigma
    assert log_sigma.shape == (2, 6, 2)
    torch.testing.assert_close(log_sigma, torch.full_like(log_sigma, -0.5), atol=0.05, rtol=0)
    with torch.no_grad():
        its.head.last.bias[..., 2:] = torch.tensor([-100.0, 100.0])
    assert (its(observations(VECTOR, 2)).log_sigma == torch.tensor([-5.0, 2.0])).all()


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1"])
def test_actor_critic_is_stable_baselines(env_id):
    """A2C's default policy (separate 64, 64, tanh), with its weights copied."""
    peer = A2C("MlpPolicy", env_id, seed=0, device="cpu").policy
    space, rngs = peer.observation_space, generators(0, 1)
    encoder = Encoder([space], rngs=rngs)
    policy = PolicyHead(encoder.num_features, peer.action_space, rngs=rngs, hidden_sizes=(64, 64))
    value = ValueHead(encoder.num_features, rngs=rngs, hidden_sizes=(64, 64))
    network = ActorCritic(encoder, policy, value)
    for mine, theirs in (
        (policy, [peer.mlp_extractor.policy_net, peer.action_net]),
        (value, [peer.mlp_extractor.value_net, peer.value_net]),
    ):
        layers = [*mine.body.layers, mine.last]
        linear = [x for part in theirs for x in part.modules() if isinstance(x, torch.nn.Linear)]
        for layer, own in zip(layers, linear, strict=True):
            # before the copy: the same gains, told by the norm of the weights
            assert layer.weight[0].norm().item() == pytest.approx(own.weight.norm().item())
            layer.weight.data[1], layer.bias.data[1, 0] = own.weight.data.T, own.bias.data
    x = torch.from_numpy(np.stack([space.sample() for _ in range(12)]).reshape(2, 6, -1))
    found, values = network((x,))
    torch.testing.assert_close(values[1], peer.predict_values(x[1])[:, 0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(network.values((x,)), values)
    actions = found.sample(noise_for(found, 0, 1))
    _, log_prob, entropy = peer.evaluate_actions(x[1], actions[1])
    torch.testing.assert_close(found.log_prob(actions)[1], log_prob, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.entropy()[1], entropy, atol=1e-5, rtol=1e-5)


def test_separate_encoders_are_two_and_shared_ones_one():
    shared, separate = (
        actor_critic(FRAME, BOX, (0,), separate=separate) for separate in (False, True)
    )
    count = sum(p.numel() for p in shared.encoder.parameters())
    total = [sum(p.numel() for p in x.parameters()) for x in (shared, separate)]
    assert total[1] - total[0] == count > 0
    assert len(list(shared.named_parameters())) == len(shared.state_dict())  # no name twice
    x = observations(FRAME, 1)
    torch.testing.assert_close(separate.values(x), separate(x)[1])
    alone = ValueNetwork(separate.value_encoder, separate.value)
    torch.testing.assert_close(alone(x), separate(x)[1])


def test_default_starts_are_pytorchs_or_orthogonal():
    kinds = {
        orthogonal: policy_network(
            VECTOR, spaces.Discrete(3), (0, 1), orthogonal=orthogonal, hidden_sizes=(50,)
        ).head
        for orthogonal in (True, False)
    }
    last = kinds[True].last.weight
    torch.testing.assert_close(
        last.mT @ last, 1e-4 * torch.eye(3).expand(2, 3, 3), atol=1e-8, rtol=0
    )
    first = kinds[True].body.layers[0].weight
    torch.testing.assert_close(
        first @ first.mT, 2 * torch.eye(4).expand(2, 4, 4), atol=1e-5, rtol=0
    )
    bound = 1 / math.sqrt(50)
    assert 0.9 * bound < kinds[False].last.weight.abs().max() <= bound


@CASES
def test_double_precision(actions, settings, kind):
    network = actor_critic(FRAME, actions, (0, 1), **settings)
    x = observations(FRAME, 2)
    policy, values = network(x)
    entropy = policy.entropy()  # before its free sigma becomes a double one
    double, double_values = network.double()(x)
    noise = noise_for(double, 0, 1).double()
    assert double_values.dtype == double.entropy().dtype == torch.float64
    assert double.log_prob(double.sample(noise)).dtype == torch.float64
    torch.testing.assert_close(double_values.float(), values, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(double.entropy().float(), entropy, atol=1e-5, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["multi-discrete", "squashed, its sigma"])
def test_acting_and_learning_compile_to_one_graph(unchecked, name):
    actions, settings, _ = ACTIONS[name]
    network = actor_critic(VECTOR, actions, (0, 1), **settings)
    parameters, x = dict(network.named_parameters()), observations(VECTOR, 2)
    noise = noise_for(network(x)[0], 4, 5)

    def act(parameters, x, noise):
        policy, values = torch.func.functional_call(network, parameters, (x,))
        latent = policy.sample_latent(noise)
        return latent, policy.action(latent), values

    def loss(parameters, x, latent):
        policy, values = torch.func.functional_call(network, parameters, (x,))
        gain = policy.log_prob_of_latent(latent) + 0.01 * policy.entropy()
        return (values.square() - gain).sum()

    acted = act(parameters, x, noise)
    torch.testing.assert_close(torch.compile(act, fullgraph=True)(parameters, x, noise), acted)
    update, latent = torch.func.grad(loss), acted[0].detach()
    found = torch.compile(update, fullgraph=True)(parameters, x, latent)
    for key, gradient in update(parameters, x, latent).items():
        torch.testing.assert_close(found[key], gradient, atol=1e-4, rtol=1e-4)


def test_the_gradient_of_the_entropy_leads_to_the_widest_squashed_policy():
    """Whose entropy scipy finds by minimising over sigma: nearly, not quite, the uniform one."""

    def entropy_at(sigma):
        def term(u):
            log_slope = math.log(2) - 2 * np.logaddexp(u, -u) + 2 * math.log(2)
            return stats.norm.pdf(u, 0, sigma) * (log_slope - stats.norm.logpdf(u, 0, sigma))

        return integrate.quad(term, -12 * sigma, 12 * sigma)[0]

    best = -optimize.minimize_scalar(
        lambda s: -entropy_at(s), bounds=(0.1, 3), method="bounded"
    ).fun
    assert best < math.log(4)
    network = policy_network(VECTOR, spaces.Box(-1, 3, (1,)), (0, 1), squash=True)
    optimiser, x = torch.optim.Adam(network.parameters(), 0.03), observations(VECTOR, 2)
    for _ in range(300):
        optimiser.zero_grad()
        (-network(x).entropy().sum()).backward()
        optimiser.step()
    torch.testing.assert_close(network(x).entropy(), torch.full((2, 6), best), atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("actions", "settings", "message"),
    [
        (HALF, {"squash": True}, "finite bounds, the lower below the upper, to squash"),
        (spaces.Box(-np.inf, np.inf, (1,)), {"squash": True}, "finite bounds"),
        (spaces.Box(1, 1, (1,)), {"squash": True}, "finite bounds"),
        (spaces.Box(0, 9, (2,), np.int64), {}, "Box of floats as the action space, got Box"),
        (spaces.Text(3), {}, "as the action space, got Text"),
    ],
)
def test_mistakes(actions, settings, message):
    with pytest.raises(ValueError, match=message):
        policy_network(VECTOR, actions, (0,), **settings)


@pytest.mark.parametrize("network", [PolicyNetwork, ValueNetwork])
def test_a_head_for_other_features_is_an_error(network):
    rngs = generators(0)
    encoder = Encoder([VECTOR], rngs=rngs)
    heads = {PolicyNetwork: PolicyHead(9, BOX, rngs=rngs), ValueNetwork: ValueHead(9, rngs=rngs)}
    with pytest.raises(ValueError, match="the encoder's 4 features, got one for 9"):
        network(encoder, heads[network])
