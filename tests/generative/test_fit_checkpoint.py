"""What a checkpoint remembers of data and of what is done to them."""

from functools import partial

import numpy as np
import pytest
import torch
from gymagine.generative.data.dataset import Events
from gymagine.generative.data.preparation import Dequantisation, Levels, Scaling
from gymagine.generative.fit_checkpoint import events_in_words, preparation_in_words
from torch import nn


def halved(x, rng, by=2.0):
    return x / by


class Halving(nn.Module):
    def forward(self, x, rng=None):
        return x / 2

    def other(self, x, rng=None):
        return x


def test_equal_events_have_equal_words():
    x = torch.arange(6.0).view(3, 2)
    words = events_in_words(Events(x))
    assert events_in_words(Events(x.clone())) == words
    others = [
        None,
        Events(x + 1),
        Events(x.view(3, 1, 2)),
        Events(x.view(2, 3)),
        Events(x, torch.zeros(3, 1)),
        Events(x.view(torch.int32)),  # the same bytes
    ]
    assert len({words, *map(events_in_words, others)}) == 1 + len(others)


def test_equal_preparations_have_equal_words():
    makes = [
        lambda: None,
        lambda: Levels(17),
        lambda: Levels(),
        lambda: Scaling(17),
        lambda: Scaling(17, low=-1.0),
        lambda: Dequantisation(17),
        lambda: halved,
        lambda: partial(halved, by=2.0),
        lambda: partial(halved, by=3.0),
        lambda: partial(halved, by=torch.ones(2)),
        lambda: partial(halved, by=torch.zeros(2)),
        lambda: partial(halved, by=np.zeros(2)),
        Halving,
        lambda: Halving().other,
    ]
    words = [preparation_in_words(make()) for make in makes]
    assert words == [preparation_in_words(make()) for make in makes]  # no address in memory
    assert len(set(words)) == len(words)


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (Scaling(17), "gymagine.generative.data.preparation.Scaling(num_levels=17, low=0.0, high"),
        (halved, "test_fit_checkpoint.halved"),
        (Halving().other, "test_fit_checkpoint.Halving.other"),
    ],
)
def test_words(prepare, words):
    assert words in preparation_in_words(prepare)
