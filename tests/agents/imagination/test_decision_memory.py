import torch
from gymagine.agents.imagination.decision_memory import DecisionMemory


def test_steps_are_kept_in_order_and_the_oldest_leave():
    """Entries (observation t, action 10 + t), three places, rewards of 1."""
    memory = DecisionMemory.begun(2, 3, 2, target=5.0)
    for t in range(5):
        if t:
            memory = memory.later(torch.ones(2, dtype=torch.float64))
        memory = memory.with_step(torch.full((2, 1), float(t)))
        memory = memory.with_action(torch.full((2, 1), 10.0 + t))
        assert memory.lengths.tolist() == [min(t + 1, 3)] * 2
        assert memory.to_come.tolist() == [5.0 - t] * 2
        assert memory.times.tolist() == [t, t]
    assert memory.context[0].tolist() == [[2, 12], [3, 13], [4, 14]]


def test_some_begin_anew_and_the_given_memory_stays_as_it_is():
    memory = DecisionMemory.begun(2, 3, 2, target=5.0).with_step(torch.ones(2, 2))
    fresh = DecisionMemory.begun(2, 3, 2, target=7.0)
    found = memory.replaced(torch.tensor([False, True]), fresh)
    assert found.lengths.tolist() == [1, 0]
    assert found.to_come.tolist() == [5, 7]
    assert found.context.sum(dim=(1, 2)).tolist() == [2, 0]
    found.with_action(torch.full((2, 1), 9.0))
    assert found.context.sum() == 2
