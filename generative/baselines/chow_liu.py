r"""The tree of Chow and Liu: the best model in which every entry depends on one other.

Among all distributions that factorise over a tree with directed edges,

.. math:: p(x) = p(x_r) \prod_{d \ne r} p(x_d \mid x_{\pi(d)}),

the likelihood of the data is greatest for the tree whose edges have the greatest sum of mutual
informations,

.. math:: I_{ij} = \sum_{k,l} \hat p_{ij}(k, l)
    \log \frac{\hat p_{ij}(k, l)}{\hat p_i(k)\, \hat p_j(l)},

a maximum spanning tree, and for the conditionals that the data have. Which entry is the root makes
no difference. :math:`\hat p` are the frequencies of the N events and of :math:`\alpha K^2` more
that are spread evenly over all possible ones, so that each pair of values counts for
:math:`\alpha` events more and none is impossible. The theorem holds for this smoothed data set as
it does for any; at 0 the likelihood of the data themselves is the greatest.

References:
    C. K. Chow, C. N. Liu (1968), Approximating discrete probability distributions with dependence
        trees, IEEE Transactions on Information Theory 14(3), equations 7 to 9.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import torch
from jaxtyping import Float64, Int64, Shaped
from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree
from torch import Tensor, nn
from torch.distributions import constraints
from torch.nn import functional

from ..conditionals import CategoricalConditional
from ..generator import AbstractDensity
from .finite_entries import events_of, levels_of, num_levels_of, smoothed_frequencies

__all__ = ["ChowLiu", "mutual_informations", "pair_frequencies"]

_MOST_CELLS = 4_096  # entries times levels: their square is held in memory
_COUNTED_TOGETHER = 4_096  # events


class ChowLiu(AbstractDensity):
    """A tree of entries with finitely many values. The temperature divides their logits.

    Args:
        event_shape: Of one event.
        support: ``boolean`` or ``integer_interval(0, K - 1)``.

    Attributes:
        parents: (D,) of each entry; -1 of the root.
        order: (D,) entries, parents first.

    Raises:
        ValueError: Entries of this support have no finite set of values.

    Example:
        >>> x = torch.tensor([[0.0, 0.0, 1.0], [1.0, 1.0, 1.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
        >>> tree = ChowLiu.fitted(x, smoothing=0.0)
        >>> tree.parents[1].item(), tree.log_prob(x[:1]).exp()
        (0, tensor([0.2500], grad_fn=<ExpBackward0>))
    """

    parents: Tensor
    order: Tensor

    def __init__(
        self,
        event_shape: Sequence[int],
        support: constraints.Constraint = constraints.boolean,
    ) -> None:
        super().__init__(event_shape, support=support)
        num_levels = num_levels_of(support)
        if num_levels is None:
            raise ValueError(f"expected a support of finitely many values, got {support}")
        self.num_levels = num_levels
        size = self.num_entries
        self.register_buffer("parents", torch.arange(size) - 1)
        self.register_buffer("order", torch.arange(size))
        self.logits = nn.Parameter(torch.zeros(size, num_levels, num_levels))

    @classmethod
    def fitted(
        cls,
        x: Shaped[Tensor, "batch ..."],
        support: constraints.Constraint = constraints.boolean,
        *,
        smoothing: float = 0.5,
    ) -> Self:
        """The tree that makes events most probable.

        Args:
            x: (N, *event) events.
            support: Where they lie: ``boolean`` or ``integer_interval(0, K - 1)``.
            smoothing: Events more that every pair of values of two entries counts for.

        Raises:
            ValueError: An event is outside the support, there are none, or too many pairs of
                entries and values.
        """
        tree = cls(x.shape[1:], support)
        num_cells = tree.num_entries * tree.num_levels
        if not len(x) or num_cells > _MOST_CELLS:
            raise ValueError(
                f"expected events of at most {_MOST_CELLS} entries times values, got {len(x)} "
                f"events of {tree.num_entries} entries with {tree.num_levels} values"
            )
        levels = levels_of(x, tree.num_levels).cpu()
        joint = pair_frequencies(levels, tree.num_levels, smoothing)
        tree.order, tree.parents = _tree(mutual_informations(joint))
        entries = torch.arange(tree.num_entries)
        # (D, K, K): of parent's and own values; the root's parent is any, and marginalised out
        tables = joint[tree.parents.clamp(min=0), :, entries, :]
        is_root = tree.parents < 0
        tables[is_root] = tables[is_root].sum(dim=1, keepdim=True).expand(-1, tree.num_levels, -1)
        # a parent's value that never occurs says nothing: all values are equally likely then
        tables[tables.sum(dim=2) == 0] = 1.0
        with torch.no_grad():
            tree.logits.copy_((tables / tables.sum(dim=2, keepdim=True)).log())
        return tree.eval()

    def _log_prob(self, x: Tensor, context: Tensor | None) -> Tensor:
        levels = x.flatten(1).to(torch.int64)
        given = torch.where(self.parents < 0, 0, levels[:, self.parents.clamp(min=0)])
        entries = torch.arange(self.num_entries, device=x.device)
        return self.logits.log_softmax(dim=2)[entries, given, levels].sum(dim=1)

    def _loss(self, x: Tensor, context: Tensor | None, rng: torch.Generator | None) -> Tensor:
        return -self._log_prob(x, context)

    def _sample(
        self,
        num: int,
        context: Tensor | None,
        temperature: float,
        rng: torch.Generator | None,
    ) -> Tensor:
        conditional = CategoricalConditional(self.num_levels)
        parents = self.parents.tolist()
        levels = self.order.new_zeros(num, self.num_entries)
        for entry in self.order.tolist():
            parent = parents[entry]
            given = levels[:, parent] if parent >= 0 else levels.new_zeros(num)
            logits = self.logits[entry, given]
            levels[:, entry] = conditional.sample(logits, temperature, rng)
        return events_of(levels, self.event_shape, self.support, self.logits.dtype)


def pair_frequencies(
    levels: Int64[Tensor, "batch entries"], num_levels: int, smoothing: float
) -> Float64[Tensor, "entries levels entries levels"]:
    """(D, K, D, K) smoothed shares of events with values k and l of entries i and j.

    Those of an entry with itself are of no use.
    """
    num, size = levels.shape
    counts = levels.new_zeros(size * num_levels, size * num_levels, dtype=torch.float64)
    for start in range(0, num, _COUNTED_TOGETHER):
        part = functional.one_hot(levels[start : start + _COUNTED_TOGETHER], num_levels)
        rows = part.flatten(1).float()  # exact: fewer than 2^24 events at a time
        counts += rows.T @ rows
    cells = counts.view(size, num_levels, size, num_levels)
    return smoothed_frequencies(cells, num, num_levels**2, smoothing)


def mutual_informations(
    joint: Float64[Tensor, "entries levels entries levels"],
) -> Float64[Tensor, "entries entries"]:
    """(D, D) in nats, of the shares that `pair_frequencies` gives; 0 on the diagonal."""
    first, second = joint.sum(dim=3), joint.sum(dim=1)  # (D, K, D) and (D, D, K)
    together = torch.special.xlogy(joint, joint).sum(dim=(1, 3))
    apart = torch.special.xlogy(first, first).sum(dim=1)
    apart = apart + torch.special.xlogy(second, second).sum(dim=2)
    information: Tensor = together - apart
    return information.clamp(min=0).fill_diagonal_(0)


def _tree(information: Tensor) -> tuple[Tensor, Tensor]:
    """(D,) entries with parents first, and (D,) parents, of a maximum spanning tree."""
    # scipy takes a 0 for no edge, so that all weights must be above
    lengths = information.max() + 1 - information
    tree = minimum_spanning_tree(lengths.numpy())
    order, parents = breadth_first_order(tree, 0, directed=False)
    visited, above = (torch.from_numpy(array.astype("int64")) for array in (order, parents))
    return visited, above.clamp(min=-1)
