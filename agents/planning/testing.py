"""Laws that every planner keeps, to be called from anyone's tests with their planner and model.

A planner is a function ``(mdp, *, discount, tolerance, max_sweeps, initial_values, on_sweep) ->
Solution``. It is held to a truth from elsewhere (by default linear programming's), to its own
bound, to the Bellman equation, to the action mask, to its watcher, and to saying so when it stops
short.

Example:
    >>> from gymagine.agents.planning.value_iteration import value_iteration
    >>> from gymagine.envs.garnet import garnet
    >>> check_planner(value_iteration, garnet(20, 3, 4, seed=0), discount=0.9)
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from ...envs.mdp import TabularMDP
from .linear_programming import linear_programming
from .policy_evaluation import policy_evaluation
from .solution import Solution, Sweep

__all__ = [
    "check_bound",
    "check_equation",
    "check_planner",
    "check_policy",
    "check_refusals",
    "check_stopping_short",
    "check_watching",
]

Planner = Callable[..., Solution]
Floats = NDArray[np.float64]


def check_planner(
    planner: Planner,
    mdp: TabularMDP,
    *,
    discount: float,
    tolerance: float = 1e-8,
    truth: Float64[Floats, " states"] | None = None,
) -> None:
    """Hold a planner to every law of this module.

    Args:
        planner: The planner.
        mdp: A model with a finite solution.
        discount: In [0, 1].
        tolerance: What to ask for; it must be within the reach of rounding.
        truth: (S,) the optimal values, correct to a tenth of the tolerance; None takes linear
            programming's, so that a small model is wanted.

    Raises:
        AssertionError: A law is broken; the message says which.
    """
    if truth is None:
        truth = linear_programming(mdp, discount=discount, tolerance=tolerance).state_values
    solution = planner(mdp, discount=discount, tolerance=tolerance)
    assert solution.converged, f"expected convergence, got a bound of {solution.error_bound}"
    check_bound(solution, truth, slack=tolerance / 10)
    check_equation(solution, mdp)
    check_policy(solution, mdp, truth, slack=tolerance / 10)
    check_watching(planner, mdp, discount=discount, tolerance=tolerance, truth=truth)
    check_stopping_short(planner, mdp, discount=discount, truth=truth, slack=tolerance / 10)
    check_refusals(planner, mdp)
    if discount < 1:
        again = planner(mdp, discount=discount, tolerance=tolerance, initial_values=truth)
        check_bound(again, truth, slack=tolerance / 10)


def check_bound(
    solution: Solution, truth: Float64[Floats, " states"], *, slack: float = 0.0
) -> None:
    """The true error is at most ``error_bound``, and ``converged`` says what that means.

    Args:
        solution: Of any planner.
        truth: (S,) the optimal values.
        slack: How far off the truth itself may be.
    """
    error = float(np.abs(solution.state_values - truth).max())
    assert error <= solution.error_bound + slack, (
        f"{solution.method}: expected an error of at most the bound {solution.error_bound}, "
        f"got {error}"
    )


def check_equation(solution: Solution, mdp: TabularMDP) -> None:
    """Action values are one backup of the state values, and the residual is what it says."""
    ahead = mdp.continuation_matrix() @ solution.state_values
    backup = mdp.expected_rewards.ravel() + solution.discount * ahead
    allowed = mdp.allowed
    scale = 1 + float(np.abs(backup).max())
    expected = np.where(allowed, backup.reshape(allowed.shape), -np.inf)
    close = np.isclose(solution.action_values, expected, rtol=0, atol=1e-12 * scale)
    assert close.all(), f"{solution.method}: action values are no backup of the state values"
    residual = float(np.abs(expected.max(axis=1) - solution.state_values).max())
    assert abs(residual - solution.residual) <= 1e-12 * scale, (
        f"{solution.method}: expected a residual of {residual}, got {solution.residual}"
    )


def check_policy(
    solution: Solution,
    mdp: TabularMDP,
    truth: Float64[Floats, " states"],
    *,
    slack: float = 0.0,
) -> None:
    """The policy uses allowed actions that are nearly best, and is worth what they are.

    A policy that is greedy for values with an error of e loses at most 2 e / (1 - discount)
    (Singh and Yee 1994); a tie within 2 e doubles that. At discount 1 the loss is measured by the
    policy's own error bound.
    """
    states = np.arange(mdp.num_states)
    assert mdp.allowed[states, solution.policy].all(), f"{solution.method}: a masked action"
    best = solution.action_values.max(axis=1)
    near = best - solution.action_values[states, solution.policy]
    scale = 1 + float(np.abs(best).max())
    tie = 2 * solution.error_bound + slack + 1e-11 * scale
    assert near.max() <= tie, f"{solution.method}: an action short of the best by {near.max()}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # its bound is used as it is
        worth = policy_evaluation(mdp, solution.policy, discount=solution.discount)
    contraction = max(1 - solution.discount, 1e-3)
    loss = float((truth - worth.state_values).max())
    allowance = 4 * tie / contraction + worth.error_bound + slack
    assert loss <= allowance, f"{solution.method}: the policy is worth {loss} less than the best"


def check_watching(
    planner: Planner,
    mdp: TabularMDP,
    *,
    discount: float,
    tolerance: float,
    truth: Float64[Floats, " states"],
) -> None:
    """A watcher sees sweeps counted upwards, values it cannot change, and bounds that hold."""
    seen: list[tuple[int, float]] = []

    def on_sweep(sweep: Sweep) -> None:
        assert not sweep.state_values.flags.writeable, "a watcher could change the values"
        assert sweep.state_values.shape == (mdp.num_states,)
        assert sweep.residual >= 0
        seen.append((sweep.index, sweep.error_bound))

    watched = planner(mdp, discount=discount, tolerance=tolerance, on_sweep=on_sweep)
    alone = planner(mdp, discount=discount, tolerance=tolerance)
    assert np.array_equal(watched.state_values, alone.state_values), "watching changed the result"
    indices = [index for index, _ in seen]
    assert indices and indices[0] >= 1, f"{alone.method}: expected sweeps to be seen, got none"
    assert indices == sorted(set(indices)), f"{alone.method}: sweeps counted as {indices}"
    assert indices[-1] <= alone.sweeps
    assert all(bound >= 0 for _, bound in seen)
    check_bound(watched, truth, slack=tolerance / 10)


def check_stopping_short(
    planner: Planner,
    mdp: TabularMDP,
    *,
    discount: float,
    truth: Float64[Floats, " states"],
    slack: float = 0.0,
) -> None:
    """After one sweep only, a planner warns once unless it has proven that one was enough."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        solution = planner(mdp, discount=discount, tolerance=1e-8, max_sweeps=1)
    short = [warning for warning in caught if issubclass(warning.category, RuntimeWarning)]
    check_bound(solution, truth, slack=slack)
    assert solution.converged == (solution.error_bound <= 1e-8)
    assert len(short) == (0 if solution.converged else 1), (
        f"{solution.method}: converged is {solution.converged}, with {len(short)} warnings"
    )


def check_refusals(planner: Planner, mdp: TabularMDP) -> None:
    """Arguments that mean nothing are refused before anything is computed."""
    half: dict[str, object] = {"discount": 0.5}
    wrong: list[tuple[object, dict[str, object], type[Exception]]] = [
        ("FrozenLake-v1", half, TypeError),
        (mdp, {"discount": 1.5}, ValueError),
        (mdp, {"discount": -0.1}, ValueError),
        (mdp, {"discount": float("nan")}, ValueError),
        (mdp, {"discount": "0.9"}, TypeError),
        (mdp, {**half, "tolerance": 0.0}, ValueError),
        (mdp, {**half, "tolerance": float("nan")}, ValueError),
        (mdp, {**half, "tolerance": "1"}, TypeError),
        (mdp, {**half, "max_sweeps": 0}, ValueError),
        (mdp, {**half, "max_sweeps": 1.5}, TypeError),
        (mdp, {**half, "initial_values": ["a"] * mdp.num_states}, TypeError),
        (mdp, {**half, "initial_values": np.zeros(mdp.num_states + 1)}, ValueError),
        (mdp, {**half, "initial_values": np.full(mdp.num_states, np.nan)}, ValueError),
    ]
    for model, arguments, expected in wrong:
        try:
            planner(model, **arguments)
        except expected:
            continue
        raise AssertionError(f"expected a {expected.__name__} for {arguments}, got none")
