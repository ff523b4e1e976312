"""``gymagine solve ENV``: the exact optimum of a known model."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from ..catalogue import suggestion
from .options import Environment, EnvOptions, name_environment, parse

if TYPE_CHECKING:
    from ...agents.planning.solution import Solution
    from ...envs.mdp import TabularMDP

__all__ = ["run"]

# module and function of each in gymagine.agents.planning
_PLANNERS = {
    "auto": "solve",
    "value-iteration": "value_iteration",
    "policy-iteration": "policy_iteration",
    "modified-policy-iteration": "modified_policy_iteration",
    "prioritized-sweeping": "prioritized_sweeping",
    "linear-programming": "linear_programming",
    "backward-induction": "backward_induction",
}


@dataclass(frozen=True)
class Options:
    """Solve an environment whose model is known, to a proven error.

    Prints the value of the start, the policy, the error bound and the time, and beside them what
    the policy earns undiscounted under the environment's step cap.
    """

    env: Environment
    planner: Annotated[
        str,
        tyro.conf.arg(
            metavar="NAME",
            help="auto takes the one that suits the model; "
            + ", ".join(list(_PLANNERS)[1:])
            + ".",
        ),
    ] = "auto"
    discount: Annotated[
        float, tyro.conf.arg(help="Weight of the next step's return, in [0, 1].")
    ] = 0.99
    tolerance: Annotated[float, tyro.conf.arg(help="Largest error of a value.")] = 1e-8
    horizon: Annotated[
        int | None,
        tyro.conf.arg(
            metavar="INT",
            help="Steps after which an episode is cut off, for backward-induction; None is the "
            "environment's own cap.",
        ),
    ] = None
    env_options: EnvOptions = ()
    states: Annotated[
        int, tyro.conf.arg(help="Print the values of so many states where there is no grid.")
    ] = 20
    json: Annotated[bool, tyro.conf.arg(help="Print JSON, with all values and actions.")] = False


def run(arguments: Sequence[str]) -> int:
    """Solve and print."""
    options = parse(Options, "solve", arguments)
    from ...envs.mdp import TabularMDP
    from ..evaluation import step_cap

    begun = time.perf_counter()
    env = name_environment(options.env, options.env_options).make()
    mdp = TabularMDP.from_env(env)
    built = time.perf_counter()
    solution = _solve(mdp, options)
    seconds = {"model": built - begun, "solve": time.perf_counter() - built}
    horizon = options.horizon or step_cap(env)
    report = _report(mdp, solution, horizon, seconds)
    if options.json:
        report["state_values"] = solution.state_values.tolist()
        report["policy"] = solution.policy.tolist()
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
    else:
        sys.stdout.write(_text(mdp, solution, report, options.states))
    return 0 if report["converged"] else 1


def _solve(mdp: TabularMDP, options: Options) -> Any:
    """A `Solution`, or a `FiniteHorizonSolution` of backward induction."""
    if options.planner not in _PLANNERS:
        known = [name for name in _PLANNERS if name != "auto"]
        hint = suggestion(options.planner, known) or f"; known: {', '.join(_PLANNERS)}"
        raise ValueError(f"unknown planner {options.planner!r}{hint}")
    timed = options.planner == "backward-induction" or options.horizon is not None
    if timed and options.planner not in ("auto", "backward-induction"):
        raise ValueError(f"--horizon is for backward-induction, got {options.planner}")
    name = "backward_induction" if timed else _PLANNERS[options.planner]
    solver: Any = getattr(import_module(f"gymagine.agents.planning.{name}"), name)
    if timed:
        return solver(mdp, horizon=options.horizon, discount=options.discount)
    return solver(mdp, discount=options.discount, tolerance=options.tolerance)


def _report(
    mdp: TabularMDP, solution: Solution, horizon: int, seconds: dict[str, float]
) -> dict[str, Any]:
    from ..exact_evaluation import affordable, exact_return, optimal_return

    report: dict[str, Any] = {
        "model": mdp.name,
        "states": mdp.num_states,
        "actions": mdp.num_actions,
        "outcomes": mdp.num_outcomes,
        "method": solution.method,
        "discount": solution.discount,
        "start_value": float(mdp.initial_distribution @ solution.state_values),
        "error_bound": solution.error_bound,
        "converged": getattr(solution, "converged", True),
        "sweeps": getattr(solution, "sweeps", None),
        "seconds": seconds,
    }
    by_time = getattr(solution, "policies_by_time", None)
    if affordable(mdp, horizon):
        policy = solution.policy if by_time is None else by_time
        report["cap"] = horizon
        report["return_under_cap"] = exact_return(mdp, policy, horizon=horizon)
        report["optimum_under_cap"] = optimal_return(mdp, horizon=horizon)
    return report


def _text(mdp: TabularMDP, solution: Solution, report: dict[str, Any], num_states: int) -> str:
    from ...envs.grid_drawing import draw_text

    sweeps = "" if report["sweeps"] is None else f", {report['sweeps']} sweeps"
    lines = [
        f"{mdp.name}: {mdp.num_states:,} states, {mdp.num_actions} actions, "
        f"{mdp.num_outcomes:,} outcomes",
        f"{solution.method}, discount {solution.discount:g}{sweeps}, "
        f"{report['seconds']['solve']:.3g} s (model {report['seconds']['model']:.3g} s)",
        "",
        f"value of the start  {report['start_value']:.10g}  (error at most "
        f"{report['error_bound']:.2g})",
    ]
    if not report["converged"]:
        lines.append("NOT CONVERGED: the error bound is above the tolerance")
    if "cap" in report:
        lines.append(
            f"undiscounted, at most {report['cap']} steps: this policy "
            f"{report['return_under_cap']:.10g}, the optimum {report['optimum_under_cap']:.10g}"
        )
    lines.append("")
    if mdp.layout is not None:
        lines.append(draw_text(mdp.layout, policy=solution.policy).rstrip("\n"))
    else:
        lines.append(f"{'state':>6}  {'value':>12}  {'action':>6}")
        for state in range(min(num_states, mdp.num_states)):
            value, action = solution.state_values[state], solution.policy[state]
            lines.append(f"{state:>6}  {value:>12.6g}  {action:>6}")
        if num_states < mdp.num_states:
            lines.append(f"and {mdp.num_states - num_states:,} more (--json prints all)")
    return "\n".join(lines) + "\n"
