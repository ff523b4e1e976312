"""A second device for machines that have none: what is there cannot be mixed with what is here.

Tensors on it say that they are on PyTorch's ``meta`` device but have numbers. An operation on
tensors of both devices fails, as it does with an accelerator, and so does turning one into an
array before it was fetched.
"""

from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

__all__ = ["OTHER", "other_device"]

OTHER = "meta"


class There(Tensor):
    """A tensor on the other device."""

    @staticmethod
    def __new__(cls, here):
        return Tensor._make_wrapper_subclass(
            cls,
            here.size(),
            strides=here.stride(),
            storage_offset=here.storage_offset(),
            dtype=here.dtype,
            device=torch.device(OTHER),
        )

    def __init__(self, here):
        self.here = here

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        return _run(function, args, kwargs or {})

    @property
    def data(self):
        return There(self.here)

    @data.setter
    def data(self, other):
        self.here = other.here

    def new_tensor(self, numbers):  # PyTorch's own goes past the dispatcher
        return torch.tensor(numbers, dtype=self.dtype).to(OTHER)

    def __deepcopy__(self, memo):
        copied = There(self.here.clone())
        is_parameter = getattr(self, "_is_param", False)
        return nn.Parameter(copied, self.requires_grad) if is_parameter else copied


class _Dispatch(TorchDispatchMode):
    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        return _run(function, args, kwargs or {})


@contextmanager
def other_device():
    """There is one."""
    before = torch.__future__.get_swap_module_params_on_conversion()
    torch.__future__.set_swap_module_params_on_conversion(True)
    try:
        with _Dispatch():
            yield
    finally:
        torch.__future__.set_swap_module_params_on_conversion(before)


def _run(function, args, kwargs):
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    there = [tensor for tensor in tensors if isinstance(tensor, There)]
    here = [tensor for tensor in tensors if not isinstance(tensor, There)]
    own_args, own_kwargs = tree_map_only(There, lambda tensor: tensor.here, (args, kwargs))
    device = kwargs.get("device")
    if device is not None:  # it makes a tensor, or moves one
        goes_there = torch.device(device).type == OTHER
        out = function(*own_args, **{**own_kwargs, "device": torch.device("cpu")})
        return tree_map_only(Tensor, There, out) if goes_there else out
    # numbers without axes go with everything, and copying is how one fetches
    if there and any(tensor.dim() for tensor in here) and function is not _COPY:
        raise RuntimeError(f"{function}: expected all tensors on one device, got two")
    out = function(*own_args, **own_kwargs)
    if not there or out is None:
        return out
    if "out" in kwargs:
        return kwargs["out"]
    is_in_place = function.__name__.partition(".")[0].endswith("_")
    return args[0] if is_in_place else tree_map_only(Tensor, There, out)


_COPY = torch.ops.aten.copy_.default
