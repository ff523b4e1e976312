"""NICE: volumes, and the loss of the paper written out."""

import torch
from gymagine.generative.flows.nice import NICE
from gymagine.generative.flows.transform import Scaling
from torch.nn import functional

from .shaking import shaken


def test_couplings_keep_volumes_and_the_last_layer_scales():
    torch.manual_seed(0)
    flow = shaken(NICE((5,), hidden_sizes=(8,)))
    *couplings, scaling = flow.transform.transforms
    assert isinstance(scaling, Scaling)
    x = torch.randn(7, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    z, log_det = flow.to_base(x)
    for transform in couplings:
        x, volume = transform(x, None)
        assert not volume.any()
    torch.testing.assert_close(x * scaling.log_scale.exp(), z)
    torch.testing.assert_close(log_det, scaling.log_scale.sum().expand(7))


def test_the_loss_is_that_of_the_paper():
    torch.manual_seed(0)
    flow = shaken(NICE((4,), hidden_sizes=(8,)))
    x = torch.randn(6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    h, s = flow.encode(x), flow.transform.transforms[-1].log_scale
    log_logistic = -functional.softplus(h) - functional.softplus(-h)
    torch.testing.assert_close(flow.loss(x), -(log_logistic + s).sum(dim=1))
