r"""RMSprop for a population: every parameter has a leading member axis, every member its own rate.

.. math::
    v_t = \alpha v_{t-1} + (1 - \alpha) g_t^2, \qquad
    \theta_t = \theta_{t-1} - \eta \frac{g_t}{\sqrt{v_t} + \epsilon}

as PyTorch has it, with :math:`v_0 = 0`; or, as TensorFlow has it and with it the first results of
A2C, :math:`\sqrt{v_t + \epsilon}` with :math:`v_0 = 1`, which takes small steps at first.

References:
    G. Hinton, N. Srivastava, K. Swersky (2012), Neural networks for machine learning, lecture 6e.
    V. Mnih et al. (2016), Asynchronous methods for deep reinforcement learning, arXiv:1602.01783,
        section 4, equation 8.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["rms_prop_step"]

_DECAY = 0.99


@torch.no_grad()
def rms_prop_step(
    values: Float[Tensor, "members numbers"],
    gradients: Float[Tensor, "members numbers"],
    squares: Float[Tensor, "members numbers"],
    learning_rates: Float[Tensor, " members"],
    *,
    epsilon: float = 1e-5,
    inside_root: bool = False,
) -> None:
    """Move the parameters, in place, and the running mean of the squares with them.

    Args:
        values: (M, P) parameters.
        gradients: (M, P) of the sum of the members' losses.
        squares: (M, P) running mean, at first 0, or 1 with ``inside_root``.
        learning_rates: (M,) each member's own.
        epsilon: Added to the root, or inside it.
        inside_root: TensorFlow's form.
    """
    squares.mul_(_DECAY).addcmul_(gradients, gradients, value=1 - _DECAY)
    steps = (squares + epsilon).sqrt_() if inside_root else squares.sqrt().add_(epsilon)
    torch.div(gradients, steps, out=steps)
    values.sub_(steps.mul_(learning_rates.unsqueeze(1)))
