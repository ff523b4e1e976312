"""Example 4.2 against a plain enumeration, and the figure's policy."""

import numpy as np
import pytest
from gymagine.envs.textbook.jacks_car_rental import jacks_car_rental
from scipy.stats import poisson

CARS = 21


def enumerated(cars, action, *, nonlinear=False):
    """Next-state probabilities and the expected reward, one draw of each Poisson at a time."""
    moved = min(max(action, -cars[1]), cars[0])
    left = (min(cars[0] - moved, 20), min(cars[1] + moved, 20))
    cost = 2.0 * abs(moved)
    if nonlinear:
        cost = 2.0 * (moved - 1 if moved > 0 else -moved)
        cost += 4.0 * ((left[0] > 10) + (left[1] > 10))
    shares, income = [], 0.0
    for here, (requests, returns) in zip(left, ((3, 3), (4, 2)), strict=True):
        share = np.zeros(CARS)
        many = np.arange(60)
        for asked, chance in enumerate(poisson.pmf(many, requests).tolist()):
            rented = min(asked, here)
            income += 10.0 * rented * chance
            for back, as_many in enumerate(poisson.pmf(many, returns).tolist()):
                share[min(here - rented + back, 20)] += chance * as_many
        shares.append(share)
    return np.outer(*shares).ravel(), income - cost


@pytest.mark.parametrize("nonlinear", [False, True])
@pytest.mark.parametrize(
    ("cars", "action"), [((0, 0), 0), ((10, 10), 3), ((20, 20), -5), ((3, 18), 5), ((12, 1), -4)]
)
def test_rows_by_enumeration(cars, action, nonlinear):
    mdp = jacks_car_rental(nonlinear=nonlinear)
    state = cars[0] * CARS + cars[1]
    found = np.zeros(CARS * CARS)
    for probability, to, _, terminated in mdp.outcomes(state, action + 5):
        found[to] += probability
        assert not terminated
    expected, reward = enumerated(cars, action, nonlinear=nonlinear)
    np.testing.assert_allclose(found, expected, atol=1e-13)
    assert mdp.expected_rewards[state, action + 5] == pytest.approx(reward, abs=1e-10)


def test_models_alike_are_one():
    # 45 MB each, and a vector environment may ask for many
    assert jacks_car_rental(masked=True) is jacks_car_rental(masked=True)
    assert jacks_car_rental(masked=True) is not jacks_car_rental()


def test_rows_sum_to_one_within_1e_12():
    mdp = jacks_car_rental()
    sums = np.add.reduceat(mdp.probabilities, mdp.row_starts[:-1])
    assert np.abs(sums - 1).max() < 1e-12


def optimal_policy(mdp):
    """(21, 21) cars moved, by policy iteration with dense solves."""
    matrix = np.zeros((mdp.num_states * mdp.num_actions, mdp.num_states))
    rows = np.repeat(np.arange(len(matrix)), np.diff(mdp.row_starts))
    matrix[rows, mdp.next_states] = mdp.probabilities
    going_on = matrix.reshape(mdp.num_states, mdp.num_actions, mdp.num_states)
    rewards = np.where(mdp.allowed, mdp.expected_rewards, -np.inf)
    policy, states = np.full(mdp.num_states, 5), np.arange(mdp.num_states)
    while True:
        values = np.linalg.solve(
            np.eye(mdp.num_states) - 0.9 * going_on[states, policy], rewards[states, policy]
        )
        action_values = rewards + 0.9 * going_on @ values
        better = action_values.max(axis=1) > action_values[states, policy] + 1e-9
        if not better.any():
            return policy.reshape(CARS, CARS) - 5, values.reshape(CARS, CARS)
        policy = np.where(better, action_values.argmax(axis=1), policy)


def test_policy_of_figure_4_2():
    policy, values = optimal_policy(jacks_car_rental(masked=True))
    assert (policy.min(), policy.max()) == (-4, 5)
    # corners and edges as the last diagram shows them
    assert policy[20, 0] == 5
    assert policy[0, 20] == -4
    assert policy[20, 20] == 0
    assert policy[0, 0] == 0
    # never fewer cars moved away for one car more at the first place
    assert (np.diff(policy, axis=0) >= 0).all()
    # the value diagram rises from about 420
    assert values.min() == values[0, 0] == pytest.approx(420, abs=2)


def test_cutting_and_masking_agree():
    _, cut = optimal_policy(jacks_car_rental())
    _, masked = optimal_policy(jacks_car_rental(masked=True))
    np.testing.assert_allclose(cut, masked, atol=1e-9)


def test_the_free_shuttle_is_used():
    linear, _ = optimal_policy(jacks_car_rental(masked=True))
    nonlinear, _ = optimal_policy(jacks_car_rental(nonlinear=True, masked=True))
    # one car for nothing, where two equal places need none
    assert linear[8, 8] == 0
    assert nonlinear[8, 8] == 1
    # and the second parking lot is avoided: 11 cars at the second place send one away
    assert linear[8, 11] == 0
    assert nonlinear[8, 11] == -1
