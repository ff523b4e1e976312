"""The stacks over whole pictures, and pixel by pixel."""

import math

import numpy as np
import pytest
import torch
from gymagine.generative.autoregressive.gated_pixelcnn import GatedPixelCNN
from gymagine.generative.autoregressive.gated_stacks import (
    GatedLayer,
    dealt_channels,
    gated,
    pointwise_mask,
)
from torch.testing import assert_close


def test_gates_and_masks_by_hand():
    found = gated(torch.tensor([[0.5, -1.0, 0.0, 2.0]]))
    expected = [math.tanh(0.5) * 0.5, math.tanh(-1.0) / (1 + math.exp(-2.0))]
    assert_close(found, torch.tensor([expected]))
    assert dealt_channels(7, 3).tolist() == [0, 0, 0, 1, 1, 2, 2]
    mask = pointwise_mask(np.array([0, 1, 2]), np.array([1, 0]))
    assert mask[:, :, 0, 0].int().tolist() == [[1, 1, 0], [1, 0, 0]]


@pytest.mark.parametrize("is_first", [True, False])
def test_what_a_layer_sees(is_first):
    """Offsets (rows, columns) from the pixel at (3, 3), kernels of size 3."""
    torch.manual_seed(0)
    one = np.zeros(1, dtype=np.int64)
    layer = GatedLayer(one, one, 3, 0, is_first=is_first).double()
    x = torch.randn(2, 1, 1, 7, 7, dtype=torch.float64, requires_grad=True)

    def seen(output):
        slopes = torch.autograd.grad(output[0, 0, 3, 3], x)[0][:, 0, 0]
        return [[(p - 3).tolist() for p in slope.nonzero()] for slope in slopes]

    above = [[-1, -1], [-1, 0], [-1, 1]]
    own = [] if is_first else [[0, -1], [0, 0], [0, 1]]
    vertical, horizontal = layer(x[0], x[1], None)
    assert seen(vertical) == [above + own, []]
    left = [[0, -1]] if is_first else [[0, -1], [0, 0]]
    vertical, horizontal = layer(x[0], x[1], None)
    assert seen(horizontal) == [above + own, left]


@pytest.mark.parametrize("context_shape", [(3,), (3, 4, 5)], ids=["vector", "map"])
@pytest.mark.parametrize("one_hot", [False, True])
def test_pixel_by_pixel_is_the_whole(context_shape, one_hot):
    shape = (2, 4, 5)
    torch.manual_seed(0)
    model = GatedPixelCNN(
        shape,
        num_features=12,
        num_layers=3,
        conditional="categorical",
        num_levels=3,
        one_hot=one_hot,
        context_shape=context_shape,
        first_kernel_size=5,
    ).double()
    rng = torch.Generator().manual_seed(0)
    x = torch.randint(3, (6, *shape), generator=rng)
    context = torch.randn(6, *context_shape, generator=rng, dtype=torch.float64)
    expected = model.conditional_parameters(x, context)
    with torch.no_grad():
        scan = model._scan(6, context)
        for row in range(4):
            scan.begin_row(row)
            for column in range(5):
                for channel in range(2):
                    found = scan.outputs(column)[:, channel]
                    assert_close(found, expected[:, channel, row, column])
                    scan.put(column, channel, model._inputs(x[:, channel, row, column]))
