"""Grids of vectors: one for each place of a picture's map, in order."""

import torch
from gymagine.generative.autoencoders.grid_coders import GridDecoder, GridEncoder, grid_shape
from gymagine.generative.networks.coders import CoderSettings


def test_places_of_a_picture_see_their_own_part():
    settings = CoderSettings("convolutional", (), (4, 4), "tanh")
    event_shape = (2, 16, 20)
    grid = grid_shape(event_shape, settings, 3)
    assert grid == (4, 5)
    torch.manual_seed(0)
    encoder = GridEncoder(event_shape, grid, 6, settings, context_shape=None)
    decoder = GridDecoder(grid, 6, event_shape, 3, settings, context_shape=None)
    x = torch.randn(1, *event_shape, requires_grad=True)
    z = encoder(x, None)
    assert z.shape == (1, 20, 6)
    # row by row: place 5 * r + c is about pixel (4 r, 4 c)
    for place, (row, column) in ((0, (0, 0)), (7, (4, 8)), (19, (12, 16))):
        (slope,) = torch.autograd.grad(z[0, place].sum(), [x], retain_graph=True)
        size = slope[0].abs().sum(dim=0)
        near = torch.zeros_like(size)
        near[max(0, row - 9) : row + 10, max(0, column - 9) : column + 10] = 1
        assert size[row, column] > 0
        assert (size[near == 0] == 0).all()
    leaf = z.detach().requires_grad_()
    outputs = decoder(leaf, None)
    assert outputs.shape == (1, *event_shape, 3)
    (slope,) = torch.autograd.grad(outputs[0, :, 0, 0].sum(), [leaf])
    assert slope[0, 0].abs().sum() > 0
    assert slope[0, 19].abs().sum() == 0


def test_vectors_have_as_many_places_as_told_and_context_matters():
    settings = CoderSettings(hidden_sizes=(8,))
    grid = grid_shape((5,), settings, 3)
    encoder = GridEncoder((5,), grid, 2, settings, context_shape=(4,))
    decoder = GridDecoder(grid, 2, (5,), 1, settings, context_shape=(4,))
    context = torch.randn(2, 4, requires_grad=True)
    z = encoder(torch.randn(2, 5), context)
    outputs = decoder(z.detach(), context)
    assert grid == (3,)
    assert z.shape == (2, 3, 2)
    assert outputs.shape == (2, 5, 1)
    for result in (z, outputs):
        (slope,) = torch.autograd.grad(result.sum(), [context], retain_graph=True)
        assert (slope != 0).all()
