"""From a network's actions to those that an environment takes."""

from __future__ import annotations

from typing import Any

import gymnasium
from gymnasium import spaces
from jaxtyping import Num
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["environment_actions"]


def environment_actions(
    actions: Num[Tensor, "members batch *numbers"], space: gymnasium.Space[Any]
) -> Num[NDArray[Any], "members batch *shape"]:
    """Actions in the shape, dtype and range of their space.

    Args:
        actions: (M, B) for Discrete, (M, B, K) for MultiDiscrete and MultiBinary, counted from 0;
            (M, B, D) for a Box, the space's own shape flattened. Numbers beyond a Box's bounds are
            clipped here, and only here: a policy's probabilities are of what it drew.
        space: Of one action.

    Returns:
        (M, B, *shape) on the CPU.

    Raises:
        ValueError: A space of another kind.

    Example:
        >>> import torch
        >>> environment_actions(torch.tensor([[0, 2]]), spaces.Discrete(3, start=-1))
        array([[-1,  1]])
    """
    values: NDArray[Any] = actions.detach().cpu().numpy()
    if not isinstance(
        space, spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary | spaces.Box
    ):
        raise ValueError(
            "expected Discrete, MultiDiscrete, MultiBinary or Box as the action space, got "
            f"{space}"
        )
    shape = (*values.shape[:2], *(space.shape or ()))
    own: NDArray[Any] = values.reshape(shape).astype(space.dtype)
    if isinstance(space, spaces.Box):
        return own.clip(space.low, space.high)
    return own if isinstance(space, spaces.MultiBinary) else own + space.start
