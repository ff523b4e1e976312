"""Training by several processes that PyTorch's launcher started, each with a share of the events.

``torchrun --nproc-per-node 2 script.py`` starts them; the script joins them to a group
(`launched_group`, or `torch.distributed.init_process_group`) before it calls `fit`. The mean
gradient over the processes' equal shares is that over the whole batch. What no gradient moves is
moved by the whole batch in each process, with the same noise.

``torchrun --nproc-per-node 2 -m gymagine generate FAMILY DATA`` needs no script.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn

__all__ = [
    "average_gradients",
    "average_numbers",
    "check_share",
    "from_first_process",
    "is_first_process",
    "launched_group",
    "num_processes",
    "process_number",
    "share_of",
    "share_state",
]


_LAUNCHED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # what a launcher says


@contextmanager
def launched_group() -> Iterator[None]:
    """Join the processes that PyTorch's launcher started, if it did, and leave them in the end.

    On a machine with a CUDA device for each, processes take one each.
    """
    alone = not all(name in os.environ for name in _LAUNCHED) or os.environ["WORLD_SIZE"] == "1"
    if alone or not dist.is_available() or dist.is_initialized():
        yield
        return
    place, num_here = (int(os.environ.get(name, 0)) for name in ("LOCAL_RANK", "LOCAL_WORLD_SIZE"))
    backend = "gloo"
    if 0 < num_here <= torch.cuda.device_count() and dist.is_nccl_available():
        torch.cuda.set_device(place)
        backend = "cpu:gloo,cuda:nccl"
    dist.init_process_group(backend)
    try:
        yield
    finally:
        dist.destroy_process_group()


def from_first_process(make: Callable[[], str]) -> str:
    """A text that the first process makes, and tells the others."""
    found = [make() if is_first_process() else ""]
    if num_processes() > 1:
        dist.broadcast_object_list(found, src=0)
    return found[0]


def num_processes() -> int:
    """How many train together; 1 without a group."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def process_number() -> int:
    """This one's number, from 0."""
    return dist.get_rank() if num_processes() > 1 else 0


def is_first_process() -> bool:
    """Whether this is the one that writes files and reports."""
    return process_number() == 0


def check_share(batch_size: int) -> None:
    """Make sure that a batch has equal shares.

    Raises:
        ValueError: It has not.
    """
    if batch_size % num_processes():
        raise ValueError(
            f"expected a batch_size that {num_processes()} processes share equally, got "
            f"{batch_size}"
        )


def share_of(indices: NDArray[Any]) -> NDArray[Any]:
    """This process's share of a batch."""
    return indices[process_number() :: num_processes()]


def share_state(module: nn.Module) -> None:
    """Give all processes the first one's parameters and buffers."""
    if num_processes() > 1:
        for tensor in module.state_dict().values():
            dist.broadcast(tensor, src=0)


def average_gradients(parameters: Sequence[nn.Parameter]) -> None:
    """Average the parameters' gradients over the processes, in place."""
    if num_processes() == 1:
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    _average(gradients)


def average_numbers(numbers: Tensor) -> Tensor:
    """The mean over the processes."""
    if num_processes() > 1:
        _average([numbers])
    return numbers


def _average(tensors: Iterable[Tensor]) -> None:
    together = list(tensors)
    flat = torch.cat([tensor.flatten() for tensor in together])
    dist.all_reduce(flat)
    flat /= num_processes()
    for tensor, part in zip(
        together,
        torch.split_with_sizes(flat, [tensor.numel() for tensor in together]),
        strict=True,
    ):
        tensor.copy_(part.view_as(tensor))
