"""The gated PixelCNN sees what comes before and nothing else, and all of it."""

import numpy as np
import pytest
import torch
from gymagine.generative.autoregressive.autoregressive import raster_sequence
from gymagine.generative.autoregressive.gated_pixelcnn import GatedPixelCNN
from gymagine.generative.networks.masked import MaskedConv2d, raster_connections
from gymagine.generative.testing import (
    check_dependencies,
    check_frequencies,
    check_total_probability,
)
from gymagine.generative.training import fit
from torch import nn

SMALL = {"num_features": 12, "num_layers": 2, "num_head_features": 12}


def made(event_shape=(1, 3, 4), **settings):
    torch.manual_seed(0)
    return GatedPixelCNN(event_shape, **(SMALL | settings)).double()


def raster_outputs(model, context=None):
    """From (1, C, H, W) to (1, D, P), in raster order."""
    return lambda x: torch.stack(
        [raster_sequence(part) for part in model.conditional_parameters(x, context).unbind(-1)], 2
    )


@pytest.mark.parametrize("shape", [(1, 4, 5), (3, 3, 3), (2, 5, 2)], ids=str)
@pytest.mark.parametrize("conditional", ["bernoulli", "gaussian-mixture"])
def test_every_entry_depends_on_exactly_those_before_it(shape, conditional):
    model = made(shape, conditional=conditional, num_components=2)
    size = model.num_entries
    x = torch.rand(1, *shape, dtype=torch.float64)
    before = torch.ones(size, size, dtype=torch.bool).tril(-1)
    # entries in raster order are the outputs, the event as it lies is the input
    places = raster_sequence(torch.arange(size).view(1, *shape))[0]
    expected = torch.empty_like(before)
    expected[:, places] = before
    check_dependencies(raster_outputs(model), x, expected)


def test_one_stack_of_square_kernels_has_a_blind_spot():
    """The control: what the plain PixelCNN's masks hide, however many layers there are."""
    torch.manual_seed(0)
    one, few = np.zeros(1, dtype=np.int64), np.zeros(4, dtype=np.int64)
    layers: list[nn.Module] = []
    for i in range(8):
        layers += [
            nn.ZeroPad2d(1),
            MaskedConv2d(
                raster_connections(few if i else one, few, (3, 3), (1, 1), strict=i == 0)
            ),
            nn.Tanh(),
        ]
    plain = nn.Sequential(*layers).double()
    x = torch.randn(1, 1, 5, 5, dtype=torch.float64, requires_grad=True)
    gated = made((1, 5, 5), first_kernel_size=3, num_layers=8)
    seen = []
    for output in (plain(x)[0, :, 3, 2], gated.conditional_parameters(x)[0, 0, 3, 2]):
        (slope,) = torch.autograd.grad(output.sum(), [x])
        seen.append((slope[0, 0] != 0).int().tolist())
    # each row above reaches one pixel further to the right, and no layer more changes that
    assert seen[0] == [
        [1, 1, 1, 1, 1],
        [1, 1, 1, 1, 1],
        [1, 1, 1, 1, 0],
        [1, 1, 0, 0, 0],
        [0, 0, 0, 0, 0],
    ]
    assert seen[1] == [[1] * 5, [1] * 5, [1] * 5, [1, 1, 0, 0, 0], [0] * 5]


@pytest.mark.parametrize(("first", "later", "layers"), [(3, 3, 1), (5, 3, 2), (3, 5, 2)])
def test_the_receptive_field_is_what_the_docstring_says(first, later, layers):
    model = made((1, 7, 13), first_kernel_size=first, kernel_size=later, num_layers=layers)
    x = torch.randn(1, 1, 7, 13, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(model.conditional_parameters(x)[0, 0, 6, 6].sum(), [x])
    reach = first // 2 + (layers - 1) * (later // 2)
    expected = torch.zeros(7, 13, dtype=torch.bool)
    expected[6 - reach : 6, 6 - reach : 7 + reach] = True
    expected[6, 6 - reach : 6] = True
    assert torch.equal(slope[0, 0] != 0, expected)


@pytest.mark.parametrize(
    ("shape", "settings"),
    [
        ((1, 3, 3), {}),
        ((3, 2, 1), {}),
        ((2, 2, 1), {"conditional": "categorical", "num_levels": 5}),
        ((2, 2, 1), {"conditional": "categorical", "num_levels": 5, "one_hot": True}),
        ((1, 2, 2), {"conditional": "discretised-logistic", "num_levels": 5, "num_components": 2}),
    ],
    ids=str,
)
def test_probabilities_add_up_and_samples_follow_them(shape, settings):
    model = made(shape, **settings)
    check_total_probability(model)
    check_frequencies(model, num_samples=3000)


@pytest.mark.parametrize("context_shape", [(2,), (1, 2), (3, 2, 2)], ids=str)
def test_context_reaches_every_conditional(context_shape):
    model = made((2, 3, 2), context_shape=context_shape)
    x = torch.ones(1, 2, 3, 2, dtype=torch.float64)
    context = torch.randn(1, *context_shape, dtype=torch.float64)
    everywhere = torch.ones(12, context[0].numel(), dtype=torch.bool)
    check_dependencies(lambda c: raster_outputs(model, c)(x), context, everywhere)


def test_a_map_reaches_the_pixels_of_its_row_and_below():
    model = made((1, 2, 3), context_shape=(1, 2, 3), num_layers=3)
    x = torch.ones(1, 1, 2, 3, dtype=torch.float64)
    context = torch.randn(1, 1, 2, 3, dtype=torch.float64)
    expected = torch.ones(6, 6, dtype=torch.bool)
    expected[:3, 3:] = False
    check_dependencies(lambda c: raster_outputs(model, c)(x), context, expected)


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match=r"pictures of shape \(C, H, W\), got \(5,\)"):
        GatedPixelCNN((5,))
    with pytest.raises(ValueError, match="an odd kernel_size, got 4"):
        GatedPixelCNN((1, 4, 4), kernel_size=4)
    with pytest.raises(ValueError, match="features for each of 3 channels, got 2"):
        GatedPixelCNN((3, 4, 4), num_features=2)
    with pytest.raises(TypeError, match="did you mean num_layers"):
        GatedPixelCNN((1, 4, 4), num_layer=2)


def test_fit_moves_the_weights_that_the_gradients_are_of():
    """PyTorch's fused optimisers trust that a gradient lies in memory as its parameter does.

    Those of convolutions over pictures that were stored with their channels last do not: with them
    as they are, every update of weights would be shuffled.
    """
    rng = torch.Generator().manual_seed(0)
    x = (torch.rand(32, 4, 4, 3, generator=rng) < 0.3).float().permute(0, 3, 1, 2)
    fitted, model = (made((3, 4, 4)).float() for _ in range(2))
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.0, fused=False)
    for _ in range(3):
        optimiser.zero_grad()
        model.loss(x).mean().backward()
        optimiser.step()
    steps = {"num_updates": 3, "learning_rate": 0.01, "step_sizes": "constant"}
    fit(fitted, x, batch_size=32, device="cpu", **steps)
    for own, expected in zip(fitted.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(own, expected, atol=1e-4, rtol=0)
