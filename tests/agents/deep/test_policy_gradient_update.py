"""An update is what torch's own modules and optimisers do, member by member, in all its forms."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from gymagine.agents.deep import policy_gradient_update
from gymagine.agents.deep.encoders import Encoder
from gymagine.agents.deep.flat_parameters import FlatParameters
from gymagine.agents.deep.policy_gradient_losses import (
    EpisodeBatch,
    LossSettings,
    LossWeights,
    RolloutBatch,
    actor_critic_losses,
    reinforce_losses,
)
from gymagine.agents.deep.policy_gradient_update import (
    PolicyGradientUpdate,
    UpdateSettings,
    compiled_run,
)
from gymagine.agents.deep.policy_networks import (
    ActorCritic,
    PolicyHead,
    PolicyNetwork,
    ValueHead,
)
from gymnasium import spaces
from stable_baselines3.common.sb2_compat.rmsprop_tf_like import RMSpropTFLike
from torch import nn

MEMBERS, TIME, COPIES, ACTIONS = 3, 4, 2, 3
RATES = [1e-2, 5e-3, 2e-2]
DISCOUNTS, TRACES = [0.9, 0.99, 0.5], [1.0, 0.9, 0.0]
VALUE_WEIGHTS, ENTROPY_WEIGHTS = [0.5, 1.0, 0.25], [0.01, 0.0, 0.1]
OPTIMISERS = {
    "rmsprop": lambda parameters, rate: torch.optim.RMSprop(parameters, rate, eps=1e-5),
    "rmsprop-tf": lambda parameters, rate: RMSpropTFLike(parameters, rate, eps=1e-5),
    "adam": lambda parameters, rate: torch.optim.Adam(parameters, rate, eps=1e-5),
}


def settings(optimiser="rmsprop", standardise=False):
    loss = LossSettings(standardise=standardise, explores=True)
    return UpdateSettings(optimiser=optimiser, epsilon=1e-5, max_grad_norm=0.5, loss=loss)


def weights(members=range(MEMBERS)):
    every = (VALUE_WEIGHTS, ENTROPY_WEIGHTS, TRACES)
    return LossWeights(*(torch.tensor([each[m] for m in members]) for each in every))


def parameters(seeds=range(MEMBERS), actions=None, values=True, hidden=(8, 6), activation="tanh"):
    rngs = [np.random.default_rng(seed) for seed in seeds]
    encoder = Encoder([spaces.Box(-1, 1, (5,))], rngs=rngs)
    layers = {"rngs": rngs, "hidden_sizes": hidden, "activation": activation, "orthogonal": False}
    policy = PolicyHead(5, actions or spaces.Discrete(ACTIONS), **layers)
    if not values:
        return FlatParameters(PolicyNetwork(encoder, policy))
    return FlatParameters(ActorCritic(encoder, policy, ValueHead(5, **layers)))


def latents_of(shape, actions, generator):
    if isinstance(actions, spaces.Box):
        return torch.randn(*shape, 2, generator=generator)
    return torch.randint(ACTIONS, shape, generator=generator)


def rollout(step, members=range(MEMBERS), actions=None):
    generator = torch.Generator().manual_seed(step)
    shape = (TIME, MEMBERS, COPIES)
    terminated, truncated = (torch.rand(2, *shape, generator=generator) < 0.2).unbind()
    cut = truncated & ~terminated
    whole = RolloutBatch(
        observations=(torch.randn(MEMBERS, (TIME + 1) * COPIES, 5, generator=generator),),
        allowed=None,
        latents=latents_of((MEMBERS, TIME * COPIES), actions, generator),
        rewards=torch.randn(shape, generator=generator),
        discounts=torch.tensor(DISCOUNTS).unsqueeze(1) * ~terminated,
        continues=(~(terminated | truncated)).float(),
        cut=cut,
        cut_values=torch.randn(shape, generator=generator) * cut,
        weights=(torch.rand(MEMBERS, TIME * COPIES, generator=generator) < 0.9).float(),
    )
    own = list(members)
    over_time = ("rewards", "discounts", "continues", "cut", "cut_values")
    parts = {name: getattr(whole, name)[:, own] for name in over_time}
    return whole._replace(
        observations=(whole.observations[0][own],),
        latents=whole.latents[own],
        weights=whole.weights[own],
        **parts,
    )


def copied(mlp, last, member):
    """One member's layers as torch's own modules."""
    modules = []
    for layer in [*mlp.layers, last]:
        linear = nn.Linear(*layer.weight.shape[1:])
        linear.weight.data = layer.weight[member].detach().T.clone()
        linear.bias.data = layer.bias[member, 0].detach().clone()
        modules += [linear, nn.Tanh()]
    return nn.Sequential(*modules[:-1])


def torch_a2c(flat, member, optimiser, num_updates):
    """The actor-critic as the paper writes it, for one network, step by step."""
    module = flat.module
    policy = copied(module.policy.body, module.policy.last, member)
    value = copied(module.value.body, module.value.last, member)
    both = nn.ModuleList([policy, value])
    moves = OPTIMISERS[optimiser](list(both.parameters()), RATES[member])
    losses = []
    for step in range(num_updates):
        batch = rollout(step)
        seen = batch.observations[0][member].view(TIME + 1, COPIES, 5)
        v = value(seen).squeeze(2)
        choices = torch.distributions.Categorical(logits=policy(seen[:-1]))
        log_p = choices.log_prob(batch.latents[member].view(TIME, COPIES))
        used = batch.weights[member].view(TIME, COPIES)
        terms = []
        for n in range(COPIES):
            advantage = torch.zeros(())
            for t in reversed(range(TIME)):
                cut = batch.cut[t, member, n]
                after = batch.cut_values[t, member, n] if cut else v[t + 1, n].detach()
                error = batch.rewards[t, member, n] + batch.discounts[t, member, n] * after
                error = error - v[t, n].detach()
                decay = batch.discounts[t, member, n] * TRACES[member]
                advantage = error + decay * batch.continues[t, member, n] * advantage
                target = advantage + v[t, n].detach()
                loss = -advantage * log_p[t, n] + VALUE_WEIGHTS[member] * (target - v[t, n]) ** 2
                loss = loss - ENTROPY_WEIGHTS[member] * choices.entropy()[t, n]
                terms.append(used[t, n] * loss)
        loss = sum(terms) / used.sum()
        moves.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(both.parameters(), 0.5)
        moves.step()
        losses.append(loss.item())
    return both, losses


@pytest.mark.parametrize(
    ("optimiser", "quick"),
    [
        ("adam", True),
        ("rmsprop", False),
        *(
            pytest.param(*pair, marks=pytest.mark.slow)
            for pair in (
                ("adam", False),
                ("rmsprop", True),
                ("rmsprop-tf", True),
                ("rmsprop-tf", False),
            )
        ),
    ],
)
def test_every_members_actor_critic_is_torchs(optimiser, quick, monkeypatch):
    if not quick:
        monkeypatch.setattr(policy_gradient_update, "_QUICK_STEPS", 0)
    flat = parameters()
    peers = [torch_a2c(flat, member, optimiser, 4) for member in range(MEMBERS)]
    update = PolicyGradientUpdate(flat, actor_critic_losses, weights(), settings(optimiser))
    rates = torch.tensor(RATES)
    losses = torch.stack([update(rollout(step), rates).losses for step in range(4)])
    for member, (both, expected) in enumerate(peers):
        torch.testing.assert_close(losses[:, member], torch.tensor(expected), rtol=1e-4, atol=1e-5)
        mine = [value[member] for value in flat.views(flat.values).values()]
        theirs = [p.T if p.dim() == 2 else p[None] for p in both.parameters()]
        for value, other in zip(mine, theirs, strict=True):
            torch.testing.assert_close(value, other.detach(), rtol=1e-3, atol=1e-5)


BOX = spaces.Box(-np.ones(2, np.float32), np.ones(2, np.float32))


@pytest.mark.parametrize(
    ("activation", "standardise"),
    [
        ("tanh", True),
        pytest.param("relu", False, marks=pytest.mark.slow),
        pytest.param("silu", False, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("actions", [None, BOX])
def test_numpys_layers_change_nothing(actions, standardise, activation, monkeypatch):
    """A free sigma is a parameter beside the layers, and silu is left to autograd."""
    chosen, rates = settings("adam", standardise), torch.tensor(RATES)
    found = []
    for steps in (0, 512):
        monkeypatch.setattr(policy_gradient_update, "_QUICK_STEPS", steps)
        flat = parameters(actions=actions, activation=activation)
        update = PolicyGradientUpdate(flat, actor_critic_losses, weights(), chosen)
        assert (update._quick is None) == (activation == "silu")
        for step in range(5):
            update(rollout(step, actions=actions), rates)
        found.append(flat.values)
    torch.testing.assert_close(found[0], found[1], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("explores", [True, False])
def test_nor_do_they_where_actions_are_masked(explores, monkeypatch):
    allowed = torch.rand(MEMBERS, TIME * COPIES, ACTIONS) < 0.6
    allowed[1] = False  # nothing is allowed: everything is
    loss = LossSettings(standardise=False, explores=explores)
    chosen, found = UpdateSettings("rmsprop", 1e-5, None, loss), []
    for steps in (0, 512):
        monkeypatch.setattr(policy_gradient_update, "_QUICK_STEPS", steps)
        flat = parameters()
        update = PolicyGradientUpdate(flat, actor_critic_losses, weights(), chosen)
        for step in range(3):
            batch = rollout(step)
            some = torch.where(allowed.any(2), allowed.float().argmax(2), batch.latents)
            told = update(batch._replace(allowed=allowed, latents=some), torch.tensor(RATES))
        found.append((flat.values, *told))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("whole", [True, False])
def test_nor_for_reinforce(whole, monkeypatch):
    found = []
    for steps in (0, 512):
        monkeypatch.setattr(policy_gradient_update, "_QUICK_STEPS", steps)
        flat = parameters([0])
        update = PolicyGradientUpdate(flat, reinforce_losses, weights([0]), settings("adam"))
        assert update._quick is not None
        for step in range(5):
            batch = episodes(step)
            if whole:
                batch = batch._replace(divisors=None, factors=None)
            else:
                batch = batch._replace(weights=(torch.arange(12) < 9).float().unsqueeze(0))
            told = update(batch, torch.tensor([1e-2]))
        found.append((flat.values, *told))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_a_member_learns_the_same_alone():
    together = parameters()
    update = PolicyGradientUpdate(together, actor_critic_losses, weights(), settings())
    for step in range(8):
        update(rollout(step), torch.tensor(RATES))
    for member in range(MEMBERS):
        flat = parameters([member])
        alone = PolicyGradientUpdate(flat, actor_critic_losses, weights([member]), settings())
        for step in range(8):
            alone(rollout(step, [member]), torch.tensor(RATES[member:][:1]))
        torch.testing.assert_close(together.values[member], flat.values[0], rtol=1e-3, atol=1e-5)


def episodes(step, steps=12, actions=None):
    generator = torch.Generator().manual_seed(step)
    return EpisodeBatch(
        observations=(torch.randn(1, steps, 5, generator=generator),),
        allowed=None,
        latents=latents_of((1, steps), actions, generator),
        returns=torch.randn(1, steps, generator=generator),
        factors=torch.rand(1, steps, generator=generator),
        weights=None,
        divisors=torch.tensor([3.0]),
    )


@pytest.mark.parametrize("values", [True, False])
def test_a_member_that_learns_alone_leaves_the_others_as_they_were(values):
    flat = parameters(values=values)
    before = flat.values.clone()
    part = flat.of_member(1)
    update = PolicyGradientUpdate(part, reinforce_losses, weights([1]), settings("adam"))
    for step in range(3):
        update(episodes(step), torch.tensor([1e-2]))
    assert torch.equal(flat.values[[0, 2]], before[[0, 2]])
    assert (flat.values[1] != before[1]).any()
    alone = parameters([1], values=values)
    other = PolicyGradientUpdate(alone, reinforce_losses, weights([1]), settings("adam"))
    for step in range(3):
        other(episodes(step), torch.tensor([1e-2]))
    torch.testing.assert_close(flat.values[1], alone.values[0], rtol=0, atol=0)


def test_tensors_are_all_that_the_update_depends_on():
    for optimiser in OPTIMISERS:
        one, other = (
            PolicyGradientUpdate(parameters(seeds), actor_critic_losses, weights(), chosen)
            for seeds, chosen in (
                ((0, 1, 2), settings(optimiser)),
                ((3, 4, 5), settings(optimiser)),
            )
        )
        rates = torch.tensor(RATES)
        for step in range(3):
            one(rollout(step), rates)
        assert all(len(tensor) == MEMBERS for tensor in one.tensors().values())
        for name, tensor in other.tensors().items():
            tensor.copy_(one.tensors()[name])
        for step in range(3, 6):
            one(rollout(step), rates)
            other(rollout(step), rates)
        for name, tensor in other.tensors().items():
            assert torch.equal(tensor, one.tensors()[name])


def compiled_equals_eager():
    rates = torch.tensor(RATES)
    for optimiser in OPTIMISERS:
        chosen, found = settings(optimiser), []
        for compiled in (False, True):
            flat = parameters()
            run = compiled_run(flat, actor_critic_losses, chosen) if compiled else None
            update = PolicyGradientUpdate(flat, actor_critic_losses, weights(), chosen, run=run)
            told = [update(rollout(step), rates) for step in range(4)]
            found.append((flat.values, torch.stack([each.losses for each in told])))
        for eager, other in zip(*found, strict=True):
            torch.testing.assert_close(eager, other, rtol=1e-3, atol=1e-5)
    # one graph for all members that learn alone
    chosen, found = settings("adam"), []
    for compiled in (False, True):
        flat = parameters(actions=BOX)
        parts = [flat.of_member(member) for member in range(MEMBERS)]
        run = compiled_run(parts[0], reinforce_losses, chosen) if compiled else None
        for member, part in enumerate(parts):
            update = PolicyGradientUpdate(
                part, reinforce_losses, weights([member]), chosen, run=run
            )
            for step in range(3):
                update(episodes(step, actions=BOX), rates[member : member + 1])
        found.append(flat.values)
    torch.testing.assert_close(*found, rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_compiled_is_the_same():
    """In a process of its own, without the run-time checks that cannot be traced."""
    code = "import runpy, sys; runpy.run_path(sys.argv[1])['compiled_equals_eager']()"
    found = subprocess.run(
        [sys.executable, "-c", code, __file__], capture_output=True, text=True, timeout=500
    )
    assert found.returncode == 0, found.stderr
