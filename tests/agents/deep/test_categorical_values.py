"""The projection of C51 keeps what it must keep, and equals algorithm 1 of the paper."""

import numpy as np
import pytest
import torch
from gymagine.agents.deep.categorical_values import (
    cross_entropy,
    expected_values,
    projected,
    value_atoms,
)


def algorithm_one(r, discount, p, v_min, v_max):
    """The box of page 6, atom by atom, for one distribution."""
    num_atoms = len(p)
    spacing = (v_max - v_min) / (num_atoms - 1)
    out = np.zeros(num_atoms)
    for j in range(num_atoms):
        moved = min(max(r + discount * (v_min + j * spacing), v_min), v_max)
        b = (moved - v_min) / spacing
        lower, upper = int(np.floor(b)), int(np.ceil(b))
        if lower == upper:  # which the box forgets
            out[lower] += p[j]
            continue
        out[lower] += p[j] * (upper - b)
        out[upper] += p[j] * (b - lower)
    return out


@pytest.mark.parametrize("num_atoms", [2, 5, 51])
def test_it_is_the_papers(num_atoms):
    rng = np.random.default_rng(num_atoms)
    z = torch.linspace(-3, 4, num_atoms, dtype=torch.float64)
    p = rng.dirichlet(np.ones(num_atoms), size=200)
    r, discount = rng.normal(scale=3, size=200), rng.choice([0.0, 0.5, 0.99, 1.0], size=200)
    found = projected(*(torch.tensor(x) for x in (r, discount, p)), z)
    expected = [algorithm_one(*row, -3.0, 4.0) for row in zip(r, discount, p, strict=True)]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_probabilities_and_means_are_kept():
    """Where no atom is cut off, the mean moves as the reward and the discount say."""
    rng = np.random.default_rng(0)
    z = torch.linspace(-10, 10, 51, dtype=torch.float64)
    p = torch.tensor(rng.dirichlet(np.ones(51), size=(4, 7)))
    r = torch.tensor(rng.uniform(-1, 1, size=(4, 7)))
    discount = torch.tensor(rng.uniform(0, 0.9, size=(4, 7)))
    found = projected(r, discount, p, z)
    torch.testing.assert_close(found.sum(-1), torch.ones(4, 7).double())
    assert (found >= 0).all()
    torch.testing.assert_close((found * z).sum(-1), r + discount * (p * z).sum(-1))


def test_what_goes_beyond_the_ends_stays_there():
    z = value_atoms(0.0, 1.0, 3)
    p = torch.tensor([[0.2, 0.3, 0.5]] * 2)
    found = projected(torch.tensor([9.0, -9.0]), torch.ones(2), p, z)
    assert found.tolist() == [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]


@pytest.mark.parametrize("atoms", [(-1.0, 1.0, 51), (-10.0, 10.0, 51), (0.0, 200.0, 101)])
def test_atoms_that_fall_on_atoms_lose_nothing(atoms):
    """Reward 0 and discount 1 leave a distribution as it is, in 32 bits as well."""
    z = value_atoms(*atoms)
    p = torch.softmax(torch.randn(10, atoms[2], generator=torch.Generator().manual_seed(0)), -1)
    torch.testing.assert_close(
        projected(torch.zeros(10), torch.ones(10), p, z), p, atol=1e-4, rtol=0
    )


def test_means_and_entropies():
    z = value_atoms(-1.0, 1.0, 3)
    logits = torch.tensor([0.1, 0.2, 0.7]).log() + 5.0
    assert expected_values(logits, z).item() == pytest.approx(0.6)
    target = torch.tensor([0.0, 1.0, 0.0])
    assert cross_entropy(target, logits).item() == pytest.approx(-np.log(0.2), abs=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((0.0, 1.0, 1), "at least two atoms, got 1"), ((2.0, 2.0, 5), "v_min below v_max")],
)
def test_mistakes(arguments, message):
    with pytest.raises(ValueError, match=message):
        value_atoms(*arguments)
