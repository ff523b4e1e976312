"""RealNVP against normflows with the same weights."""

import pytest
import torch
from gymagine.generative.flows.real_nvp import RealNVP
from torch import nn

from .shaking import shaken


class Bounded(nn.Module):
    """normflows takes shifts and log-scales by turns, the latter unbounded."""

    def __init__(self, network, limit):
        super().__init__()
        self.network, self.limit = network, limit

    def forward(self, x):
        raw, shift = self.network(x).view(len(x), -1, 2).unbind(dim=2)
        return torch.stack([shift, self.limit * raw.tanh()], dim=2).flatten(1)


def test_it_is_normflows_with_the_same_weights():
    nf = pytest.importorskip("normflows")
    torch.manual_seed(0)
    flow = shaken(RealNVP((2,), num_couplings=4, hidden_sizes=(8, 8), log_scale_limit=1.5))
    layers = []
    for coupling in flow.transform.transforms[0].couplings:
        # normflows moves from latents to events, and swaps the halves in between
        layers.append(nf.flows.AffineCouplingBlock(Bounded(coupling.network, 1.5)))
        layers.append(nf.flows.Permute(2, mode="swap"))
    x = 2 * torch.randn(20, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    z, log_det = x, torch.zeros(20, dtype=torch.float64)
    for layer in layers:
        z, more = layer(z)
        log_det = log_det + more
    own_z, own_log_det = flow.to_base(x)
    torch.testing.assert_close(own_z, z)
    torch.testing.assert_close(own_log_det, log_det)
    back = z
    for layer in reversed(layers):
        back, _ = layer.inverse(back)
    torch.testing.assert_close(flow.decode(z), back)


@pytest.mark.parametrize("tau", [1, 10, 1_000])
def test_far_latents_come_back(tau):
    torch.manual_seed(0)
    flow = shaken(RealNVP((6,)), by=0.1)
    z = tau * torch.randn(50, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = flow.decode(z)
    assert bool(x.isfinite().all())
    torch.testing.assert_close(flow.encode(x), z, rtol=1e-5, atol=1e-5)
