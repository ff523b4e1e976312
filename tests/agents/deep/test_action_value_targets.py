"""Targets and losses of action values, on numbers worked out by hand."""

import numpy as np
import pytest
import torch
from gymagine.agents.deep.action_value_targets import (
    double_q_targets,
    error_loss,
    importance_weights,
    masked_values,
    q_targets,
    values_of,
)
from torch.nn.functional import mse_loss, smooth_l1_loss

Q = torch.tensor([[1.0, 5.0, 3.0], [4.0, 0.0, 2.0]])
R = torch.tensor([10.0, 20.0])


def test_q_targets():
    assert q_targets(R, torch.tensor([0.5, 0.5]), Q).tolist() == [12.5, 22.0]
    assert q_targets(R, torch.tensor([0.5, 0.0]), Q).tolist() == [12.5, 20.0]  # it terminated


def test_double_q_targets():
    """The selector prefers the third and the second action; the target network values them."""
    selector = torch.tensor([[0.0, 1.0, 2.0], [0.0, 7.0, 1.0]])
    discount = torch.tensor([0.5, 0.5])
    assert double_q_targets(R, discount, Q, selector).tolist() == [11.5, 20.0]


def test_no_gradient_goes_through_a_target():
    q = Q.clone().requires_grad_()
    assert not q_targets(R, torch.ones(2), q).requires_grad
    assert not double_q_targets(R, torch.ones(2), q, q).requires_grad


def test_masked_actions_are_never_the_best():
    allowed = torch.tensor([[True, False, True], [False, True, True]])
    masked = masked_values(Q, allowed)
    assert q_targets(R, torch.ones(2), masked).tolist() == [13.0, 22.0]
    assert masked_values(Q, None) is Q
    nothing = masked_values(Q, torch.zeros(2, 3, dtype=torch.bool))
    ended = q_targets(R, torch.zeros(2), nothing)  # after an end no action may be allowed
    assert ended.tolist() == R.tolist()


def test_values_of_the_actions_taken():
    assert values_of(Q, torch.tensor([2, 0])).tolist() == [3.0, 4.0]


@pytest.mark.parametrize(("kind", "peer"), [("huber", smooth_l1_loss), ("squared", mse_loss)])
def test_losses_are_torchs(kind, peer):
    errors = torch.linspace(-3, 3, 101, dtype=torch.float64, requires_grad=True)
    scale = 0.5 if kind == "squared" else 1.0
    expected = scale * peer(errors, torch.zeros_like(errors), reduction="none")
    torch.testing.assert_close(error_loss(errors, kind), expected)
    (mine,) = torch.autograd.grad(error_loss(errors, kind).sum(), errors)
    (others,) = torch.autograd.grad(expected.sum(), errors)
    torch.testing.assert_close(mine, others)


def test_importance_weights_make_the_estimate_unbiased():
    """Weighted by (N p)^-1, the mean under p is the mean under the uniform distribution."""
    probabilities = torch.tensor([[0.1, 0.2, 0.3, 0.4]], dtype=torch.float64)
    size = torch.tensor([4])
    weights = importance_weights(probabilities, size, 1.0)
    assert weights.max() == 1.0
    unscaled = weights / weights[0, 3] / (4 * 0.4)
    x = torch.tensor([1.0, 7.0, -2.0, 5.0], dtype=torch.float64)
    assert (probabilities * unscaled * x).sum().item() == pytest.approx(x.mean().item())
    assert importance_weights(probabilities, size, 0.0).tolist() == [[1.0] * 4]
    half = importance_weights(probabilities, size, 0.5)
    np.testing.assert_allclose(half[0], np.sqrt([1, 1 / 2, 1 / 3, 1 / 4]))
