r"""A code book: vectors, the nearest of which stands for whatever an encoder gives.

Code k of K is a vector :math:`e_k` of d numbers. A vector z is replaced by the nearest code, which
no gradient passes; it is passed on as if nothing had happened (straight through),

.. math:: z_q = z + \operatorname{sg}[e_{k(z)} - z], \qquad
    k(z) = \operatorname{argmin}_k \| z - e_k \| .

Codes follow the vectors that they stand for, as centres of clusters do in k-means by small
batches: with :math:`n_k` of a batch's vectors nearest to code k, and :math:`s_k` their sum,

.. math:: N_k \leftarrow \gamma N_k + (1 - \gamma) n_k, \qquad
    m_k \leftarrow \gamma m_k + (1 - \gamma) s_k, \qquad
    e_k = m_k / \hat N_k, \qquad
    \hat N_k = \frac{N_k + \varepsilon}{N + K \varepsilon} N, \quad N = \sum_k N_k ,

where epsilon keeps the quotient finite. A code that has hardly been used is put on one of the
batch's vectors, drawn at random: else codes that start far from all vectors are lost for good.

References:
    A. van den Oord, O. Vinyals, K. Kavukcuoglu (2017), Neural discrete representation learning,
        arXiv:1711.00937, equations 1, 2 and appendix A.1.
    D. Arthur, S. Vassilvitskii (2007), k-means++: the advantages of careful seeding, SODA,
        section 2.2 (where codes start).
    A. Lancucki et al. (2020), Robust training of vector quantized bottleneck models,
        arXiv:2005.08520 (codes that are used again).
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from ..parallel_training import average_numbers, num_processes, share_state

__all__ = ["Codebook", "followed", "nearest_codes", "spread_choice", "straight_through"]

_EPSILON = 1e-5


def nearest_codes(
    z: Float[Tensor, "vectors size"], codes: Float[Tensor, "codes size"]
) -> Int64[Tensor, " vectors"]:
    """(N,) which of (K, d) codes is nearest to each of (N, d) vectors.

    Example:
        >>> nearest_codes(torch.tensor([[0.2], [0.9]]), torch.tensor([[0.0], [1.0]]))
        tensor([0, 1])
    """
    # |z|^2 is the same for all codes; the product is many times faster than the differences
    return ((codes**2).sum(dim=1) - 2 * z @ codes.T).argmin(dim=1)


def straight_through(
    z: Float[Tensor, "batch ..."], codes: Float[Tensor, "batch ..."]
) -> Float[Tensor, "batch ..."]:
    """(B, ...) the codes, with the gradient of the vectors that they stand for."""
    return z + (codes - z).detach()


def followed(
    counts: Float[Tensor, " codes"],
    sums: Float[Tensor, "codes size"],
    new_counts: Float[Tensor, " codes"],
    new_sums: Float[Tensor, "codes size"],
    decay: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Codes after a batch.

    Args:
        counts: (K,) running numbers of vectors.
        sums: (K, d) of these vectors.
        new_counts: (K,) of the batch's.
        new_sums: (K, d) of the batch's.
        decay: Gamma.

    Returns:
        (K,) counts, (K, d) sums and (K, d) codes.
    """
    counts = decay * counts + (1 - decay) * new_counts
    sums = decay * sums + (1 - decay) * new_sums
    total = counts.sum()
    smoothed = (counts + _EPSILON) / (total + len(counts) * _EPSILON) * total
    return counts, sums, sums / smoothed.unsqueeze(1)


def spread_choice(
    z: Float[Tensor, "vectors size"], num: int, rng: torch.Generator | None
) -> Int64[Tensor, " codes"]:
    """(K,) which of (N, d) vectors to start from, as k-means++ chooses them.

    Each is drawn with probabilities in proportion to the squared distances from those chosen
    before, so that none is drawn twice before all different vectors were.
    """
    chosen = [torch.randint(len(z), (), generator=rng, device=z.device)]
    distances = torch.full_like(z[:, 0], torch.inf)
    for _ in range(num - 1):
        distances = torch.minimum(distances, ((z - z[chosen[-1]]) ** 2).sum(dim=1))
        weights = distances if bool(distances.any()) else torch.ones_like(distances)
        chosen.append(torch.multinomial(weights, 1, generator=rng).squeeze(0))
    return torch.stack(chosen)


class Codebook(nn.Module):
    """Codes that follow vectors. They are buffers: no gradient moves them.

    Args:
        num_codes: K.
        size: d, numbers of a code.
        decay: Gamma.
        dead_share: A code is put elsewhere when its running count falls below this share of the
            mean count.

    Attributes:
        codes: (K, d).
        counts: (K,) running numbers of vectors.
        sums: (K, d) of these vectors.
    """

    codes: Tensor
    counts: Tensor
    sums: Tensor

    def __init__(self, num_codes: int, size: int, *, decay: float, dead_share: float) -> None:
        super().__init__()
        self._decay, self._dead_share = decay, dead_share
        codes = torch.randn(num_codes, size)
        self.register_buffer("codes", codes)
        self.register_buffer("counts", torch.ones(num_codes))
        self.register_buffer("sums", codes.clone())

    def forward(self, z: Float[Tensor, "vectors size"]) -> Int64[Tensor, " vectors"]:
        """(N,) which code is nearest to each of (N, d) vectors."""
        return nearest_codes(z, self.codes)

    def start_from(self, z: Float[Tensor, "vectors size"], rng: torch.Generator | None) -> None:
        """Put the codes on vectors drawn from (N, d), far ones rather than near ones."""
        self.codes.copy_(z[spread_choice(z, len(self.codes), rng)])
        self.counts.fill_(len(z) * num_processes() / len(self.codes))
        self.sums.copy_(self.codes * self.counts.unsqueeze(1))
        share_state(self)

    def follow(self, z: Float[Tensor, "vectors size"], rng: torch.Generator | None) -> None:
        """Move the codes towards a batch's (N, d) vectors, and put unused ones elsewhere."""
        indices = self(z)
        own = functional.one_hot(indices, len(self.codes)).to(z.dtype)
        new = torch.cat([own.sum(dim=0).unsqueeze(1), own.T @ z], dim=1)
        new = average_numbers(new) * num_processes()
        counts, sums, codes = followed(self.counts, self.sums, new[:, 0], new[:, 1:], self._decay)
        mean = counts.mean()
        is_dead = counts < self._dead_share * mean
        drawn = z[torch.randint(len(z), (len(codes),), generator=rng, device=z.device)]
        codes = torch.where(is_dead.unsqueeze(1), drawn, codes)
        counts = torch.where(is_dead, mean, counts)
        self.codes.copy_(codes)
        self.counts.copy_(counts)
        self.sums.copy_(torch.where(is_dead.unsqueeze(1), drawn * mean, sums))
        share_state(self)  # each process has drawn from its own share of the batch
