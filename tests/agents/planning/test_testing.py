"""The laws, over all planners and models; and that the laws notice when they are broken."""

from dataclasses import replace
from functools import cache

import pytest
from gymagine.agents.planning.linear_programming import linear_programming
from gymagine.agents.planning.testing import check_planner
from gymagine.agents.planning.value_iteration import value_iteration
from gymagine.envs.garnet import garnet

from .conftest import EPISODIC, MODELS, PLANNERS


@cache
def case(model, discount):
    """A model and its optimal values, by a linear program."""
    mdp = MODELS[model]()
    return mdp, linear_programming(mdp, discount=discount).state_values


@pytest.mark.parametrize(
    ("model", "discount"), [*((model, 0.9) for model in MODELS), ("masked", 0.0)]
)
@pytest.mark.parametrize("name", list(PLANNERS))
def test_planners_keep_the_laws(name, model, discount):
    mdp, truth = case(model, discount)
    check_planner(PLANNERS[name], mdp, discount=discount, truth=truth)


@pytest.mark.parametrize("model", EPISODIC)
@pytest.mark.parametrize("name", list(PLANNERS))
def test_planners_keep_the_laws_without_discount(name, model):
    mdp, truth = case(model, 1.0)
    check_planner(PLANNERS[name], mdp, discount=1.0, truth=truth)


def spoiled(**changes):
    """Value iteration whose solution is changed after the fact."""

    def planner(mdp, **arguments):
        solution = value_iteration(mdp, **arguments)
        return replace(solution, **{key: value(solution) for key, value in changes.items()})

    return planner


@pytest.mark.parametrize(
    ("planner", "broken"),
    [
        (spoiled(state_values=lambda s: s.state_values + 1e-4), "error"),
        (
            spoiled(error_bound=lambda s: 0.0, state_values=lambda s: s.state_values + 1e-8),
            "error",
        ),
        (spoiled(action_values=lambda s: s.action_values + 1e-6), "backup"),
        (spoiled(residual=lambda s: s.residual + 1e-6), "residual"),
        (spoiled(policy=lambda s: s.action_values.argmin(axis=1)), "short of the best"),
        (spoiled(converged=lambda s: False), "convergence"),
    ],
)
def test_laws_notice(planner, broken):
    with pytest.raises(AssertionError, match=broken):
        check_planner(planner, garnet(20, 3, 4, seed=0), discount=0.9)
