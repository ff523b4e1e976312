"""Samplers that keep what they have computed, against full passes for every entry."""

import time

import pytest
import torch
from gymagine.generative.autoregressive.gated_pixelcnn import GatedPixelCNN
from gymagine.generative.autoregressive.made import MADE
from gymagine.generative.autoregressive.transformer import Transformer

SHAPE = (1, 28, 28)


def seconds_of_full_passes(model, num, num_timed=8):
    """Of a pass over the whole picture for each of 784 entries, by a few of them."""
    x = torch.zeros(num, *SHAPE)
    begun = time.perf_counter()
    with torch.no_grad():
        for entry in range(0, 784, 784 // num_timed):
            row, column = divmod(entry, 28)
            parameters = model.conditional_parameters(x)[:, 0, row, column]
            x[:, 0, row, column] = model.conditional.sample(parameters, 1.0, None)
    return (time.perf_counter() - begun) * 784 / num_timed


@pytest.mark.slow
@pytest.mark.parametrize("family", [MADE, Transformer, GatedPixelCNN], ids=lambda f: f.name)
def test_at_784_entries_samplers_are_five_times_as_fast(family, without_shape_checks):
    torch.manual_seed(0)
    model, num = family(SHAPE).eval(), 4
    ratios = []
    for _ in range(3):
        begun = time.perf_counter()
        model.sample(num)
        own = time.perf_counter() - begun
        ratios.append(seconds_of_full_passes(model, num) / own)
    print(f"{family.name}: {sorted(ratios)[1]:.1f} times")
    # of the two that the issue names; MADE's passes are short anyway
    assert sorted(ratios)[1] > (3 if family is MADE else 5)
