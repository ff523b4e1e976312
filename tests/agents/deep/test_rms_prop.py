"""RMSprop is PyTorch's, or in its other form what Stable-Baselines3 took from TensorFlow."""

import pytest
import torch
from gymagine.agents.deep.rms_prop import rms_prop_step
from stable_baselines3.common.sb2_compat.rmsprop_tf_like import RMSpropTFLike

RATES = [7e-4, 3e-2]


@pytest.mark.parametrize(
    ("optimiser", "inside_root"), [(torch.optim.RMSprop, False), (RMSpropTFLike, True)]
)
def test_each_member_takes_the_steps_of_the_peer(optimiser, inside_root):
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(2, 9, generator=generator)
    peers = [values[member].clone().requires_grad_() for member in range(2)]
    theirs = [
        optimiser([peer], lr=rate, alpha=0.99, eps=1e-5)
        for peer, rate in zip(peers, RATES, strict=True)
    ]
    squares = torch.full_like(values, float(inside_root))
    for _ in range(20):
        gradients = torch.randn(2, 9, generator=generator)
        rms_prop_step(values, gradients, squares, torch.tensor(RATES), inside_root=inside_root)
        for member, peer in enumerate(peers):
            peer.grad = gradients[member].clone()
            theirs[member].step()
    torch.testing.assert_close(values, torch.stack([peer.detach() for peer in peers]))
