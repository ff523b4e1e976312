"""All planners, and models whose every kind of row and ending they must treat right."""

from functools import partial

import numpy as np
import pytest
from gymagine.agents.planning.linear_programming import linear_programming
from gymagine.agents.planning.modified_policy_iteration import modified_policy_iteration
from gymagine.agents.planning.policy_iteration import policy_iteration
from gymagine.agents.planning.prioritized_sweeping import prioritized_sweeping
from gymagine.agents.planning.solve import solve
from gymagine.agents.planning.value_iteration import value_iteration
from gymagine.envs.garnet import garnet
from gymagine.envs.mdp import TabularMDP

PLANNERS = {
    "value-iteration": value_iteration,
    "gauss-seidel": partial(value_iteration, gauss_seidel=True),
    "policy-iteration": policy_iteration,
    "modified-policy-iteration": modified_policy_iteration,
    "prioritized-sweeping": prioritized_sweeping,
    "linear-programming": linear_programming,
    "solve": solve,
}


def chain(length=12, *, reward=-1.0):
    """Walk right or stay; the last state's step right ends the episode."""
    rows = []
    for state in range(length):
        last = state == length - 1
        rows.append(
            [[(1.0, state, reward, False)], [(1.0, min(state + 1, length - 1), reward, last)]]
        )
    return TabularMDP.from_outcomes(rows, name="chain")


def masked_garnet(seed=3):
    """Random rows of random lengths, with masked actions and endings of all kinds.

    State 0 is entered by terminated and by other outcomes: its value must be seen by some only.
    """
    random = np.random.default_rng(seed)
    rows = []
    for _ in range(15):
        actions = []
        for _ in range(4):
            size = int(random.integers(1, 6))
            weights = random.dirichlet(np.ones(size))
            actions.append(
                [
                    (
                        float(weights[k]),
                        int(random.integers(15)),
                        float(random.normal()),
                        bool(random.random() < 0.15),
                    )
                    for k in range(size)
                ]
            )
        for action in range(1, 4):
            if random.random() < 0.3:
                actions[action] = []
        rows.append(actions)
    return TabularMDP.from_outcomes(rows, name="masked")


def leaving_lounges():
    """Two places to rest without reward, one of two states, and costs to get on between them."""
    return TabularMDP.from_outcomes(
        [
            [[(1.0, 1, 0.0, False)], [(0.5, 2, -1.0, False), (0.5, 0, -1.0, False)]],
            [[(0.5, 0, 0.0, False), (0.5, 1, 0.0, False)], [(1.0, 3, -4.0, False)]],
            [[(1.0, 3, -1.0, False)], [(1.0, 0, -0.25, False)]],
            [[(1.0, 3, 0.0, False)], [(0.9, 4, -1.0, False), (0.1, 2, -1.0, False)]],
            [[(1.0, 4, 0.0, True)], [(0.7, 4, 5.0, True), (0.3, 1, 2.0, False)]],
        ],
        name="lounges",
    )


def one_state():
    """Its only state is entered by ending outcomes alone, though the first is less good."""
    return TabularMDP.from_outcomes([[[(1.0, 0, 1.0, True)], [(1.0, 0, 2.0, True)]]])


MODELS = {
    "garnet": lambda: garnet(30, 3, 4, seed=1),
    "garnet-with-ends": lambda: garnet(40, 4, 3, seed=2, terminal_share=0.1),
    "masked": masked_garnet,
    "chain": chain,
    "lounges": leaving_lounges,
    "one-state": lambda: TabularMDP.from_outcomes(
        [[[(1.0, 0, 1.0, True)], [(1.0, 0, 2.0, True)]]]
    ),
}
EPISODIC = ("chain", "lounges", "one-state")


@pytest.fixture(params=list(PLANNERS))
def planner(request):
    return PLANNERS[request.param]
