r"""Coupling layers: one part of the entries decides how the other is moved.

.. math:: z_1 = x_1, \qquad z_2 = g\big(x_2;\, \theta(x_1, c)\big) ,

with g increasing in each entry and :math:`\theta` any network. The Jacobian is triangular, and the
inverse needs :math:`\theta` at the same place: :math:`x_2 = g^{-1}(z_2; \theta(z_1, c))`. In
Durkan's variant the first part passes through g as well, with parameters of its own that depend on
nothing.

Which entries are the first part alternates: layers come in pairs that move one half each, and each
pair has its own halves. Those of vectors are every second entry, then halves drawn at random.
Those of pictures are a checkerboard, then alternating rows, then columns: the latter two are
halves of the channels that space-to-depth makes of blocks of 2 x 2.

References:
    L. Dinh, D. Krueger, Y. Bengio (2014), NICE, arXiv:1410.8516, section 3.2.
    L. Dinh, J. Sohl-Dickstein, S. Bengio (2016), Density estimation using Real NVP,
        arXiv:1605.08803, equations 4 to 8 and section 3.4 (the parts of pictures).
    C. Durkan, A. Bekasov, I. Murray, G. Papamakarios (2019), Neural spline flows,
        arXiv:1906.04032 (the first part is moved too).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..networks.mlp import MLP, Activation
from .elementwise import AbstractElementwise
from .transform import AbstractTransform, Permutation

__all__ = ["AlternatingCouplings", "Coupling", "coupling_layers", "halves"]

_FIRST_WEIGHTS = 0.1  # of the networks' last layers: the start is near the identity


class Coupling(nn.Module):
    """Moves some entries by a function whose parameters depend on others.

    Args:
        num_given: Entries that decide.
        num_moved: Entries that are moved.
        elementwise: How entries are moved.
        moves_all: Whether those that decide are moved too, by functions of their own.
        num_context: C, numbers of the context, which helps to decide.
        hidden_sizes: Of the network.
        activation: Of the network.

    Raises:
        ValueError: There is nothing to move, or nothing that it could depend on.
    """

    def __init__(
        self,
        num_given: int,
        num_moved: int,
        elementwise: AbstractElementwise,
        *,
        moves_all: bool = False,
        num_context: int = 0,
        hidden_sizes: Sequence[int] = (64, 64),
        activation: Activation = "relu",
    ) -> None:
        super().__init__()
        if num_moved < 1 or num_given + num_context < 1:
            raise ValueError(
                f"expected entries to move, and others or a context that they depend on, got "
                f"{num_moved} entries, {num_given} others and {num_context} numbers of context"
            )
        self.elementwise = elementwise
        self._sizes = [num_given, num_moved]
        self.network = MLP(
            num_given,
            num_moved * elementwise.num_parameters,
            hidden_sizes=hidden_sizes,
            num_context=num_context,
            activation=activation,
            output_scale=_FIRST_WEIGHTS,
        )
        self.own_parameters: nn.Parameter | None = None
        if moves_all and num_given:
            self.own_parameters = nn.Parameter(torch.zeros(num_given, elementwise.num_parameters))

    def forward(
        self,
        given: Float[Tensor, "batch given"],
        moved: Float[Tensor, "batch moved"],
        context: Float[Tensor, "batch context"] | None,
    ) -> tuple[
        Float[Tensor, "batch given"], Float[Tensor, "batch moved"], Float[Tensor, "batch slopes"]
    ]:
        """(B, G) and (B, M) both parts afterwards, and logarithms of the slopes of what moved."""
        theta = self._theta(given, context)
        if self.own_parameters is None:
            moved, log_slopes = self.elementwise(moved, theta)
            return given, moved, log_slopes
        # one call for both parts takes little longer than one for either
        both = torch.cat([self.own_parameters.expand(len(given), -1, -1), theta], dim=1)
        z, log_slopes = self.elementwise(torch.cat([given, moved], dim=1), both)
        given, moved = z.split_with_sizes(self._sizes, dim=1)
        return given, moved, log_slopes

    def inverse(
        self,
        given: Float[Tensor, "batch given"],
        moved: Float[Tensor, "batch moved"],
        context: Float[Tensor, "batch context"] | None,
    ) -> tuple[
        Float[Tensor, "batch given"], Float[Tensor, "batch moved"], Float[Tensor, "batch slopes"]
    ]:
        """(B, G) and (B, M) both parts before, and logarithms of the inverse's slopes."""
        log_slopes = []
        if self.own_parameters is not None:
            own = self.own_parameters.expand(len(given), -1, -1)
            given, more = self.elementwise.inverse(given, own)
            log_slopes.append(more)
        moved, more = self.elementwise.inverse(moved, self._theta(given, context))
        return given, moved, torch.cat([*log_slopes, more], dim=1)

    def _theta(self, given: Tensor, context: Tensor | None) -> Tensor:
        """(B, M, P) parameters of the entries that are moved."""
        theta: Tensor = self.network(given, context)
        return theta.view(len(theta), self._sizes[1], self.elementwise.num_parameters)


class AlternatingCouplings(AbstractTransform):
    """Couplings that move the last part given the first, the first given the last, and so on.

    Args:
        num_first: Entries of the first part; the last part are all others.
        couplings: The first one moves the last part.

    Example:
        >>> from gymagine.generative.flows.elementwise import Additive
        >>> couplings = AlternatingCouplings(1, [Coupling(1, 2, Additive())])
        >>> z, log_det = couplings(torch.tensor([[1.0, 2.0, 3.0]]), None)
        >>> bool(z[0, 0] == 1), log_det
        (True, tensor([0.]))
    """

    def __init__(self, num_first: int, couplings: Sequence[Coupling]) -> None:
        super().__init__()
        self._num_first = num_first
        self.couplings = nn.ModuleList(couplings)

    def forward(
        self, x: Float[Tensor, "batch entries"], context: Float[Tensor, "batch context"] | None
    ) -> tuple[Float[Tensor, "batch entries"], Float[Tensor, " batch"]]:
        """Through all of them."""
        first, last = self._split(x)
        log_slopes = []
        for i, coupling in enumerate(self.couplings):
            if i % 2:
                last, first, more = coupling(last, first, context)
            else:
                first, last, more = coupling(first, last, context)
            log_slopes.append(more)
        return torch.cat([first, last], dim=1), torch.cat(log_slopes, dim=1).sum(dim=1)

    def inverse(
        self, z: Float[Tensor, "batch entries"], context: Float[Tensor, "batch context"] | None
    ) -> tuple[Float[Tensor, "batch entries"], Float[Tensor, " batch"]]:
        """Back through all of them."""
        first, last = self._split(z)
        log_slopes = []
        for i, coupling in reversed(list(enumerate(self.couplings))):
            assert isinstance(coupling, Coupling)
            if i % 2:
                last, first, more = coupling.inverse(last, first, context)
            else:
                first, last, more = coupling.inverse(first, last, context)
            log_slopes.append(more)
        return torch.cat([first, last], dim=1), torch.cat(log_slopes, dim=1).sum(dim=1)

    def _split(self, x: Tensor) -> tuple[Tensor, ...]:
        return x.split_with_sizes([self._num_first, x.shape[1] - self._num_first], dim=1)


def coupling_layers(
    event_shape: Sequence[int], num_couplings: int, make: Callable[[int, int], Coupling]
) -> list[AbstractTransform]:
    """Couplings whose halves alternate, with permutations where the halves change.

    Args:
        event_shape: Of a vector or a picture.
        num_couplings: How many.
        make: A coupling from how many entries are given, and how many are moved. Those of a single
            entry, which only a context can move, are given none.
    """
    num_entries = math.prod(event_shape)
    if num_entries == 1:
        return [AlternatingCouplings(0, [make(0, 1)]) for _ in range(num_couplings)]
    layers: list[AbstractTransform] = []
    current = list(range(num_entries))
    together = num_couplings if num_entries == 2 else 2  # two entries have no other halves
    for start in range(0, num_couplings, together):
        is_first = halves(event_shape, start // 2)
        first, last = (part.nonzero()[:, 0].tolist() for part in (is_first, ~is_first))
        if num_entries > 2:
            place = {entry: at for at, entry in enumerate(current)}
            layers.append(Permutation([place[entry] for entry in first + last]))
            current = first + last
        sizes = [(len(first), len(last)), (len(last), len(first))]
        number = min(together, num_couplings - start)
        couplings = [make(*sizes[i % 2]) for i in range(number)]
        layers.append(AlternatingCouplings(len(first), couplings))
    return layers


def halves(event_shape: Sequence[int], pair: int) -> Tensor:
    """(D,) which entries of a flattened event are the first part, in a pair of layers.

    Args:
        event_shape: (D,) of a vector or (C, H, W) of a picture.
        pair: Which pair of layers, counted from 0.

    Example:
        >>> halves((1, 2, 4), 0).int().view(2, 4)
        tensor([[1, 0, 1, 0],
                [0, 1, 0, 1]], dtype=torch.int32)
    """
    num_entries = math.prod(event_shape)
    by_turns = torch.arange(num_entries) % 2 == 0
    if len(event_shape) != 3:
        if pair == 0 or num_entries == 2:
            return by_turns
        return by_turns[torch.randperm(num_entries)]
    row, column = torch.meshgrid(*map(torch.arange, event_shape[1:]), indexing="ij")
    patterns = [(row + column) % 2 == 0, row % 2 == 0, column % 2 == 0]
    usable = [pattern for pattern in patterns if not pattern.all()]
    if not usable:
        return by_turns
    return usable[pair % len(usable)].expand(event_shape[0], -1, -1).flatten()
