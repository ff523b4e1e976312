"""Garnet models have the distribution that they are defined by."""

import numpy as np
import pytest
from gymagine.envs.garnet import _subsets, garnet
from gymagine.envs.mdp import TabularMDP
from scipy import stats


def rows_of(mdp, branching):
    shape = (mdp.num_states * mdp.num_actions, branching)
    return (array.reshape(shape) for array in (mdp.next_states, mdp.probabilities, mdp.rewards))


@pytest.mark.parametrize(
    ("num_states", "branching"), [(50, 5), (50, 50), (50, 30), (1, 1), (7, 1)]
)
def test_successors_are_distinct_and_probabilities_sum_to_1(num_states, branching):
    mdp = garnet(num_states, 3, branching, seed=1)
    successors, probabilities, _ = rows_of(mdp, branching)
    assert (np.diff(successors, axis=1) > 0).all()
    assert (probabilities > 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-14)
    np.testing.assert_allclose(mdp.initial_distribution, 1 / num_states)
    assert not mdp.terminated.any()


@pytest.mark.parametrize("size", [2, 3, 7])  # 7 of 10 are shuffled, fewer drawn one by one
def test_every_subset_of_successors_is_as_likely(size):
    num_rows = 40_000
    subsets = _subsets(np.random.default_rng(3), num_rows, 10, size)
    _, counts = np.unique(subsets @ (11 ** np.arange(size)), return_counts=True)
    num_subsets = int(stats.hypergeom(10, size, size).pmf(size) ** -1 + 0.5)
    assert len(counts) == num_subsets
    assert stats.chisquare(counts).pvalue > 1e-4


def test_probabilities_are_flat_dirichlet_and_rewards_standard_normal():
    mdp = garnet(4000, 5, 5, seed=2)
    _, probabilities, rewards = rows_of(mdp, 5)
    # a part of a flat Dirichlet of b parts is Beta(1, b - 1)
    for column in probabilities.T:
        assert stats.kstest(column, stats.beta(1, 4).cdf).pvalue > 1e-4
    assert stats.kstest(rewards.ravel(), stats.norm.cdf).pvalue > 1e-4
    pairs = mdp.expected_rewards.ravel()
    assert abs(pairs.var() - 2 / 6) < 4 * np.sqrt(2 / len(pairs))  # 2 / (b + 1)
    assert abs(np.corrcoef(probabilities[:, 0], rewards[:, 0])[0, 1]) < 4 / np.sqrt(len(pairs))


def test_sparsity_is_the_share_of_transitions_without_reward():
    count = 500 * 4 * 5
    zeros = np.count_nonzero(garnet(500, 4, 5, seed=0, reward_sparsity=0.9).rewards == 0)
    assert abs(zeros - 0.9 * count) < 4 * np.sqrt(count * 0.09)
    assert not garnet(50, 4, 5, seed=0, reward_sparsity=1.0).rewards.any()


def test_terminal_states_end_episodes():
    mdp = garnet(100, 2, 4, seed=0, terminal_share=0.25, max_episode_steps=30)
    np.testing.assert_array_equal(mdp.terminated, mdp.next_states >= 75)
    for state in range(75, 100):
        assert mdp.outcomes(state, 1) == [(1.0, state, 0.0, True)]
    np.testing.assert_allclose(mdp.initial_distribution, [1 / 75] * 75 + [0] * 25)
    assert mdp.max_episode_steps == 30
    assert mdp.row_starts[1] == 4


def test_the_seed_is_all_there_is_to_it():
    one, same, other = garnet(30, 2, 3, seed=5), garnet(30, 2, 3, seed=5), garnet(30, 2, 3, seed=6)
    assert one.to_dict() == same.to_dict()
    assert one.to_dict() != other.to_dict()
    assert one.name == "garnet-30-2-3"


@pytest.mark.parametrize(
    ("share", "count"), [(0.29, 29), (0.57, 57), (0.999, 99), (1 - 1e-12, 99)]
)
def test_the_terminal_share_is_not_lost_to_rounding(share, count):
    # 0.29 * 100 is 28.999999999999996
    mdp = garnet(100, 1, 2, seed=0, terminal_share=share)
    assert (mdp.initial_distribution == 0).sum() == count


def test_large_models_come_in_pieces_that_differ():
    mdp = garnet(60_000, 4, 5, seed=0)  # more than two pieces of half a million outcomes
    successors, _, _ = rows_of(mdp, 5)
    assert len(np.unique(successors, axis=0)) > 239_990
    assert isinstance(mdp, TabularMDP)


@pytest.mark.parametrize(
    ("sizes", "options", "message"),
    [
        ((0, 1, 1), {}, "at least one state and one action, got 0 and 1"),
        ((5, 0, 1), {}, "at least one state and one action, got 5 and 0"),
        ((5, 2, 6), {}, r"branching in \[1, 5\], the number of states, got 6"),
        ((5, 2, 0), {}, r"branching in \[1, 5\]"),
        ((5, 2, 2), {"reward_sparsity": 1.5}, r"reward_sparsity in \[0, 1\], got 1.5"),
        ((5, 2, 2), {"terminal_share": 1.0}, r"terminal states in \[0, 1\), got 1.0"),
    ],
)
def test_wrong_arguments_are_refused(sizes, options, message):
    with pytest.raises(ValueError, match=message):
        garnet(*sizes, seed=0, **options)
