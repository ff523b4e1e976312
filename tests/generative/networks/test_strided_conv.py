"""Strided convolutions: sizes there and back, first weights, contexts."""

import pytest
import torch
from gymagine.generative.networks.batch_norm import BatchNorm
from gymagine.generative.networks.strided_conv import StridedDown, StridedUp, halved_sizes
from torch import nn

torch.set_num_threads(1)


@pytest.mark.parametrize(
    ("shape", "channels"),
    [
        ((1, 8, 8), (4, 6)),
        ((1, 28, 28), (4, 6, 8)),
        ((3, 32, 32), (4, 6, 8, 10)),
        ((2, 7, 13), (4, 6)),
        ((1, 2, 3), (5,)),
    ],
)
def test_there_and_back(shape, channels):
    up, down = StridedUp(3, shape, channels), StridedDown(shape, channels)
    made = up(torch.randn(4, 3), None)
    assert made.shape == (4, *shape)
    assert made.abs().max() <= 1
    assert down(made, None).shape == (4,)
    rows, columns = halved_sizes(shape[1], shape[2], len(channels))[-1]
    assert down.last.in_features == channels[-1] * rows * columns


def test_as_in_the_paper():
    """Radford et al., figure 1 and section 3: 64 by 64 from 4 by 4 with 1,024 channels."""
    shape, channels = (3, 64, 64), (128, 256, 512, 1024)
    up, down = StridedUp(100, shape, channels), StridedDown(shape, channels)
    assert up.dense.out_features == 1024 * 4 * 4
    assert [layer.out_channels for layer in up.layers] == [512, 256, 128, 3]
    assert [layer.out_channels for layer in down.layers] == [128, 256, 512, 1024]
    for layer in (*up.layers, *down.layers):
        assert (layer.kernel_size, layer.stride, layer.padding) == ((4, 4), (2, 2), (1, 1))
        assert float(layer.weight.detach().std()) == pytest.approx(0.02, rel=0.1)
        assert abs(float(layer.weight.detach().mean())) < 0.002
    # no normalisation of what the generator gives and the discriminator takes
    assert [norm.weight.numel() for norm in up.norms] == [1024, 512, 256, 128]
    assert [norm.weight.numel() for norm in down.norms] == [256, 512, 1024]
    for norm in (*up.norms, *down.norms):
        assert float(norm.weight.detach().mean()) == pytest.approx(1, abs=0.01)


def test_the_context_reaches_every_place():
    torch.manual_seed(0)
    down = StridedDown((1, 8, 8), (4,), num_context=2).double()
    x = torch.zeros(1, 1, 8, 8, dtype=torch.float64)
    context = torch.tensor([[1.0, -2.0]], dtype=torch.float64)
    pictures = torch.cat([x, context[:, :, None, None].expand(1, 2, 8, 8)], dim=1)
    plain = StridedDown((3, 8, 8), (4,)).double()
    plain.load_state_dict(down.state_dict())
    torch.testing.assert_close(down(x, context), plain(pictures, None))


def test_only_what_needs_one_has_a_bias():
    up, down = StridedUp(3, (1, 8, 8), (4, 6)), StridedDown((1, 8, 8), (4, 6))
    biased = {
        name
        for network in (up, down)
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and layer.bias is not None
    }
    assert biased == {"layers.1", "layers.0"}
    assert up.layers[0].bias is None and down.layers[1].bias is None
    assert sum(isinstance(layer, BatchNorm) for layer in up.modules()) == 2


def test_too_small():
    with pytest.raises(ValueError, match="expected pictures of at least 8 by 8 for 3 halvings"):
        StridedUp(3, (1, 8, 7), (4, 6, 8))
