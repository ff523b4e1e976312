"""What a checkpoint remembers of data and of what is done to them."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
import torch
from gymagine.generative.data.dataset import Events
from gymagine.generative.data.preparation import Dequantisation, Levels, Scaling
from gymagine.generative.fit_checkpoint import events_fingerprint, preparation_fingerprint
from torch import nn


def halved(x, rng, by=2.0):
    return x / by


def divided(by):
    return lambda x, rng: x / by


@dataclass(frozen=True)
class Divided:
    by: object

    def prepared(self, x, rng=None):
        return x / self.by


class Halving(nn.Module):
    def forward(self, x, rng=None):
        return x / 2

    def other(self, x, rng=None):
        return x


def test_equal_events_have_equal_words():
    x = torch.arange(6.0).view(3, 2)
    words = events_fingerprint(Events(x))
    assert events_fingerprint(Events(x.clone())) == words
    others = [
        None,
        Events(x + 1),
        Events(x.view(3, 1, 2)),
        Events(x.view(2, 3)),
        Events(x, torch.zeros(3, 1)),
        Events(x.view(torch.int32)),  # the same bytes
    ]
    assert len({words, *map(events_fingerprint, others)}) == 1 + len(others)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.bool, torch.int64, torch.float32])
def test_events_of_any_dtype_have_words(dtype):
    x = torch.tensor([[0, 1], [1, 1]], dtype=dtype)
    words = events_fingerprint(Events(x))
    assert words == events_fingerprint(Events(x.clone()))
    assert words != events_fingerprint(Events(x.flip(0)))
    if dtype.is_floating_point:
        assert words == events_fingerprint(Events(x.clone().requires_grad_()))


def test_a_preparation_may_call_itself():
    def folded(x, rng=None):
        return x if x.abs().max() < 1 else folded(x / 2)

    assert "folded with folded=itself" in preparation_fingerprint(folded)


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
        lambda: divided(2.0),
        lambda: divided(3.0),
        lambda: divided({"by": 2.0}),
        lambda: divided({"by": 3.0}),
        lambda: Divided(2.0).prepared,
        lambda: Divided(np.float32(3.0)).prepared,
        lambda: Divided(torch.ones(2, dtype=torch.bfloat16)).prepared,
        lambda: Divided(torch.zeros(2, dtype=torch.bfloat16)).prepared,
    ]
    words = [preparation_fingerprint(make()) for make in makes]
    assert words == [preparation_fingerprint(make()) for make in makes]  # no address in memory
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
    assert words in preparation_fingerprint(prepare)
