r"""Batch normalisation whose statistics for evaluation are set, not collected on the way.

In training a feature is normalised by its mean and variance over the batch and, of maps, over all
places; then scaled and shifted:

.. math:: y = \gamma\, \frac{x - \mu}{\sqrt{v + \epsilon}} + \beta.

PyTorch's own layer also moves running statistics in every forward pass in training. They would
follow the parameters as they were and not, say, their average, and a loss would change the network
that it is the loss of. Here `settle_batch_norms` takes :math:`\mu` and v from one large batch,
under the parameters as they stand; in evaluation that very batch gives what it gave in training.

References:
    S. Ioffe, C. Szegedy (2015), Batch normalization, arXiv:1502.03167, algorithms 1 and 2.
    A. Brock, J. Donahue, K. Simonyan (2019), Large scale GAN training for high fidelity natural
        image synthesis, arXiv:1809.11096, section 3.1 (statistics that are taken anew for
        averaged parameters).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["BatchNorm", "settle_batch_norms"]


class BatchNorm(nn.Module):
    """Normalisation of features by a batch or, in evaluation, by settled statistics.

    Args:
        num_features: F.
        epsilon: Added to variances.

    Attributes:
        mean: (F,) settled; 0 before.
        variance: (F,) settled; 1 before.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, num_features: int, *, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.register_buffer("mean", torch.zeros(num_features))
        self.register_buffer("variance", torch.ones(num_features))
        self.epsilon = epsilon

    def forward(
        self, x: Float[Tensor, "batch features ..."]
    ) -> Float[Tensor, "batch features ..."]:
        """(B, F, ...) normalised.

        Raises:
            ValueError: In training there is a single number of each feature, of which nothing
                would be left.
        """
        if self.training and x.numel() == x.shape[1]:
            raise ValueError(
                "expected more than one number of each feature for batch normalisation in "
                f"training, got one event of shape {tuple(x.shape[1:])}: take batches of at least "
                "2, fewer halvings or, to draw a single sample, eval()"
            )
        mean, variance = (None, None) if self.training else (self.mean, self.variance)
        return functional.batch_norm(
            x,
            mean,
            variance,
            self.weight,
            self.bias,
            training=self.training,
            eps=self.epsilon,
        )


@torch.no_grad()
def settle_batch_norms(network: nn.Module, run: Callable[[], object]) -> None:
    """Set the statistics of all batch normalisations in a network to those of one batch.

    Args:
        network: It is left in the mode that it was in.
        run: Passes the batch through the network.

    Example:
        >>> norm, x = BatchNorm(1), torch.tensor([[1.0], [3.0]])
        >>> settle_batch_norms(norm, lambda: norm(x))
        >>> norm.mean, norm.variance
        (tensor([2.]), tensor([1.]))
    """
    handles = [
        layer.register_forward_pre_hook(_take_statistics)
        for layer in network.modules()
        if isinstance(layer, BatchNorm)
    ]
    was_training = network.training
    network.train()
    try:
        run()
    finally:
        network.train(was_training)
        for handle in handles:
            handle.remove()


def _take_statistics(layer: BatchNorm, inputs: tuple[Any, ...]) -> None:
    (x,) = inputs
    others = [axis for axis in range(x.dim()) if axis != 1]
    layer.mean.copy_(x.mean(dim=others))
    layer.variance.copy_(x.var(dim=others, correction=0))
