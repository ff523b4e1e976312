"""Networks in numpy are those in PyTorch."""

import numpy as np
import pytest
import torch
from gymagine.agents.deep.encoders import Encoder
from gymagine.agents.deep.layers import MemberLinear, MemberMLP
from gymagine.agents.deep.observation_leaves import ObservationLeaves
from gymagine.agents.deep.quick_layers import quick_dense, quick_encoder
from gymnasium import spaces

RNGS = [np.random.default_rng(seed) for seed in range(3)]


@pytest.mark.parametrize(
    "space",
    [
        spaces.Box(-1, 1, (2, 3)),
        spaces.Box(-1, 1, (2,), np.float64),
        spaces.Discrete(5, start=2),
        spaces.MultiDiscrete([3, 4]),
        spaces.MultiBinary(3),
        spaces.Dict(a=spaces.Discrete(3), b=spaces.Box(0, 9, (2,), np.int64)),
    ],
)
def test_plain_observations(space):
    leaves = ObservationLeaves(space)
    encoder = Encoder(leaves.spaces, leaves.names, rngs=RNGS)
    seen = leaves.of_each([space.sample() for _ in range(6)])
    shaped = tuple(leaf.reshape(3, 2, *leaf.shape[1:]) for leaf in seen)
    expected = encoder(tuple(map(torch.from_numpy, shaped))).numpy()
    found = quick_encoder(encoder)(shaped)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("activation", ["relu", "tanh", "silu"])
def test_dense_layers_follow_what_is_learnt(activation):
    body = MemberMLP((4, 16, 8), activation, rngs=RNGS, activate_last=True)
    last = MemberLinear(8, 2, rngs=RNGS)
    quick = quick_dense(body, last)
    for _ in range(2):
        x = torch.randn(3, 5, 4)
        expected = last(body(x)).detach().numpy()
        np.testing.assert_allclose(quick(x.numpy()), expected, rtol=1e-4, atol=1e-6)
        x_before = x.clone()
        quick(x.numpy())
        assert (x == x_before).all()
        with torch.no_grad():
            last.weight.mul_(-2.0)
    both = quick_dense(body).then(quick_dense(last))
    np.testing.assert_array_equal(both(x.numpy()), quick(x.numpy()))


def test_what_is_not_plain_is_left_to_pytorch():
    image = spaces.Box(0, 255, (10, 10, 3), np.uint8)
    assert quick_encoder(Encoder([image], rngs=RNGS)) is None
    assert (
        quick_dense(MemberMLP((4, 2), "relu", rngs=RNGS, activate_last=True, noisy=True)) is None
    )
