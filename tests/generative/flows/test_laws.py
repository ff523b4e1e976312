"""Every flow keeps the laws of generators."""

import pytest
import torch
from gymagine.generative.flows.flow_matching import FlowMatching
from gymagine.generative.flows.maf import MAF
from gymagine.generative.flows.nice import NICE
from gymagine.generative.flows.real_nvp import RealNVP
from gymagine.generative.flows.spline_flow import SplineFlow
from gymagine.generative.testing import check_generator

SMALL = {"hidden_sizes": (8,)}
FLOWS = {
    "nice": (NICE, SMALL),
    "real-nvp": (RealNVP, SMALL),
    "maf": (MAF, SMALL),
    "spline maf": (MAF, SMALL | {"elementwise": "spline"}),
    "spline-flow": (SplineFlow, SMALL),
    "flow-matching": (FlowMatching, SMALL | {"num_steps": 8}),
}


@pytest.mark.parametrize("context_shape", [None, (3,)], ids=["alone", "in a context"])
@pytest.mark.parametrize("event_shape", [(3,), (1, 2, 2)], ids=["vectors", "pictures"])
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name == "flow-matching" else ())
        for name in FLOWS
    ],
)
def test_the_laws(name, event_shape, context_shape):
    make, settings = FLOWS[name]
    torch.manual_seed(0)
    flow = make(event_shape, context_shape=context_shape, **settings)
    context = None if context_shape is None else torch.randn(4, *context_shape)
    check_generator(flow, torch.randn(4, *event_shape), context)
