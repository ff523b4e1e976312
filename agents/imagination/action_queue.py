r"""What a policy of action chunks remembers of its episodes: observations, and a queue.

A chunk of Tp actions is asked for when the last one's first Ta have been executed. With *temporal
ensembling* a chunk is asked for at every step, and all chunks that say something of a step are
averaged,

.. math:: a_t = \sum_i w_i\, \hat a_t^{(i)} \Big/ \sum_i w_i, \qquad w_i = e^{-m i},

with i = 0 the oldest of them: a small m lets new chunks in quickly. Averages smooth motion, and
are of no use between chunks of different minds: half of left and half of right is ahead.

All of it is a value: many environments are played at once, each a row, and what `predict` is given
stays as it is. The first observation of an episode is repeated until there are enough, as in the
windows that are learnt from (see `generative.chunks`), and the first chunk is executed from its
first action.

References:
    T. Z. Zhao, V. Kumar, S. Levine, C. Finn (2023), Learning fine-grained bimanual manipulation
        with low-cost hardware, arXiv:2304.13705, section IV-A, algorithm 2.
    C. Chi et al. (2023), Diffusion policy, arXiv:2303.04137, section 2.3.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

__all__ = ["ActionQueue", "PolicyMemory"]


@dataclass(frozen=True)
class ActionQueue:
    """Planned actions of B environments, the next one first.

    Attributes:
        planned: (B, Tp, A) sums over chunks, by their weights.
        weights: (B, Tp) of these sums.
        num_chunks: (B, Tp) in these sums.
        left: (B,) actions that are to be executed before a chunk is asked for.

    Example:
        >>> queue = ActionQueue.empty(1, 3, 1)
        >>> every = torch.tensor([True])
        >>> queue = queue.with_chunks(every, torch.tensor([[[1.0], [2.0], [3.0]]]), 2)
        >>> action, queue = queue.popped()
        >>> action.tolist(), queue.left.tolist(), queue.popped()[0].tolist()
        ([[1.0]], [1], [[2.0]])
    """

    planned: Float[Tensor, "batch time entries"]
    weights: Float[Tensor, "batch time"]
    num_chunks: Int64[Tensor, "batch time"]
    left: Int64[Tensor, " batch"]

    @classmethod
    def empty(cls, num: int, prediction_horizon: int, num_entries: int) -> ActionQueue:
        """Of environments that nothing is planned for.

        Args:
            num: B.
            prediction_horizon: Tp.
            num_entries: A, of one encoded action.
        """
        return cls(
            torch.zeros(num, prediction_horizon, num_entries),
            torch.zeros(num, prediction_horizon),
            torch.zeros(num, prediction_horizon, dtype=torch.int64),
            torch.zeros(num, dtype=torch.int64),
        )

    def __len__(self) -> int:
        return len(self.left)

    @property
    def is_due(self) -> Bool[Tensor, " batch"]:
        """(B,) who needs a chunk before the next action."""
        return self.left == 0

    def cleared(self, rows: Bool[Tensor, " batch"]) -> ActionQueue:
        """The same with nothing planned for some."""
        kept = ~rows
        return ActionQueue(
            self.planned * kept[:, None, None],
            self.weights * kept[:, None],
            self.num_chunks * kept[:, None],
            self.left * kept,
        )

    def with_chunks(
        self,
        rows: Bool[Tensor, " batch"],
        chunks: Float[Tensor, "some time entries"],
        action_horizon: int,
        ensembling: float | None = None,
    ) -> ActionQueue:
        """The same with chunks, one for each of some environments.

        Args:
            rows: (B,) which.
            chunks: (S, Tp, A) from the present step on.
            action_horizon: Ta, of which so many are executed; 1 with ensembling, whatever it is.
            ensembling: m, by which a chunk is averaged with earlier ones; None takes their place.
        """
        planned, weights = self.planned.clone(), self.weights.clone()
        num_chunks, left = self.num_chunks.clone(), self.left.clone()
        if ensembling is None:
            planned[rows], weights[rows], num_chunks[rows] = chunks, 1.0, 1
            left[rows] = action_horizon
            return ActionQueue(planned, weights, num_chunks, left)
        weight = torch.exp(-ensembling * num_chunks[rows].to(planned.dtype))
        planned[rows] += weight.unsqueeze(2) * chunks
        weights[rows] += weight
        num_chunks[rows] += 1
        left[rows] = 1
        return ActionQueue(planned, weights, num_chunks, left)

    def popped(self) -> tuple[Float[Tensor, "batch entries"], ActionQueue]:
        """(B, A) the next actions, and what is planned after them."""
        action = self.planned[:, 0] / self.weights[:, :1]
        shifted = [
            torch.cat([part[:, 1:], torch.zeros_like(part[:, :1])], dim=1)
            for part in (self.planned, self.weights, self.num_chunks)
        ]
        return action, ActionQueue(shifted[0], shifted[1], shifted[2], self.left - 1)


@dataclass(frozen=True)
class PolicyMemory:
    """What is remembered of B episodes: `GenerativePolicy.predict` takes it and gives the next.

    Attributes:
        observations: (B, To, D) encoded, oldest first.
        queue: Of planned actions.
    """

    observations: Float[Tensor, "batch observed entries"]
    queue: ActionQueue

    @classmethod
    def begun(
        cls,
        seen: Float[Tensor, "batch entries"],
        observation_horizon: int,
        prediction_horizon: int,
        num_entries: int,
    ) -> PolicyMemory:
        """Of episodes that begin with these observations.

        Args:
            seen: (B, D) encoded.
            observation_horizon: To.
            prediction_horizon: Tp.
            num_entries: A, of one encoded action.
        """
        repeated = seen.unsqueeze(1).repeat(1, observation_horizon, 1)
        return cls(repeated, ActionQueue.empty(len(seen), prediction_horizon, num_entries))

    def __len__(self) -> int:
        return len(self.observations)

    def seeing(
        self, seen: Float[Tensor, "batch entries"], starts: Bool[Tensor, " batch"]
    ) -> PolicyMemory:
        """The next one, where some begin an episode with what is seen.

        Args:
            seen: (B, D) encoded.
            starts: (B,) who begins.
        """
        newest = seen.unsqueeze(1)
        shifted = torch.cat([self.observations[:, 1:], newest], dim=1)
        observations = torch.where(starts[:, None, None], newest, shifted)
        return PolicyMemory(observations, self.queue.cleared(starts))

    def with_queue(self, queue: ActionQueue) -> PolicyMemory:
        """The same with other plans."""
        return replace(self, queue=queue)
