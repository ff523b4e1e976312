"""The laws, over all planners and models; and that the laws notice when they are broken."""

from dataclasses import replace

import pytest
from gymagine.agents.planning.testing import (
    check_planner,
)
from gymagine.agents.planning.value_iteration import value_iteration
from gymagine.envs.garnet import garnet

from .conftest import EPISODIC, MODELS, PLANNERS


@pytest.mark.parametrize("discount", [0.0, 0.5, 0.95])
@pytest.mark.parametrize("model", list(MODELS))
@pytest.mark.parametrize("name", list(PLANNERS))
def test_planners_keep_the_laws(name, model, discount):
    check_planner(PLANNERS[name], MODELS[model](), discount=discount)


@pytest.mark.parametrize("model", EPISODIC)
@pytest.mark.parametrize("name", list(PLANNERS))
def test_planners_keep_the_laws_without_discount(name, model):
    check_planner(PLANNERS[name], MODELS[model](), discount=1.0)


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
