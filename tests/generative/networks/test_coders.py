"""Encoders and decoders: chosen by shape or word, told the context, linear where they say so."""

import pytest
import torch
from gymagine.generative.networks.coders import CoderSettings, Decoder, Encoder, is_convolutional

EVENTS = [((5,), "auto"), ((3, 4), "mlp"), ((2, 8, 9), "mlp"), ((2, 8, 9), "convolutional")]


@pytest.mark.parametrize(("event_shape", "network"), EVENTS)
@pytest.mark.parametrize("context_shape", [None, (3,), (1, 2)])
def test_shapes_and_dependence_on_everything(event_shape, network, context_shape):
    settings = CoderSettings(network, (7,), (3, 4), "tanh")
    encoder = Encoder(event_shape, 6, settings, context_shape=context_shape)
    decoder = Decoder(6, event_shape, 2, settings, context_shape=context_shape)
    x = torch.randn(2, *event_shape, requires_grad=True)
    given = () if context_shape is None else (torch.randn(2, *context_shape, requires_grad=True),)
    z = encoder(x, *given)
    outputs = decoder(z, *given)
    assert z.shape == (2, 6)
    assert outputs.shape == (2, *event_shape, 2)
    for slope in torch.autograd.grad((z**2).sum() + (outputs**2).sum(), [x, *given]):
        assert (slope != 0).all()


def test_pictures_of_sixteen_and_more_are_convolved():
    assert is_convolutional("auto", (1, 16, 16))
    assert not is_convolutional("auto", (1, 8, 28))
    assert not is_convolutional("auto", (256,))
    assert not is_convolutional("mlp", (1, 28, 28))
    assert is_convolutional("convolutional", (1, 4, 4))


def test_channels_are_not_mixed_up_with_their_numbers():
    settings = CoderSettings("convolutional", (), (3,))
    decoder = Decoder(4, (2, 5, 6), 3, settings).double()
    z = torch.randn(1, 4, dtype=torch.float64)
    before = decoder(z)
    with torch.no_grad():
        decoder.maps.last.bias[4] += 1.0  # of channel 1, number 1
    moved = decoder(z) - before
    expected = torch.zeros_like(moved)
    expected[:, 1, :, :, 1] = 1
    torch.testing.assert_close(moved, expected)


def test_linear_is_affine():
    settings = CoderSettings("linear", (9,))
    for network, size in ((Encoder((4,), 3, settings), 4), (Decoder(4, (6,), 1, settings), 4)):
        x, y = torch.randn(2, 1, size, dtype=torch.float64)
        double = network.double()
        middle = (double(x) + double(y)) / 2
        torch.testing.assert_close(double((x + y) / 2), middle)


def test_convolutions_take_pictures_only():
    settings = CoderSettings("convolutional")
    for make in (lambda: Encoder((5,), 3, settings), lambda: Decoder(3, (5, 4), 1, settings)):
        with pytest.raises(ValueError, match=r"expected pictures .* got events of shape \(5"):
            make()
    with pytest.raises(ValueError, match="at least one axis"):
        Encoder((), 3, CoderSettings())
