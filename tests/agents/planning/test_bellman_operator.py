"""Sweeps over all kinds of rows against the plain definition, outcome by outcome."""

import numpy as np
import pytest
from gymagine.agents.planning.bellman_operator import BellmanOperator, check_discount
from gymagine.agents.planning.bellman_sweeps import IRREGULAR, PINNED, REGULAR, extent
from gymagine.agents.planning.policy_rows import PolicyRows
from gymagine.envs.mdp import TabularMDP

from .conftest import MODELS


def pair_values(mdp, values, discount):
    """(S, A) by the definition."""
    result = np.full((mdp.num_states, mdp.num_actions), -np.inf)
    for state in range(mdp.num_states):
        for action in range(mdp.num_actions):
            if mdp.allowed[state, action]:
                result[state, action] = sum(
                    p * (r + (0.0 if ends else discount * values[ahead]))
                    for p, ahead, r, ends in mdp.outcomes(state, action)
                )
    return result


def starting(operator, seed=0):
    return operator.starting_values(np.random.default_rng(seed).normal(size=operator.num_states))


@pytest.mark.parametrize("name", list(MODELS))
def test_synchronous_sweep(name):
    mdp = MODELS[name]()
    operator = BellmanOperator.of(mdp, 0.9)
    values = starting(operator)
    out, chosen = np.empty_like(values), np.empty(mdp.num_states, dtype=np.int64)
    lowest, highest, largest = operator.improve(values, out, chosen)
    truth = pair_values(mdp, values, 0.9)
    live = np.ones(len(values), bool) if operator.pinned is None else ~operator.pinned
    np.testing.assert_allclose(out[live], truth.max(axis=1)[live], rtol=0, atol=1e-13)
    assert (out[~live] == 0).all()
    if live.any():
        change = (truth.max(axis=1) - values)[live]
        assert (lowest, highest) == pytest.approx((change.min(), change.max()))
        assert largest == pytest.approx(np.abs(out[live]).max())
    expected = np.arange(len(values)) * mdp.num_actions + truth.argmax(axis=1)
    assert (chosen[live] == expected[live]).all()
    assert (chosen[~live] == -1).all()


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("name", list(MODELS))
def test_sweep_in_place(name, backwards):
    mdp = MODELS[name]()
    operator = BellmanOperator.of(mdp, 0.9)
    values = starting(operator)
    truth = values.copy()
    changes = [0.0]
    for state in range(mdp.num_states)[:: -1 if backwards else 1]:
        if operator.pinned is None or not operator.pinned[state]:
            best = pair_values(mdp, truth, 0.9)[state].max()
            changes.append(abs(best - truth[state]))
            truth[state] = best
    change, _ = operator.improve_in_place(values, backwards=backwards)
    np.testing.assert_allclose(values, truth, rtol=0, atol=1e-12)
    assert change == pytest.approx(max(changes))


@pytest.mark.parametrize("name", list(MODELS))
def test_rows_that_a_sweep_writes_are_the_policy(name):
    """A sweep of the padded rows equals a backup with the rows that were chosen."""
    mdp = MODELS[name]()
    operator = BellmanOperator.of(mdp, 0.9)
    if not operator.width:
        pytest.skip("rows of too many lengths to be padded")
    values = starting(operator)
    rows = PolicyRows.padded(mdp.num_states, operator.sizes[1])
    out, chosen = np.empty_like(values), np.empty(mdp.num_states, dtype=np.int64)
    operator.improve(values, out, chosen, rows)
    other = starting(operator, seed=1)
    truth = np.array(
        [
            0.0
            if row < 0
            else pair_values(mdp, other, 0.9)[row // mdp.num_actions, row % mdp.num_actions]
            for row in chosen
        ]
    )
    swept = other.copy()
    rows.sweep(swept, np.empty_like(swept), discount=0.9)
    np.testing.assert_allclose(swept, truth, rtol=0, atol=1e-13)
    np.testing.assert_allclose(rows.backup(other, 0.9), truth, rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", list(MODELS))
def test_action_values(name):
    mdp = MODELS[name]()
    operator = BellmanOperator.of(mdp, 0.9)
    values = starting(operator)
    action_values, best = operator.action_values(values)
    truth = pair_values(mdp, values, 0.9)
    np.testing.assert_allclose(action_values, truth, rtol=0, atol=1e-13)
    np.testing.assert_allclose(best, truth.max(axis=1), rtol=0, atol=1e-13)


def test_large_models_get_constant_loops_with_the_same_result():
    from gymagine.envs.garnet import garnet

    mdp = garnet(11_000, 4, 5, seed=1, terminal_share=0.1)
    operator = BellmanOperator.of(mdp, 0.9)
    assert operator.sizes == ((0,) * 4, (0,) * 5)
    assert set(operator.kinds) == {REGULAR, PINNED}
    values = starting(operator)
    out = np.empty_like(values)
    operator.improve(values, out)
    backup = mdp.expected_rewards.ravel() + 0.9 * (mdp.continuation_matrix() @ values)
    truth = np.where(operator.pinned, 0.0, backup.reshape(-1, 4).max(axis=1))
    np.testing.assert_allclose(out, truth, rtol=0, atol=1e-12)


def test_kinds():
    masked = MODELS["masked"]()
    operator = BellmanOperator.of(masked, 0.9)
    assert (operator.kinds == IRREGULAR).all()
    assert operator.flags is masked.terminated  # some states are entered in both ways
    assert operator.pinned is None
    chain = BellmanOperator.of(MODELS["chain"](), 0.9)
    assert chain.flags is not None  # the last state is entered in both ways


def test_sums_of_rows_without_ends():
    chain = MODELS["chain"]()
    errors = BellmanOperator.of(chain, 0.9).errors
    assert errors.least_sum == 0.0
    assert errors.greatest_sum == pytest.approx(1.0)
    assert errors.largest_reward == 1.0


def test_extent():
    assert extent(3) == extent((0, 0, 0)) == 3


def test_check_discount():
    mdp = TabularMDP.from_outcomes([[[(1.0, 0, 0.0, False)]]])
    check_discount(mdp, 1)
    for wrong in (True, "0.5", None):
        with pytest.raises(TypeError, match="discount"):
            check_discount(mdp, wrong)
    for wrong in (-1e-9, 1.0001, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="discount"):
            check_discount(mdp, wrong)
