r"""Jack's car rental: moving cars overnight between two places.

The state is the number of cars at each place at the end of a day, 0 to 20. In the night up to five
cars are moved, at $2 each; the next day :math:`\text{Poisson}(3)` and :math:`\text{Poisson}(4)`
customers ask for cars and pay $10 for each there is; then :math:`\text{Poisson}(3)` and
:math:`\text{Poisson}(2)` cars come back, to be rented from the day after. Cars beyond 20 at one
place go back to the company. Discount 0.9; it never ends.

No Poisson is cut off: with n cars, :math:`\Pr(\text{rented} = n) = \Pr(X \ge n)`, and
:math:`\Pr(20 \text{ cars}) = \Pr(Y \ge \text{missing})`, are survival functions, so the
transition probabilities are exact up to rounding (each row sums to 1 within 1e-12).

The reward of an outcome is the *expected* income given the two numbers of cars before and after,
which leaves all values as they are; the income itself varies more.

References:
    R. S. Sutton and A. G. Barto (2018), Reinforcement Learning: An Introduction, Example 4.2 with
    Figure 4.2, Exercise 4.7 (the nonlinear variant).
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..mdp import TabularMDP
from .entry_point import EntryPoint, VectorEntryPoint

__all__ = ["JacksCarRental", "JacksCarRentalVector", "jacks_car_rental"]

FloatArray: TypeAlias = NDArray[np.float64]

_MOST_CARS = 20
_MOST_MOVED = 5
_RENT, _MOVE_COST, _PARKING_COST, _FREE_PARKING = 10.0, 2.0, 4.0, 10
_REQUESTS, _RETURNS = (3.0, 4.0), (3.0, 2.0)


def jacks_car_rental(*, nonlinear: bool = False, masked: bool = False) -> TabularMDP:
    """The model of the car rental: 441 states, 11 actions, some 2 million outcomes.

    State ``21 * i + j`` has i cars at the first place and j at the second; action a moves
    ``a - 5`` cars from the first to the second. Moving more cars than there are moves all.
    It starts with 10 and 10 cars (the book names no start).

    Args:
        nonlinear: Exercise 4.7: the first car moved from the first place to the second is free,
            and more than 10 cars left at a place overnight cost $4 for that place.
        masked: Forbid moving more cars than there are by the action mask instead.
    """
    return _model(bool(nonlinear), bool(masked))


@lru_cache(maxsize=2)  # a model is read-only: environments made alike share its 45 MB
def _model(nonlinear: bool, masked: bool) -> TabularMDP:
    first, second = (_one_place(place) for place in (0, 1))
    cars = _MOST_CARS + 1
    num_states, num_actions = cars * cars, 2 * _MOST_MOVED + 1
    # every pair of numbers of cars after the night, as one row
    joint = np.einsum("ik,jl->ijkl", first[0], second[0]).reshape(num_states, num_states)
    income = first[1][:, None, :, None] + second[1][None, :, None, :]
    income = income.reshape(num_states, num_states)
    rows = np.zeros((num_states, num_actions), dtype=np.int64)
    costs = np.zeros((num_states, num_actions))
    mask = np.ones((num_states, num_actions), dtype=np.bool_)
    for state in range(num_states):
        for action in range(num_actions):
            at_first, at_second = divmod(state, cars)
            asked = action - _MOST_MOVED
            moved = min(max(asked, -at_second), at_first)
            mask[state, action] = moved == asked or not masked
            left = (min(at_first - moved, _MOST_CARS), min(at_second + moved, _MOST_CARS))
            rows[state, action] = left[0] * cars + left[1]
            costs[state, action] = _night_cost(moved, left, nonlinear=nonlinear)
    kept = mask.ravel()
    chosen, paid = rows.ravel()[kept], costs.ravel()[kept]
    lengths = np.where(kept, num_states, 0)
    start = np.zeros(num_states)
    start[10 * cars + 10] = 1.0
    return TabularMDP(
        row_starts=np.concatenate(([0], np.cumsum(lengths))).astype(np.int64),
        next_states=np.tile(np.arange(num_states, dtype=np.int32), len(chosen)),
        probabilities=joint[chosen].ravel(),
        rewards=(income[chosen] - paid[:, None]).ravel(),
        terminated=np.zeros(len(chosen) * num_states, dtype=np.bool_),
        initial_distribution=start,
        num_actions=num_actions,
        action_mask=mask if masked else None,
        name="JacksCarRental-nonlinear" if nonlinear else "JacksCarRental",
    )


def _night_cost(moved: int, left: tuple[int, int], *, nonlinear: bool) -> float:
    if not nonlinear:
        return _MOVE_COST * abs(moved)
    parking = _PARKING_COST * sum(cars > _FREE_PARKING for cars in left)
    return _MOVE_COST * (moved - 1 if moved > 0 else -moved) + parking


@cache
def _one_place(place: int) -> tuple[FloatArray, FloatArray]:
    """(21, 21) probabilities of the cars after a day given those before, and expected incomes."""
    from scipy.stats import poisson

    cars = np.arange(_MOST_CARS + 1)
    requests, returns = poisson(_REQUESTS[place]), poisson(_RETURNS[place])
    # (before, rented): all requests met, or all cars gone
    rented = np.where(
        cars[None] < cars[:, None], requests.pmf(cars)[None], requests.sf(cars - 1)[None]
    )
    rented[cars[None] > cars[:, None]] = 0.0
    # (kept, after): 20 cars after returns of at least what was missing
    back = cars[None] - cars[:, None]
    returned = np.where(
        cars[None] < _MOST_CARS, returns.pmf(back), returns.sf(_MOST_CARS - cars - 1)[:, None]
    )
    probability = np.zeros((_MOST_CARS + 1, _MOST_CARS + 1))
    income = np.zeros_like(probability)
    for before in cars.tolist():
        for sold in range(before + 1):
            share = rented[before, sold] * returned[before - sold]
            probability[before] += share
            income[before] += _RENT * sold * share
    return probability, np.divide(
        income, probability, out=np.zeros_like(income), where=probability > 0
    )


JacksCarRental = EntryPoint(jacks_car_rental)
JacksCarRentalVector = VectorEntryPoint(jacks_car_rental)
