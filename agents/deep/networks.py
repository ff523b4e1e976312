r"""Networks for action values of a population.

An encoder turns observations into features; dense layers turn these into action values
:math:`Q(s, a)`, with three switches that do not touch one another:

* *duelling*: two streams, for the value of the state and the advantages of the actions,

  .. math:: Q(s, a) = V(s) + A(s, a) - \frac{1}{|A|} \sum_{a'} A(s, a');

* *categorical*: for each action the logits of a distribution over atoms in place of its mean (with
  duelling, the equation holds for each atom);
* *noisy*: all dense layers after the encoder take noise, which is an argument.

References:
    V. Mnih et al. (2015), Human-level control through deep reinforcement learning, Nature 518.
    Z. Wang et al. (2016), Dueling network architectures for deep reinforcement learning,
        arXiv:1511.06581, equation 9.
    M. G. Bellemare, W. Dabney, R. Munos (2017), A distributional perspective on reinforcement
        learning, arXiv:1707.06887, section 4.
    M. Hessel et al. (2018), Rainbow, arXiv:1710.02298, "The integrated agent".
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from .encoders import Encoder
from .layers import Activation, MemberMLP

__all__ = ["QNetwork"]


class QNetwork(nn.Module):
    """Action values, or distributions over them, of every action.

    Args:
        encoder: Of the observations.
        num_actions: A.
        rngs: M generators, one for each member.
        hidden_sizes: Units of the hidden layers. With ``duelling`` the last of them is each
            stream's own and the others are shared, as in the paper's 512 units after shared
            convolutions; without hidden layers both streams are linear.
        activation: After each hidden layer.
        duelling: Two streams, for the value of the state and the advantages of the actions.
        num_atoms: Atoms of each action's distribution; None for values.
        noisy: All dense layers after the encoder take noise.

    Attributes:
        noise_shapes: (M, n) of each tensor of noise that a forward pass takes; `layer_noise`
            draws them. Empty without ``noisy``.

    Raises:
        ValueError: No action, fewer than two atoms, an unknown activation, or a size below 1.

    Example:
        >>> import gymnasium, torch
        >>> rngs = [np.random.default_rng(seed) for seed in range(10)]
        >>> encoder = Encoder([gymnasium.spaces.Box(-1, 1, (4,))], rngs=rngs)
        >>> network = QNetwork(encoder, 2, rngs=rngs, hidden_sizes=(120, 84))
        >>> network((torch.zeros(10, 32, 4),)).shape
        torch.Size([10, 32, 2])
    """

    def __init__(
        self,
        encoder: Encoder,
        num_actions: int,
        *,
        rngs: Sequence[np.random.Generator],
        hidden_sizes: Sequence[int],
        activation: Activation = "relu",
        duelling: bool = False,
        num_atoms: int | None = None,
        noisy: bool = False,
    ) -> None:
        super().__init__()
        if num_actions < 1:
            raise ValueError(f"expected at least one action, got {num_actions}")
        if num_atoms is not None and num_atoms < 2:
            raise ValueError(f"expected at least two atoms, got {num_atoms}")
        self.encoder = encoder
        self.num_actions, self.num_atoms = num_actions, num_atoms
        outputs = num_atoms or 1
        shared = [encoder.num_features, *(hidden_sizes[:-1] if duelling else hidden_sizes)]
        own = [shared[-1], *(hidden_sizes[-1:] if duelling else [])]

        def dense_layers(sizes: Sequence[int], activate_last: bool) -> MemberMLP:
            return MemberMLP(
                sizes, activation, rngs=rngs, activate_last=activate_last, noisy=noisy
            )

        self.trunk = dense_layers(shared, True)
        self.advantages = dense_layers([*own, num_actions * outputs], False)
        self.value = dense_layers([*own, outputs], False) if duelling else None
        streams = [self.trunk, self.advantages, *([self.value] if self.value else [])]
        self.noise_shapes = tuple(shape for stream in streams for shape in stream.noise_shapes)

    def forward(
        self,
        observation: tuple[Shaped[Tensor, "members batch ..."], ...],
        noise: Sequence[Float[Tensor, "members _"]] | None = None,
    ) -> Float[Tensor, "members batch actions *atoms"]:
        """(M, B, A) values, or (M, B, A, atoms) logits.

        Args:
            observation: The leaves, (M, B, *shape) each.
            noise: Standard normals of the shapes in `noise_shapes`, or None for the mean weights;
                without noisy layers there is nothing to give.
        """
        first, second = (len(x.noise_shapes) for x in (self.trunk, self.advantages))
        noises = (None,) * 3 if not noise else _cut(noise, first, first + second)
        features = self.trunk(self.encoder(observation), noises[0])
        out: Tensor = self.advantages(features, noises[1])
        out = out.reshape(*out.shape[:2], self.num_actions, -1)
        if self.value is not None:
            out = self.value(features, noises[2]).unsqueeze(2) + out - out.mean(2, keepdim=True)
        return out.squeeze(3) if self.num_atoms is None else out


def _cut(noise: Sequence[Tensor], first: int, second: int) -> tuple[Sequence[Tensor], ...]:
    return noise[:first], noise[first:second], noise[second:]
