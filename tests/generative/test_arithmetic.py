"""What learning changes in PyTorch is put back."""

import numpy as np
import pytest
import torch
from gymagine.agents.deep.a2c import A2C
from gymagine.agents.deep.dqn import DQN
from gymagine.agents.deep.reinforce import REINFORCE
from gymagine.generative.arithmetic import learning_arithmetic


def test_threads_and_denormal_numbers():
    before, tiny = torch.get_num_threads(), torch.tensor(1e-38)
    assert tiny * 0.01 > 0
    with pytest.raises(RuntimeError), learning_arithmetic(1):
        assert torch.get_num_threads() == 1
        assert tiny * 0.01 == 0
        with learning_arithmetic(None):
            assert torch.get_num_threads() == 1
        assert tiny * 0.01 == 0
        raise RuntimeError
    assert torch.get_num_threads() == before
    assert tiny * 0.01 > 0


@pytest.mark.parametrize("agent", [DQN, A2C, REINFORCE], ids=lambda agent: agent.name)
def test_what_the_caller_has_set_makes_no_difference(agent, without_shape_checks):
    settings = {"hidden_sizes": (8,), "num_envs": 1}
    if agent is DQN:
        settings |= {"buffer_size": 100, "learning_starts": 10, "rainbow": True}

    def learnt():
        made = agent("CartPole-v1", seed=0, **settings).learn(60)
        return [part.copy() for part in made.learners.arrays().values()]

    expected = learnt()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.no_grad():
            found = learnt()
    finally:
        torch.set_default_dtype(torch.float32)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
