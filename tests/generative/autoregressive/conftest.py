import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread():
    """A second thread hardly helps a small network, and waits where cores are shared."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
