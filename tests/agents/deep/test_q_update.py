"""A population's update is what torch's own modules and optimiser do, member by member."""

import subprocess
import sys

import gymnasium
import numpy as np
import pytest
import torch
from gymagine.agents.deep.categorical_values import value_atoms
from gymagine.agents.deep.encoders import Encoder
from gymagine.agents.deep.layers import layer_noise
from gymagine.agents.deep.networks import QNetwork
from gymagine.agents.deep.q_losses import QLossSettings, UpdateBatch
from gymagine.agents.deep.q_update import QUpdate
from torch import nn

MEMBERS, BATCH, ACTIONS = 3, 16, 4
RATES = [1e-3, 5e-3, 3e-4]


def settings(**changes):
    plain = {"double": False, "error_loss": "huber", "atoms": None}
    return QLossSettings(**plain | {"max_grad_norm": 10.0, "adam_epsilon": 1e-8} | changes)


def network(seeds=range(MEMBERS), **switches):
    rngs = [np.random.default_rng(seed) for seed in seeds]
    encoder = Encoder([gymnasium.spaces.Box(-1, 1, (5,))], rngs=rngs)
    return QNetwork(encoder, ACTIONS, rngs=rngs, hidden_sizes=(12, 8), **switches)


def batch_of(step, members=MEMBERS, **changes):
    generator = torch.Generator().manual_seed(step)
    shape = (members, BATCH)
    ended = torch.rand(shape, generator=generator) < 0.2
    parts = {
        "observations": (torch.randn(*shape, 5, generator=generator),),
        "actions": torch.randint(ACTIONS, shape, generator=generator),
        "rewards": 3 * torch.randn(shape, generator=generator),
        "discounts": torch.where(ended, 0.0, 0.9),
        "next_observations": (torch.randn(*shape, 5, generator=generator),),
        "next_masks": None,
        "weights": None,
    }
    return UpdateBatch(**parts | changes)


def updated(own, chosen, num_updates=12, noises=(None, None, None), rates=RATES, **changes):
    update = QUpdate(own, chosen, torch.tensor(rates))
    results = []
    for step in range(num_updates):
        results.append(update(batch_of(step, len(rates), **changes), noises))
        if step % 5 == 4:
            update.move_targets(1.0)
    return update, results


def copied(own, member):
    """One member's network as torch's own modules."""
    layers = [own.trunk.layers[0], own.trunk.layers[1], own.advantages.layers[0]]
    modules = []
    for layer in layers:
        linear = nn.Linear(*layer.weight.shape[1:])
        linear.weight.data = layer.weight[member].detach().T.clone()
        linear.bias.data = layer.bias[member, 0].detach().clone()
        modules += [linear, nn.ReLU()]
    return nn.Sequential(*modules[:-1])


def torch_dqn(own, member, double, masks, num_updates=12):
    """Deep Q-learning as the papers write it, for one network."""
    online, target = copied(own, member), copied(own, member)
    optimiser = torch.optim.Adam(online.parameters(), lr=RATES[member])
    losses = []
    for step in range(num_updates):
        batch = batch_of(step)
        seen, after = batch.observations[0][member], batch.next_observations[0][member]
        with torch.no_grad():
            values = target(after)
            chooser = online(after) if double else values
            if masks is not None:
                chooser = chooser.masked_fill(~masks[member], -torch.inf)
            best = values.gather(1, chooser.argmax(1, keepdim=True))[:, 0]
            goal = batch.rewards[member] + batch.discounts[member] * best
        taken = online(seen).gather(1, batch.actions[member][:, None])[:, 0]
        loss = nn.functional.smooth_l1_loss(taken, goal)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(online.parameters(), 10.0)
        optimiser.step()
        losses.append(loss.item())
        if step % 5 == 4:
            target.load_state_dict(online.state_dict())
    return online, losses


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_every_member_is_torchs(double, masked):
    masks = torch.rand(MEMBERS, BATCH, ACTIONS, generator=torch.Generator().manual_seed(9)) < 0.5
    masks[..., 2] = True
    masks = masks if masked else None
    own = network()
    peers = [torch_dqn(own, member, double, masks) for member in range(MEMBERS)]
    update, results = updated(own, settings(double=double), next_masks=masks)
    losses = torch.stack([result.losses for result in results])
    for member, (online, expected) in enumerate(peers):
        torch.testing.assert_close(losses[:, member], torch.tensor(expected))
        mine = [value[member] for value in update.parameters.values()]
        theirs = [p.T if p.dim() == 2 else p[None] for p in online.parameters()]
        for value, other in zip(mine, theirs, strict=True):
            torch.testing.assert_close(value, other.detach(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("switches", "changes"),
    [
        ({}, {}),
        ({"duelling": True}, {"double": True}),
        ({"num_atoms": 11}, {"atoms": value_atoms(-10, 10, 11), "double": True}),
    ],
)
def test_a_member_learns_the_same_alone(switches, changes):
    together, _ = updated(network(**switches), settings(**changes))
    for member in range(MEMBERS):
        alone = QUpdate(
            network([member], **switches), settings(**changes), torch.tensor(RATES[member:][:1])
        )
        for step in range(12):
            whole = batch_of(step)
            part = UpdateBatch(
                observations=(whole.observations[0][member:][:1],),
                actions=whole.actions[member:][:1],
                rewards=whole.rewards[member:][:1],
                discounts=whole.discounts[member:][:1],
                next_observations=(whole.next_observations[0][member:][:1],),
                next_masks=None,
                weights=None,
            )
            alone(part, (None, None, None))
            if step % 5 == 4:
                alone.move_targets(1.0)
        for name, value in alone.parameters.items():
            torch.testing.assert_close(
                together.parameters[name][member], value[0], rtol=1e-4, atol=1e-6
            )


def test_distributions_move_towards_the_reward(without_shape_checks):
    """A terminating step that pays 3: the distribution becomes one atom at 3."""
    atoms = value_atoms(-5, 5, 11)
    ended = torch.zeros(MEMBERS, BATCH)
    threes = torch.full((MEMBERS, BATCH), 3.0)
    update, results = updated(
        network(num_atoms=11),
        settings(atoms=atoms),
        num_updates=400,
        rates=[0.01] * 3,
        discounts=ended,
        rewards=threes,
    )
    assert (results[-1].values - 3).abs().max() < 0.1
    assert results[-1].losses.max() < 0.05 < results[0].losses.min()
    assert update.targets.keys() == update.parameters.keys()


def test_weights_scale_the_losses():
    weights = torch.zeros(MEMBERS, BATCH)
    weights[:, 3] = 1.0
    _, (result,) = updated(network(), settings(error_loss="squared"), 1, weights=weights)
    expected = 0.5 * result.errors[:, 3] ** 2 / BATCH
    torch.testing.assert_close(result.losses, expected)


def test_targets_move_by_their_share():
    update, _ = updated(network(), settings(), 3)
    before = {name: value.clone() for name, value in update.targets.items()}
    update.move_targets(0.25)
    for name, value in update.targets.items():
        expected = 0.75 * before[name] + 0.25 * update.parameters[name]
        torch.testing.assert_close(value, expected)


def test_the_network_itself_is_moved():
    own = network()
    before = [parameter.clone() for parameter in own.parameters()]
    updated(own, settings(), 1)
    assert all(
        not torch.equal(old, new) for old, new in zip(before, own.parameters(), strict=True)
    )


def test_noise_is_what_is_given():
    own = network(noisy=True)
    rngs = [np.random.default_rng(seed) for seed in range(MEMBERS)]
    noises = tuple(layer_noise(own.noise_shapes, rngs) for _ in range(3))
    _, one = updated(network(noisy=True), settings(double=True), 3, noises)
    _, same = updated(network(noisy=True), settings(double=True), 3, noises)
    _, none = updated(network(noisy=True), settings(double=True), 3)
    assert torch.equal(one[-1].losses, same[-1].losses)
    assert not torch.allclose(one[-1].losses, none[-1].losses)


@pytest.mark.parametrize("atoms", [None, value_atoms(-10, 10, 11)])
@pytest.mark.parametrize("noisy", [False, True])
def test_gradients_by_hand_are_those_of_the_tape(atoms, noisy):
    switches = {"duelling": True, "noisy": noisy, "num_atoms": None if atoms is None else 11}
    updates = []
    for by_hand in (True, False):
        own = network(**switches)
        chosen = settings(double=True, atoms=atoms)
        update = QUpdate(own, chosen, torch.tensor(RATES), by_hand=by_hand)
        rngs = [np.random.default_rng(seed) for seed in range(MEMBERS)]
        for step in range(5):
            noises = tuple(layer_noise(own.noise_shapes, rngs) if noisy else None for _ in "123")
            weights = torch.linspace(0.1, 2, MEMBERS * BATCH).view(MEMBERS, BATCH)
            update(batch_of(step, weights=weights), noises)
        updates.append(update)
    one, other = (update.tensors() for update in updates)
    assert one.keys() == other.keys()
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], rtol=1e-3, atol=1e-5)


COMPILED = """
import sys
sys.path.insert(0, sys.argv[1])
import torch
from test_q_update import RATES, batch_of, layer_noise, network, settings, value_atoms
from gymagine.agents.deep.q_update import QUpdate
import numpy as np

torch.set_num_threads(1)
cases = [({}, {}), ({"duelling": True, "num_atoms": 5, "noisy": True},
                    {"atoms": value_atoms(-9, 9, 5), "double": True})]
for switches, changes in cases:
    updates = []
    for compiled in (False, True):
        own = network(**switches)
        update = QUpdate(own, settings(**changes), torch.tensor(RATES), compiled=compiled)
        rngs = [np.random.default_rng(seed) for seed in range(3)]
        for step in range(6):
            noises = tuple(
                layer_noise(own.noise_shapes, rngs) if own.noise_shapes else None
                for _ in range(3)
            )
            update(batch_of(step), noises)
        updates.append(update)
    eager, compiled = updates
    for name, value in eager.parameters.items():
        torch.testing.assert_close(value, compiled.parameters[name], rtol=1e-4, atol=1e-6)
"""


@pytest.mark.slow  # it compiles
def test_compiled_updates_are_the_same():
    # in a process of its own: the shape checks of the tests cannot be traced
    here = __file__.rpartition("/")[0]
    subprocess.run([sys.executable, "-c", COMPILED, here], check=True)
