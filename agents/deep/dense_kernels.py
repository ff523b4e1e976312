"""Compiled parts of small networks: between PyTorch's products, nothing but these.

An operation of PyTorch costs several microseconds before it begins; the work between the products
of a small network, some twenty operations of a few hundred numbers each, is done here in one or
two passes. `q_losses`, `adam` and `quick_layers` say what is computed; these kernels are tested
against them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..tabular.compilation import njit

__all__ = ["adam_rows", "as_rows", "choose_rows", "dense_row", "q_slopes"]

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Integers = NDArray[np.int64]


@njit
def dense_row(parameters: Floats, sizes: Integers, tanh: bool, x: Floats, scratch: Floats) -> int:
    """The outputs of dense layers for one observation.

    Args:
        parameters: (P,) weights (in, out) and biases of each layer, one after the other.
        sizes: (L + 1,) of the input and of each layer's output.
        tanh: What follows each layer but the last: tanh, or a ReLU.
        x: (F,) the observation.
        scratch: (2, W) room for the widest layer; one of the rows receives the outputs.

    Returns:
        Which row.
    """
    begin, side = 0, 0
    for n in range(len(sizes) - 1):
        num_in, num_out = sizes[n], sizes[n + 1]
        biases = begin + num_in * num_out
        for j in range(num_out):
            scratch[side, j] = parameters[biases + j]
        for i in range(num_in):
            value = x[i] if n == 0 else scratch[1 - side, i]
            if value != 0:
                row = begin + i * num_out
                for j in range(num_out):
                    scratch[side, j] += value * parameters[row + j]
        if n < len(sizes) - 2:
            for j in range(num_out):
                if tanh:
                    scratch[side, j] = np.tanh(scratch[side, j])
                else:
                    scratch[side, j] = max(scratch[side, j], np.float32(0))
        begin, side = biases + num_out, 1 - side
    return 1 - side


@njit
def choose_rows(
    parameters: Floats,
    sizes: Integers,
    tanh: bool,
    x: Floats,
    uniforms: Doubles,
    rates: Doubles,
    scratch: Floats,
    actions_out: Integers,
) -> None:
    """Actions of epsilon-greedy members, who compute values only where they do not explore.

    Args:
        parameters: (M, P) of the members' dense layers (see `dense_row`).
        sizes: (L + 1,) of the layers.
        tanh: What follows them.
        x: (M * N, F) observations.
        uniforms: (M * N, 2) in [0, 1): whether to explore, and how.
        rates: (M,) epsilon.
        scratch: (2, W).
        actions_out: (M * N,) receives the actions.
    """
    num_rows, num_actions = len(x), sizes[len(sizes) - 1]
    copies = num_rows // len(parameters)
    for r in range(num_rows):
        if uniforms[r, 0] < rates[r // copies]:
            actions_out[r] = np.int64(uniforms[r, 1] * num_actions)
            continue
        side = dense_row(parameters[r // copies], sizes, tanh, x[r], scratch)
        best = 0
        for a in range(1, num_actions):
            if scratch[side, a] > scratch[side, best]:
                best = a
        actions_out[r] = best


@njit
def q_slopes(
    q_tm1: Floats,
    q_t: Floats,
    selector: Floats,
    actions: Integers,
    rewards: Floats,
    discounts: Floats,
    masks: NDArray[np.bool_],
    weights: Floats,
    huber: bool,
    slopes_out: Floats,
    losses_out: Floats,
    errors_out: Floats,
    values_out: Floats,
) -> None:
    """Targets, losses, and the losses' derivatives by the learning network's outputs.

    Args:
        q_tm1: (M, B, A) the learning network's values before the step.
        q_t: (M, B, A) the target network's after it.
        selector: (M, B, A) those of the network that chooses the next action.
        actions: (M, B) actions taken.
        rewards: (M, B) rewards.
        discounts: (M, B) discounts of what follows.
        masks: (M, B, A) the actions allowed after the step; without members for all.
        weights: (M, B) importance weights; without members for none.
        huber: The loss of an error; else half its square.
        slopes_out: (M, B, A) receives the derivatives of the sum of the losses.
        losses_out: (M,) receives each member's loss.
        errors_out: (M, B) receives the sizes of the errors.
        values_out: (M, B) receives the values of the actions taken.
    """
    members, batch, num_actions = q_tm1.shape
    for m in range(members):
        total = 0.0
        for b in range(batch):
            # where nothing is allowed, as may be after an episode's end, everything is
            masked = len(masks) > 0 and masks[m, b].any()
            best = -1
            for a in range(num_actions):
                if masked and not masks[m, b, a]:
                    continue
                if best < 0 or selector[m, b, a] > selector[m, b, best]:
                    best = a
            value = q_tm1[m, b, actions[m, b]]
            error = rewards[m, b] + discounts[m, b] * q_t[m, b, best] - value
            size = abs(error)
            weight = weights[m, b] if len(weights) else np.float32(1)
            linear = huber and size > 1
            loss = size - np.float32(0.5) if linear else np.float32(0.5) * error * error
            slope = error
            if linear:
                slope = np.float32(1) if error > 0 else np.float32(-1)
            total += weight * loss
            for a in range(num_actions):
                slopes_out[m, b, a] = 0
            slopes_out[m, b, actions[m, b]] = -weight * slope / np.float32(batch)
            errors_out[m, b], values_out[m, b] = size, value
        losses_out[m] = total / batch


@njit
def _norm(row: Floats) -> float:
    """The Euclidean norm; four sums at a time, for each waits for the one before it."""
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    whole = len(row) // 4 * 4
    for i in range(0, whole, 4):
        a += row[i] * row[i]
        b += row[i + 1] * row[i + 1]
        c += row[i + 2] * row[i + 2]
        d += row[i + 3] * row[i + 3]
    for i in range(whole, len(row)):
        a += row[i] * row[i]
    return float(np.sqrt(a + b + c + d))


@njit
def adam_rows(
    values: Floats,
    gradients: Floats,
    means: Floats,
    squares: Floats,
    steps: Floats,
    rates: Floats,
    epsilon: float,
    max_norm: float,
) -> None:
    """Adam's step for each row; ``steps`` count it already.

    Args:
        values: (M, P) parameters, moved.
        gradients: (M, P).
        means: (M, P) of the gradients, moved.
        squares: (M, P) of their squares, moved.
        steps: (M,) taken, this one included.
        rates: (M,) learning rates.
        epsilon: Added to the root of the second moment.
        max_norm: To which each row of gradients is clipped, or infinity.
    """
    for m in range(len(values)):
        clip = np.float32(1)
        if max_norm < np.inf:
            clip = np.float32(min(1.0, max_norm / (_norm(gradients[m]) + 1e-6)))
        step = np.float64(steps[m])
        rate = np.float32(np.float64(rates[m]) / (1.0 - 0.9**step))
        scale = np.float32(1.0 / np.sqrt(1.0 - 0.999**step))
        one, kept = np.float32(1), np.float32(0.999)
        own, tiny = np.float32(0.1), np.float32(epsilon)
        for i in range(values.shape[1]):
            gradient = clip * gradients[m, i]
            mean = means[m, i] + own * (gradient - means[m, i])
            square = kept * squares[m, i] + (one - kept) * gradient * gradient
            means[m, i], squares[m, i] = mean, square
            values[m, i] -= rate * mean / (np.sqrt(square) * scale + tiny)


def as_rows(array: NDArray[Any]) -> NDArray[Any]:
    """(M, P) of (M, ...), without a copy."""
    return array.reshape(len(array), -1)
