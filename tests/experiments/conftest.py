"""Comparisons with numbers chosen by hand, so that every figure of a report is known."""

import math

import pytest
from gymagine.experiments.results import Comparison, RunResult


def build_run(environment="Lake-v1", agent="q-learning", seed=0, final=0.5, **changes):
    """A run; ``final=None`` makes a failed one."""
    fields = {
        "environment": environment,
        "agent": agent,
        "seed": seed,
        "status": "finished" if final is not None else "failed",
        "error": None if final is not None else "ValueError: no luck",
        "timesteps": 1000,
        "wall_seconds": 2.0,
        "simulator": "compiled",
        "curve_steps": [],
        "curve_returns": [],
        "final_return": final,
        "final_episodes": 0,
        "exact": True,
        "record": f"{environment}/{agent}/{seed}",
    }
    return RunResult(**{**fields, **changes})


def build_comparison(runs, optimum=1.0, control=0.0, **changes):
    """A comparison of the runs with the same references in every environment."""
    environments = list(dict.fromkeys(run.environment for run in runs))
    fields = {
        "criterion": "undiscounted return, at most 100 steps",
        "discount": 1.0,
        "budget": 1000,
        "seeds": sorted({run.seed for run in runs}),
        "runs": runs,
        "optimum": dict.fromkeys(environments, optimum),
        "control": dict.fromkeys(environments, control),
        "settings": {"agents": {"q-learning": {"step_size": 0.1}}},
        "versions": {"gymagine": "0.1.0", "numpy": "2.0"},
    }
    return Comparison(**{**fields, **changes})


def build_large_comparison(num_environments, num_agents, num_seeds):
    """Smooth learning curves of many agents; the first agent is a planner without a curve."""
    steps = list(range(0, 100_001, 10_000))
    runs = []
    for environment in range(num_environments):
        for agent in range(num_agents):
            for seed in range(num_seeds):
                rate = 1e-4 / (1 + agent) * (1 + 0.1 * seed)
                curve = [1.0 - math.exp(-rate * step) for step in steps] if agent else []
                runs.append(
                    build_run(
                        f"Environment{environment}-v0",
                        f"agent-with-a-name-{agent}",
                        seed,
                        curve[-1] if agent else 1.0,
                        curve_steps=steps if agent else [],
                        curve_returns=curve,
                    )
                )
    return build_comparison(runs, budget=100_000)


@pytest.fixture
def make_run():
    return build_run


@pytest.fixture
def make_comparison():
    return build_comparison


@pytest.fixture
def make_large_comparison():
    return build_large_comparison


@pytest.fixture
def mixed_comparison():
    """Two environments; a planner, two learners, and every way in which a run may end."""
    steps = [0, 500, 1000]
    runs = []
    for environment in ("Lake-v1", "Cliff-v1"):
        for seed in range(3):
            runs.append(build_run(environment, "planner", seed, 0.875, simulator=None))
            curve = [0.0, 0.95 if seed else 0.5, 0.7 + 0.05 * seed]
            runs.append(
                build_run(
                    environment,
                    "q-learning",
                    seed,
                    curve[-1],
                    curve_steps=steps,
                    curve_returns=curve,
                )
            )
    runs.append(build_run("Lake-v1", "sarsa", 0, 0.25, curve_steps=[0], curve_returns=[0.0]))
    runs.append(build_run("Lake-v1", "sarsa", 1, None, error="Traceback\n  x | y\nKeyError: 'a'"))
    runs.append(build_run("Lake-v1", "sarsa", 2, None, status="interrupted", error=None))
    runs += [build_run("Cliff-v1", "sarsa", seed, None) for seed in range(3)]
    comparison = build_comparison(runs)
    return build_comparison(runs, optimum=1.0, control=0.0, seeds=comparison.seeds)
