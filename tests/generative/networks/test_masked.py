"""Masks cut what the order forbids and nothing else."""

import numpy as np
import pytest
import torch
from gymagine.generative.networks.masked import (
    EntryByEntry,
    MaskedLinear,
    MaskedMLP,
    connections,
    drawn_degrees,
    drawn_order,
    even_degrees,
    positions,
)
from gymagine.generative.testing import check_dependencies

ORDER = (2, 0, 3, 1)


def before(order):
    """(D, D) whether entry d comes after entry j: [2, 0, 3, 1] by hand in the first test."""
    place = {entry: i for i, entry in enumerate(order)}
    pairs = [[place[j] < place[d] for j in range(len(order))] for d in range(len(order))]
    return torch.tensor(pairs)


def test_masks_of_the_figure_by_hand():
    # three entries with degrees 2, 0, 1 and hidden units with degrees 0, 1, 0, 1
    inputs, hidden = np.array([2, 0, 1]), np.array([0, 1, 0, 1])
    assert connections(inputs, hidden, strict=False).int().tolist() == [
        [0, 1, 0],
        [0, 1, 1],
        [0, 1, 0],
        [0, 1, 1],
    ]
    assert connections(hidden, inputs, strict=True).int().tolist() == [
        [1, 1, 1, 1],
        [0, 0, 0, 0],
        [1, 0, 1, 0],
    ]


def test_positions_and_degrees():
    assert positions(ORDER).tolist() == [1, 3, 0, 2]
    assert even_degrees(5, 1).tolist() == [0] * 5  # a single entry sees nothing
    assert even_degrees(8, 4, -1).tolist() == [-1, -1, 0, 0, 1, 1, 2, 2]
    drawn = drawn_degrees(1000, 5, 1, np.random.default_rng(0))
    assert sorted(set(drawn.tolist())) == [1, 2, 3]
    orders = [drawn_order(3, np.random.default_rng(seed)) for seed in range(100)]
    assert len(set(orders)) == 6
    for wrong in ([0, 0, 1], [1, 2, 3]):
        with pytest.raises(ValueError, match="expected an order of 0 to 2"):
            positions(wrong)


@pytest.mark.parametrize("order", [range(4), ORDER], ids=["natural", "other"])
@pytest.mark.parametrize("hidden", [(3,), (24, 12, 24)], ids=["narrowest", "deep"])
@pytest.mark.parametrize("direct", [False, True])
def test_outputs_depend_on_all_entries_before(order, hidden, direct):
    torch.manual_seed(0)
    # a smooth activation: relu units that are off would hide a dependency
    network = MaskedMLP(4, 2, hidden, orders=[order], direct=direct, activation=torch.tanh)
    x = torch.randn(1, 4, dtype=torch.float64)
    check_dependencies(network.double(), x, before(order))


def test_drawn_masks_and_orders_forbid_what_their_order_forbids():
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    orders = [drawn_order(5, rng) for _ in range(4)]
    network = MaskedMLP(5, 1, (40, 40), orders=orders, rng=rng, activation=torch.tanh).double()
    x = torch.randn(1, 5, dtype=torch.float64)
    assert network.num_masks == 4
    for mask, order in enumerate(orders):
        check_dependencies(lambda x, mask=mask: network(x, None, mask), x, before(order))
    chosen = network(x, None, torch.tensor(2))
    assert torch.equal(chosen, network(x, None, 2))
    assert not torch.equal(chosen, network(x, None, 1))


def test_several_inputs_of_an_entry_go_together():
    torch.manual_seed(0)
    network = MaskedMLP(3, 2, (9,), inputs_per_entry=2, activation=torch.tanh).double()
    x = torch.randn(1, 6, dtype=torch.float64)
    expected = before(range(3)).repeat_interleave(2, dim=1)
    check_dependencies(network, x, expected)


@pytest.mark.parametrize("rng", [None, np.random.default_rng(3)], ids=["even", "drawn"])
def test_context_reaches_the_outputs_of_every_entry(rng):
    torch.manual_seed(0)
    network = MaskedMLP(6, 1, (4,), context_size=2, rng=rng, activation=torch.tanh).double()
    context = torch.randn(1, 2, dtype=torch.float64)
    x = torch.randn(1, 6, dtype=torch.float64)
    check_dependencies(
        lambda context: network(x, context), context, torch.ones(6, 2, dtype=torch.bool)
    )


def test_first_outputs_are_nonlinear_in_the_context():
    torch.manual_seed(0)
    network = MaskedMLP(3, 1, (8,), context_size=1, activation=torch.tanh).double()
    context = torch.tensor([[-1.0], [0.0], [1.0]], dtype=torch.float64)
    low, middle, high = network(torch.zeros(3, 3, dtype=torch.float64), context)[:, 0, 0]
    assert abs(low + high - 2 * middle) > 1e-3


@pytest.mark.parametrize("direct", [False, True])
@pytest.mark.parametrize("hidden", [(9,), (12, 7, 9)], ids=["one layer", "three layers"])
def test_one_entry_after_another_is_the_whole(direct, hidden):
    torch.manual_seed(0)
    sizes = {"context_size": 3, "inputs_per_entry": 2, "direct": direct}
    network = MaskedMLP(4, 2, hidden, orders=[range(4), ORDER], **sizes).double()
    x, context = (torch.randn(6, n, dtype=torch.float64) for n in (8, 3))
    known = EntryByEntry(network, 6, context, mask=1)
    expected = network(x, context, 1)
    for entry in ORDER:
        torch.testing.assert_close(known.outputs(entry), expected[:, entry])
        known.put(entry, x[:, 2 * entry : 2 * entry + 2])


def test_forward_changes_no_weight():
    torch.manual_seed(0)
    layer = MaskedLinear(torch.tensor([[True, False], [False, True]]))
    weight = layer.weight.clone()
    layer(torch.randn(3, 2)).sum().backward()
    assert torch.equal(layer.weight, weight)
    assert bool((weight != 0).all())
    assert torch.equal(layer.masked_weight() != 0, layer.masks[0] != 0)
    assert torch.equal(layer.weight.grad != 0, layer.masks[0] != 0)


def test_wrong_sizes_are_refused():
    for sizes in ((0, 1, (4,)), (3, 1, ()), (3, 1, (0,))):
        with pytest.raises(ValueError, match="expected at least 1 entry"):
            MaskedMLP(*sizes)
