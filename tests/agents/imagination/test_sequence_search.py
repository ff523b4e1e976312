import numpy as np
import pytest
from gymagine.agents.imagination.action_sequences import action_sequences
from gymagine.agents.imagination.planning_model import imagined_returns
from gymagine.agents.imagination.sequence_search import SearchSettings, search

from .exact_models import LinearQuadratic, Table

HORIZON = 8


def settings_of(planner, **more):
    chosen = dict(
        planner=planner,
        num_candidates=200,
        num_elites=20,
        num_iterations=10,
        temperature=0.5,
        smoothing=0.1,
    )
    return SearchSettings(**(chosen | more))


def returns_in(model, start, **options):
    sequences = action_sequences(model.action_space, HORIZON)

    def score(drawn):
        batch, num = drawn.shape[:2]
        actions = sequences.actions(drawn.reshape(-1, *drawn.shape[2:]))
        state = model.begin(np.repeat(start, num, axis=0))
        return imagined_returns(model, state, actions, **options).reshape(batch, num)

    return sequences, score


def excess_costs(planner):
    """(B,) shares by which plans cost more than the Riccati optimum, from 20 starts."""
    model = LinearQuadratic()
    starts = np.random.default_rng(1).uniform(-3, 3, (20, 2))
    sequences, score = returns_in(model, starts)
    rng = np.random.default_rng(0)
    found = search(sequences, sequences.first(20), score, settings_of(planner), rng)
    costs = -score(found.plan[:, None])[:, 0]
    best = np.array([model.optimal_cost(x, HORIZON) for x in starts])
    assert (costs >= best * (1 - 1e-9)).all()
    return costs / best - 1


def test_the_cross_entropy_method_reaches_the_riccati_optimum():
    """At equal budget path integrals come second, and random shooting last."""
    cem, mppi, shooting = (excess_costs(name) for name in ("cem", "mppi", "random-shooting"))
    assert cem.max() < 0.02
    assert cem.mean() < mppi.mean() < shooting.mean()


def random_table(seed):
    rng = np.random.default_rng(seed)
    shape = 6, 3
    ends = rng.random(shape) < 0.1
    return Table(rng.integers(6, size=shape), rng.normal(size=shape), ends)


@pytest.mark.parametrize("planner", ["cem", "mppi", "random-shooting"])
def test_plans_in_a_small_mdp_are_those_of_enumeration(planner):
    """3^4 sequences: the best is found in each of 6 states, and worth what the model says."""
    for seed in range(3):
        table = random_table(seed)
        sequences = action_sequences(table.action_space, 4)

        def score(drawn, table=table, sequences=sequences):
            batch, num = drawn.shape[:2]
            state = table.begin(np.repeat(np.arange(6), num))
            actions = sequences.actions(drawn.reshape(-1, *drawn.shape[2:]))
            return imagined_returns(table, state, actions, discount=0.9).reshape(batch, num)

        chosen = settings_of(planner, num_candidates=600, num_iterations=8)
        found = search(sequences, sequences.first(6), score, chosen, np.random.default_rng(0))
        plans = sequences.actions(found.plan)
        for state in range(6):
            best, value, _ = table.best_sequence(state, 4, 0.9)
            assert found.best_return[state] == pytest.approx(value)
            assert plans[state, 0] == best[0]


def test_the_last_plan_competes_as_it_is():
    """One candidate: the most probable sequence of the distribution, and nothing else."""
    model = LinearQuadratic()
    sequences, score = returns_in(model, np.ones((1, 2)))
    law = sequences.following(sequences.first(1))
    law.centre[:] = np.linspace(-0.5, 0.5, HORIZON)[None, :, None]
    chosen = settings_of("random-shooting", num_candidates=1, num_elites=1, num_iterations=1)
    found = search(sequences, law, score, chosen, np.random.default_rng(0))
    np.testing.assert_array_equal(found.plan, law.centre)


def test_sequences_without_a_finite_return_are_never_chosen():
    sequences = action_sequences(LinearQuadratic.action_space, 1)

    def score(drawn):
        at = drawn[:, :, 0, 0]
        return np.where(at > 0, np.nan, at)

    rng = np.random.default_rng(0)
    for planner in ("cem", "mppi", "random-shooting"):
        found = search(sequences, sequences.first(1), score, settings_of(planner), rng)
        assert np.isfinite(found.plan).all()
        assert found.plan.max() <= 0
    with pytest.raises(ValueError, match="finite"):
        search(
            sequences,
            sequences.first(1),
            lambda drawn: np.full(drawn.shape[:2], np.nan),
            settings_of("cem"),
            rng,
        )
