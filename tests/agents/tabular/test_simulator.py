"""The compiled simulator against its model's probabilities and against the environment itself."""

import numpy as np
import pytest
from gymagine.agents.tabular.simulator import (
    ELAPSED,
    LOGGED,
    STATE,
    advance,
    finished,
    restart,
    simulate_model,
)
from gymagine.envs.mdp import TabularMDP
from scipy.stats import chisquare

SEED = np.random.SeedSequence(0)
DRAWS = 30_000


def fan(num_outcomes):
    """One pair whose outcomes lead to as many states with rising probabilities."""
    weights = np.arange(1, num_outcomes + 1) / (num_outcomes * (num_outcomes + 1) / 2)
    outcomes = [(float(p), s, float(s), False) for s, p in enumerate(weights)]
    rows = [[outcomes] for _ in range(num_outcomes)]
    return TabularMDP.from_outcomes(rows, initial_distribution=weights), weights


@pytest.mark.parametrize("num_outcomes", [1, 2, 8, 9, 40])  # both sides of halving the row
def test_outcomes_have_their_probabilities(num_outcomes):
    mdp, weights = fan(num_outcomes)
    simulation = simulate_model(mdp, SEED)
    restart(simulation)
    seen = []
    for _ in range(DRAWS):
        reward, terminated, truncated, state = advance(simulation, 0)
        assert reward == state
        assert not (terminated or truncated)
        seen.append(state)
    if num_outcomes > 1:
        counts = np.bincount(seen, minlength=num_outcomes)
        assert chisquare(counts, weights * DRAWS).pvalue > 0.01


def test_starts_have_their_probabilities():
    mdp, weights = fan(12)
    simulation = simulate_model(mdp, SEED)
    starts = np.bincount([restart(simulation) for _ in range(DRAWS)], minlength=12)
    assert chisquare(starts, weights * DRAWS).pvalue > 0.01


def test_exploring_starts_are_uniform():
    mdp, _ = fan(12)
    simulation = simulate_model(mdp, SEED, start_anywhere=True)
    starts = np.bincount([restart(simulation) for _ in range(DRAWS)], minlength=12)
    assert chisquare(starts).pvalue > 0.01


def test_the_step_cap_truncates():
    mdp = TabularMDP.from_outcomes([[[(1.0, 0, 1.0, False)]]], max_episode_steps=3)
    simulation = simulate_model(mdp, SEED)
    for _ in range(2):
        restart(simulation)
        assert [advance(simulation, 0)[2] for _ in range(3)] == [False, False, True]
        assert simulation.position[ELAPSED] == 3
        assert simulation.episode[0] == 3.0


def test_observations_are_shown_where_states_are_finer():
    # two hidden states look the same, and only one of them pays
    rows = [[[(0.5, 1, 0.0, False), (0.5, 2, 0.0, False)]], [[(1.0, 1, 1.0, True)]],
            [[(1.0, 2, 0.0, True)]]]  # fmt: skip
    mdp = TabularMDP.from_outcomes(rows)
    mdp = TabularMDP(
        **{name: getattr(mdp, name) for name in ("row_starts", "next_states", "probabilities",
           "rewards", "terminated", "initial_distribution", "num_actions")},
        observation_index=np.array([0, 1, 1]),
    )  # fmt: skip
    simulation = simulate_model(mdp, SEED)
    paid = []
    for _ in range(2_000):
        assert restart(simulation) == 0
        assert advance(simulation, 0)[3] == 1
        hidden = simulation.position[STATE]
        reward, terminated, _, _ = advance(simulation, 0)
        assert terminated
        assert reward == (hidden == 1)
        paid.append(reward)
    assert np.mean(paid) == pytest.approx(0.5, abs=0.04)


def test_the_log_says_when_it_is_full():
    mdp = TabularMDP.from_outcomes([[[(1.0, 0, 2.0, True)]]])
    simulation = simulate_model(mdp, SEED, log_size=3)
    full = []
    for step in (1, 2, 3):
        restart(simulation)
        advance(simulation, 0)
        full.append(finished(simulation, step))
    assert full == [False, False, True]
    assert simulation.position[LOGGED] == 3
    assert simulation.log_ends.tolist() == [1, 2, 3]
    assert simulation.log_returns.tolist() == [2.0] * 3
