"""What learning changes in PyTorch is put back."""

import pytest
import torch
from gymagine.agents.deep.arithmetic import learning_arithmetic


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
