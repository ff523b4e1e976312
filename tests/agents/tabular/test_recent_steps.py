"""n-step returns against sums written out."""

import pytest
from gymagine.agents.tabular.recent_steps import forget_steps, keep_step, n_step_returns, no_steps


def due(recent, count):
    return list(
        zip(recent.due_states[:count].tolist(), recent.due_returns[:count].tolist(), strict=True)
    )


@pytest.mark.parametrize("size", [1, 2, 3, 5, 9])
def test_every_return_of_an_episode(size):
    rewards = [1.0, -2.0, 4.0, 0.0, 3.0, 8.0]
    tails = [10.0, 20.0, 30.0, 40.0, 50.0, 0.0]  # value of what follows each step; it terminates
    recent, found = no_steps(size), []
    for t, (reward, tail) in enumerate(zip(rewards, tails, strict=True)):
        keep_step(recent, t, 0, reward)
        found += due(recent, n_step_returns(recent, tail, 0.5, t == len(rewards) - 1))
    expected = []
    for t in range(len(rewards)):
        last = min(t + size, len(rewards))
        total = sum(0.5 ** (k - t) * rewards[k] for k in range(t, last))
        expected.append((t, total + 0.5 ** (last - t) * tails[last - 1]))
    assert found == expected


def test_forgetting():
    recent = no_steps(2)
    keep_step(recent, 7, 0, 1.0)
    forget_steps(recent)
    keep_step(recent, 8, 0, 2.0)
    assert due(recent, n_step_returns(recent, 0.0, 0.5, True)) == [(8, 2.0)]
