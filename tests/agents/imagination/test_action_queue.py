"""Queues of planned actions, and what is remembered of episodes."""

import numpy as np
import pytest
import torch
from gymagine.agents.imagination.action_queue import ActionQueue, PolicyMemory


def test_ensembling_weighs_as_act_does():
    """Three chunks that say 1, 2 and 4 of a step: (1 + 2 e^-m + 4 e^-2m) / (1 + e^-m + e^-2m)."""
    queue, every, m = ActionQueue.empty(1, 3, 1), torch.tensor([True]), 0.5
    for chunk in ([9.0, 9.0, 1.0], [9.0, 2.0, 0.0], [4.0, 0.0, 0.0]):
        assert queue.is_due.all()
        queue = queue.with_chunks(every, torch.tensor(chunk).view(1, 3, 1), 3, m)
        action, queue = queue.popped()
    weights = np.exp(-m * np.arange(3))
    assert float(action) == pytest.approx((weights * [1, 2, 4]).sum() / weights.sum())


def test_rows_of_a_queue_do_not_meet():
    queue = ActionQueue.empty(2, 2, 1)
    both, second = torch.tensor([True, True]), torch.tensor([False, True])
    queue = queue.with_chunks(both, torch.tensor([[[1.0], [2.0]], [[3.0], [4.0]]]), 2)
    _, queue = queue.popped()
    queue = queue.cleared(second)
    assert queue.is_due.tolist() == [False, True]
    queue = queue.with_chunks(second, torch.tensor([[[5.0], [6.0]]]), 2)
    assert queue.popped()[0].flatten().tolist() == [2.0, 5.0]


def test_the_first_observation_is_repeated_as_in_the_windows():
    memory = PolicyMemory.begun(torch.tensor([[1.0], [2.0]]), 3, 2, 1)
    assert memory.observations.flatten(1).tolist() == [[1, 1, 1], [2, 2, 2]]
    memory = memory.seeing(torch.tensor([[5.0], [7.0]]), torch.tensor([False, True]))
    assert memory.observations.flatten(1).tolist() == [[1, 1, 5], [7, 7, 7]]
