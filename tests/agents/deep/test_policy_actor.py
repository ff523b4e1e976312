"""Drawing actions: numpy's way and PyTorch's agree, and both draw what the policy says."""

import numpy as np
import pytest
import torch
from gymagine.agents.deep.encoders import Encoder
from gymagine.agents.deep.flat_parameters import FlatParameters
from gymagine.agents.deep.layers import MemberLinear
from gymagine.agents.deep.member_streams import member_streams
from gymagine.agents.deep.policy_actor import PolicyActor, drawn_choices
from gymagine.agents.deep.policy_distributions import SquashedGaussian, categorical
from gymagine.agents.deep.policy_networks import (
    ActorCritic,
    PolicyHead,
    PolicyNetwork,
    ValueHead,
)
from gymnasium import spaces
from scipy import stats

VECTOR = spaces.Box(-1, 1, (4,))
FRAME = spaces.Box(0, 255, (10, 10, 2), np.uint8)
BOX = spaces.Box(np.float32([[-2, 0]]), np.float32([[2, 5]]))
MEMBERS = 3


def actor(actions, observations=(VECTOR,), members=MEMBERS, values=True, **settings):
    rngs = [np.random.default_rng(seed) for seed in range(members)]
    encoder = Encoder(observations, ["a", "b"][: len(observations)], rngs=rngs)
    settings = {"hidden_sizes": (8,), "orthogonal": False} | settings
    policy = PolicyHead(encoder.num_features, actions, rngs=rngs, **settings)
    value = ValueHead(encoder.num_features, rngs=rngs, hidden_sizes=(8,))
    network = ActorCritic(encoder, policy, value) if values else PolicyNetwork(encoder, policy)
    flat = FlatParameters(network)
    return PolicyActor(flat, actions), flat


def seen(observations=(VECTOR,), members=MEMBERS, batch=5):
    rng = np.random.default_rng(7)
    return [
        rng.integers(3, size=(members, batch, *space.shape))
        if isinstance(space, spaces.Discrete)
        else rng.normal(size=(members, batch, *space.shape)).astype(space.dtype)
        for space in observations
    ]


def tensors(leaves):
    return tuple(torch.from_numpy(leaf) for leaf in leaves)


@pytest.mark.parametrize("masked", [False, True])
def test_choices_are_drawn_as_the_distribution_draws_them(masked):
    rng = np.random.default_rng(0)
    logits = 3 * rng.normal(size=(2, 500, 6)).astype(np.float32)
    allowed = rng.random((2, 500, 6)) < 0.4 if masked else None
    uniforms = rng.random((2, 500))
    policy = categorical(
        torch.from_numpy(logits), None if allowed is None else torch.from_numpy(allowed)
    )
    expected = policy.sample_latent(torch.from_numpy(uniforms)).numpy()
    found = drawn_choices(logits.copy(), allowed, uniforms)
    # a uniform may lie within a rounding error of a boundary
    assert (found != expected).mean() < 0.01
    if allowed is not None:
        some = allowed.any(axis=2)
        assert np.take_along_axis(allowed, found[..., None], 2)[some].all()
        assert len(set(found[~some].tolist())) > 1


def test_the_ends_of_the_uniforms():
    logits = np.float32([[[-np.inf, 0.0, -200.0, 0.0, -np.inf]]])
    for uniform, expected in ((0.0, 1), (0.49, 1), (0.51, 3), (np.nextafter(1.0, 0.0), 3)):
        assert drawn_choices(logits.copy(), None, np.array([[uniform]])) == expected


SPACES = {
    "plain": (VECTOR,),
    "one-hot": (spaces.Discrete(3),),
    "both": (VECTOR, spaces.Discrete(3)),
    "frames": (FRAME,),
}


@pytest.mark.parametrize("observations", SPACES.values(), ids=SPACES)
@pytest.mark.parametrize("values", [True, False])
def test_policies_and_values_are_the_modules(observations, values):
    drawer, flat = actor(spaces.Discrete(4), observations, values=values)
    leaves = seen(observations)
    flat.values.mul_(1.5)  # what is learnt is used at once
    out = flat.module(tensors(leaves))
    policy = out[0] if values else out
    expected = out[1].detach().numpy() if values else np.zeros((MEMBERS, 5), np.float32)
    torch.testing.assert_close(drawer.policy(leaves).log_p, policy.log_p.detach())
    np.testing.assert_allclose(drawer.values(leaves), expected, rtol=1e-4, atol=1e-5)
    for member in range(MEMBERS):
        own = [leaf[member : member + 1] for leaf in leaves]
        part = drawer.policy(own, None, member).log_p[0]
        torch.testing.assert_close(part, policy.log_p[member].detach(), rtol=1e-4, atol=1e-5)
        found = drawer.values(own, member)[0]
        np.testing.assert_allclose(found, expected[member], rtol=1e-4, atol=1e-5)


def test_members_draw_by_their_own_streams():
    together, _ = actor(spaces.Discrete(4))
    leaves = seen(batch=200)
    latents, actions = together.draw(leaves, None, member_streams([5, 6, 7]).acting)
    assert actions.tolist() == latents.flatten().tolist()
    alone = PolicyActor(FlatParameters(together._flat.of_member(1).module), spaces.Discrete(4))
    own, _ = alone.draw([leaf[1:2] for leaf in leaves], None, member_streams([6]).acting)
    assert own[0].tolist() == latents[1].tolist()


ACTIONS = {
    "discrete": (spaces.Discrete(3, start=4), {}),
    "multi-discrete": (spaces.MultiDiscrete([3, 2], start=[1, -1]), {}),
    "multi-binary": (spaces.MultiBinary((2, 2)), {}),
    "gaussian": (BOX, {}),
    "squashed": (BOX, {"squash": True, "state_dependent_sigma": True}),
}


@pytest.mark.parametrize(("actions", "settings"), ACTIONS.values(), ids=ACTIONS)
def test_actions_are_of_the_space_and_latents_stand_for_them(actions, settings):
    drawer, flat = actor(actions, **settings)
    streams = member_streams(range(MEMBERS))
    latents, drawn = drawer.draw(seen(), None, streams.acting)
    assert drawn.shape == (MEMBERS * 5, *actions.shape)
    assert all(action in actions for action in drawn)
    assert latents.shape == (MEMBERS, 5, *drawer.latent[0])
    assert latents.dtype == drawer.latent[1]
    for choice in (streams.prediction, None):
        chosen = drawer.choose(1, [leaf[1] for leaf in seen()], None, choice)
        assert chosen.shape == (5, *actions.shape)
        assert all(action in actions for action in chosen)
    policy, _ = flat.module(tensors(seen()))
    assert policy.log_prob_of_latent(torch.from_numpy(latents)).isfinite().all()
    mode = policy.mode()[1].detach().numpy().reshape(5, *actions.shape)
    if isinstance(actions, spaces.Box):
        expected = mode.clip(actions.low, actions.high)
        np.testing.assert_allclose(chosen, expected, rtol=1e-4, atol=1e-5)
        assert isinstance(policy, SquashedGaussian) == bool(settings)
    else:
        start = getattr(actions, "start", 0)
        np.testing.assert_array_equal(chosen, mode + start)


def test_masks_hold_everywhere():
    drawer, _ = actor(spaces.Discrete(3, start=4))
    allowed = np.zeros((MEMBERS, 5, 3), np.bool_)
    allowed[..., 2] = True
    streams = member_streams(range(MEMBERS))
    assert (drawer.draw(seen(), allowed, streams.acting)[1] == 6).all()
    own = [leaf[0] for leaf in seen()]
    for choice in (streams.prediction, None):
        assert (drawer.choose(0, own, allowed[0], choice) == 6).all()


def test_frequencies_are_the_policys():
    drawer, flat = actor(spaces.Discrete(3), members=1)
    leaves = [np.broadcast_to(np.float32([1.0, -2.0, 0.5, 3.0]), (1, 20_000, 4))]
    latents, _ = drawer.draw(leaves, None, member_streams([0]).acting)
    with torch.no_grad():
        p = flat.module(tensors([leaves[0][:, :1].copy()]))[0].probabilities[0, 0].numpy()
    counts = np.bincount(latents[0], minlength=3)
    assert stats.chisquare(counts, 20_000 * p.astype(float) / p.sum(dtype=float)).pvalue > 1e-3


def test_other_modules_are_refused():
    layer = MemberLinear(3, 3, rngs=[np.random.default_rng(0)])
    with pytest.raises(TypeError, match="an ActorCritic or a PolicyNetwork, got MemberLinear"):
        PolicyActor(FlatParameters(layer), spaces.Discrete(3))
