"""Events, their parts, and the orders that they are learnt in."""

import numpy as np
import pytest
import torch
from gymagine.generative.data.dataset import BatchOrder, Dataset, Events, split_events


@pytest.mark.parametrize(("num", "size"), [(10, 3), (10, 5), (7, 7), (4, 9), (1, 1)])
def test_every_epoch_has_every_event_at_most_once(num, size):
    order = BatchOrder(num, size, seed=0)
    assert order.batch_size == min(num, size)
    epochs = []
    for epoch in range(3):
        first = epoch * order.batches_per_epoch
        batches = [order.indices(first + i) for i in range(order.batches_per_epoch)]
        seen = np.concatenate(batches)
        assert len(np.unique(seen)) == len(seen) == num // order.batch_size * order.batch_size
        epochs.append(seen.tolist())
    if num > 4:
        assert epochs[0] != epochs[1] != epochs[2]


def test_orders_depend_on_nothing_but_seed_and_number():
    one, other = BatchOrder(50, 8, seed=3), BatchOrder(50, 8, seed=3)
    for batch in (0, 13, 2, 13, 100):
        np.testing.assert_array_equal(one.indices(batch), other.indices(batch))
    assert (BatchOrder(50, 8, seed=4).indices(0) != one.indices(0)).any()


def test_parts_are_apart_and_whole():
    x = torch.arange(100)[:, None]
    parts = split_events(Events(x, 2.0 * x), held_out=0.2, test=0.1, seed=1)
    assert [len(part) for part in parts] == [70, 20, 10]
    assert sorted(torch.cat([part.x for part in parts])[:, 0].tolist()) == list(range(100))
    for part in parts:
        assert torch.equal(part.context, 2.0 * part.x)
    again = split_events(Events(x, 2.0 * x), held_out=0.2, test=0.1, seed=1)
    assert torch.equal(again[2].x, parts[2].x)
    with pytest.raises(ValueError, match="expected shares that leave events in each part"):
        split_events(Events(x), held_out=0.5, test=0.5)


def test_checksums_tell_events_apart():
    x = torch.arange(12.0).view(4, 3)
    checksum = Events(x).checksum
    assert Events(x.clone()).checksum == checksum
    assert Events(x.T.contiguous().T).checksum == checksum  # however it lies in memory
    assert Events(x + 1).checksum != checksum
    assert Events(x, torch.zeros(4, 1)).checksum != checksum


def test_prepared():
    x = torch.ones(2, 1, dtype=torch.uint8)
    assert torch.equal(Dataset(Events(x)).prepared(x), x)
    halved = Dataset(Events(x), prepare=lambda x, rng: x / 2)
    assert torch.equal(halved.prepared(x), torch.full((2, 1), 0.5))


def test_events_are_tensors(without_shape_checks):
    with pytest.raises(TypeError, match=r"expected events as a torch.Tensor, got ndarray"):
        Events(torch.zeros(3, 2).numpy())
    with pytest.raises(TypeError, match=r"expected events as a torch.Tensor, got NoneType"):
        Events(None)
    with pytest.raises(TypeError, match=r"expected contexts as a torch.Tensor, got list"):
        Events(torch.zeros(3, 2), [1.0, 2.0, 3.0])


def test_a_preparation_keeps_all_events(without_shape_checks):
    x = torch.zeros(4, 2)
    with pytest.raises(ValueError, match=r"keeps all of 4 events, got shape \(3, 2\)"):
        Dataset(Events(x), prepare=lambda x, rng: x[1:]).prepared(x)
    with pytest.raises(TypeError, match="expected prepared events, got NoneType"):
        Dataset(Events(x), prepare=lambda x, rng: None).prepared(x)
