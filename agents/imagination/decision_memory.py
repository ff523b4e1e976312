"""What a decision transformer remembers of the episodes that it plays."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

__all__ = ["DecisionMemory"]


@dataclass(frozen=True)
class DecisionMemory:
    """What is remembered of B episodes, oldest first; what is not there yet is 0.

    Attributes:
        context: (B, K, 3 + D + A) what the network is given.
        lengths: (B,) steps that there are, the present one included.
        to_come: (B,) returns that are still asked for.
        times: (B,) of the present steps.
    """

    context: Float[Tensor, "batch time entries"]
    lengths: Int64[Tensor, " batch"]
    to_come: Float[Tensor, " batch"]
    times: Int64[Tensor, " batch"]

    def __len__(self) -> int:
        return len(self.lengths)

    @classmethod
    def begun(cls, num: int, length: int, num_entries: int, target: float) -> DecisionMemory:
        """Of B = ``num`` episodes before their first step.

        Args:
            num: B.
            length: K.
            num_entries: Of a step.
            target: The return that is asked for.
        """
        none = torch.zeros(num, dtype=torch.int64)
        to_come = torch.full((num,), target, dtype=torch.float64)
        return cls(torch.zeros(num, length, num_entries), none, to_come, none)

    def later(self, rewards: Float[Tensor, " batch"]) -> DecisionMemory:
        """A step later: rewards are off, and the oldest step makes room where there is none."""
        is_full = self.lengths == self.context.shape[1]
        room = torch.zeros_like(self.context[:, :1])
        shifted = torch.cat([self.context[:, 1:], room], dim=1)
        return DecisionMemory(
            torch.where(is_full[:, None, None], shifted, self.context),
            self.lengths - is_full.long(),
            self.to_come - rewards,
            self.times + 1,
        )

    def with_step(self, step: Float[Tensor, "batch entries"]) -> DecisionMemory:
        """With the first entries of the present step, all but its action."""
        context = self.context.clone()
        context[torch.arange(len(self)), self.lengths, : step.shape[1]] = step
        return replace(self, context=context, lengths=self.lengths + 1)

    def with_action(self, action: Float[Tensor, "batch action"]) -> DecisionMemory:
        """With the present step's action, its last entries."""
        context = self.context.clone()
        context[torch.arange(len(self)), self.lengths - 1, -action.shape[1] :] = action
        return replace(self, context=context)

    def replaced(self, which: Bool[Tensor, " batch"], other: DecisionMemory) -> DecisionMemory:
        """With another's rows where that is true."""
        return DecisionMemory(
            torch.where(which[:, None, None], other.context, self.context),
            torch.where(which, other.lengths, self.lengths),
            torch.where(which, other.to_come, self.to_come),
            torch.where(which, other.times, self.times),
        )
