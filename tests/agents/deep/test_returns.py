"""Returns and advantages against numbers worked out by hand and against the definitions."""

import numpy as np
import pytest
import torch
from gymagine.agents.deep.returns import (
    discounted_returns,
    generalised_advantages,
    generalised_returns,
    n_step_returns,
)
from hypothesis import given, settings
from hypothesis import strategies as st


def test_by_hand():
    """Three steps, the second terminates; discount a half; then a step that goes on, worth 10."""
    r = torch.tensor([1.0, 2.0, 4.0])
    discount = torch.tensor([0.5, 0.0, 0.5])
    continues = torch.tensor([1.0, 0.0, 1.0])
    v = torch.tensor([7.0, 8.0, 10.0])
    found = discounted_returns(r, discount, continues, v)
    assert found.tolist() == [1 + 0.5 * 2, 2, 4 + 0.5 * 10]


def test_truncation_counts_the_last_value_and_nothing_of_the_next_episode():
    r = torch.tensor([1.0, 2.0, 100.0])
    discount = torch.full((3,), 0.5)
    continues = torch.tensor([1.0, 0.0, 1.0])  # the second step was the cap's
    v = torch.tensor([7.0, 8.0, 1000.0])
    found = discounted_returns(r, discount, continues, v)
    assert found[:2].tolist() == [1 + 0.5 * (2 + 0.5 * 8), 2 + 0.5 * 8]


def by_definition(r, discount, continues, v_before, v_after, decay):
    """Equation 16 of Schulman et al.: the sum of the discounted differences of an episode."""
    steps, advantages = len(r), []
    errors = r + discount * v_after - v_before
    for start in range(steps):
        total, weight = 0.0, 1.0
        for t in range(start, steps):
            total += weight * errors[t]
            if not continues[t]:
                break
            weight *= discount[t] * decay
        advantages.append(total)
    return np.array(advantages)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.sampled_from([0.0, 0.3, 0.95, 1.0]))
def test_advantages_are_the_sum_of_the_errors(seed, steps, decay):
    rng = np.random.default_rng(seed)
    r, v_before, v_after = rng.normal(size=(3, steps))
    terminated, truncated = rng.random((2, steps)) < 0.2
    discount = np.where(terminated, 0.0, 0.9)
    continues = ~(terminated | truncated)
    v_before[1:] = np.where(continues[:-1], v_after[:-1], v_before[1:])
    arguments = [
        torch.tensor(x) for x in (r, discount, continues.astype(float), v_before, v_after)
    ]
    found = generalised_advantages(*arguments, decay)
    expected = by_definition(r, discount, continues, v_before, v_after, decay)
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-12)


def test_the_ends_of_lambda():
    rng = np.random.default_rng(0)
    r, v = (torch.tensor(x) for x in rng.normal(size=(2, 9)))
    discount, continues = torch.full((9,), 0.9, dtype=torch.float64), torch.ones(9).double()
    one_step = generalised_returns(r, discount, continues, v, 0.0)
    torch.testing.assert_close(one_step, r + discount * v, rtol=0, atol=1e-15)
    whole = generalised_returns(r, discount, continues, v, 1.0)
    expected = sum(0.9**k * r[k] for k in range(9)) + 0.9**9 * v[-1]
    assert whole[0].item() == pytest.approx(expected.item(), abs=1e-12)


def test_members_and_environments_are_apart():
    rng = np.random.default_rng(1)
    r, v_before, v_after = (torch.tensor(x) for x in rng.normal(size=(3, 6, 2, 3)))
    discount = torch.tensor(rng.choice([0.0, 0.9], size=(6, 2, 3)))
    continues = (discount > 0).double()
    together = generalised_advantages(r, discount, continues, v_before, v_after, 0.9)
    for i in range(2):
        for j in range(3):
            column = (x[:, i, j] for x in (r, discount, continues, v_before, v_after))
            alone = generalised_advantages(*column, 0.9)
            assert torch.equal(together[:, i, j], alone)


def test_n_steps():
    """Two transitions of three steps: one goes on, one terminated with its second step."""
    r = torch.tensor([[1.0, 1.0], [2.0, 3.0], [4.0, 0.0]])
    discount = torch.tensor([[0.5, 0.5], [0.5, 0.0], [0.5, 1.0]])
    found = n_step_returns(r, discount, torch.tensor([8.0, 99.0]))
    assert found.tolist() == [1 + 1 + 1 + 1, 1 + 1.5]
