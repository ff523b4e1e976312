"""Data sets by name."""

import pytest
import torch
from gymagine.generative.data.catalogue import DATASETS, TOYS, dataset_named
from gymagine.generative.data.dataset import Dataset
from torch.testing import assert_close


@pytest.mark.parametrize("name", TOYS)
def test_toys_are_split_and_of_the_seed(name):
    data = dataset_named(name, num=200, seed=3)
    sizes = [len(part) for part in (data.train, data.held_out, data.test)]
    assert sizes == [160, 20, 20] and data.name == name
    toy = TOYS[name]
    together = torch.cat([data.held_out.x, data.test.x, data.train.x])
    assert torch.equal(together, toy.sample(200, 3))
    if toy.log_prob is not None:
        assert toy.log_prob(data.train.x).isfinite().all()
    same, other = (dataset_named(name, num=200, seed=seed) for seed in (3, 4))
    assert same.train.checksum == data.train.checksum != other.train.checksum


def test_sequences_lose_what_the_process_does():
    toy = TOYS["second-order"]
    x = toy.sample(2_000, 0).double()
    assert_close(float(-toy.log_prob(x).mean() / 64), toy.entropy_rate, rtol=0, atol=0.06)


def test_pictures_take_their_own_options():
    data = dataset_named("digits", form="centred", labels=True, test=0.1)
    assert isinstance(data, Dataset) and data.name == "digits"
    assert data.train.context.shape == (1437, 10)
    assert set(DATASETS) == {*TOYS, "digits", "fashion-mnist", "mnist-5k"}


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="'digit'; did you mean digits"):
        dataset_named("digit")
    with pytest.raises(TypeError, match="moons has no option 'form'; known: num, seed"):
        dataset_named("moons", form="scaled")
    with pytest.raises(ValueError, match="num of at least 10, got 3"):
        dataset_named("moons", num=3)
