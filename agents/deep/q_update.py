r"""One update of a population's action values, eager or as one compiled graph.

The loss is that of `q_losses`. The members' losses are added, which keeps their gradients apart,
for no parameter belongs to two of them.

Gradients of dense networks are worked out by hand (`dense_gradients`): PyTorch spends most of a
small network's update between its operations, and autograd's tape more than the operations
themselves; measured on 4-120-84-2 with batches of 128, that makes an update about three times
faster. Networks with convolutions leave it to the tape.

`torch.compile` takes the loss, its gradients, the clipping and Adam as one graph.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import functional_call

from ...generative.own_graphs import OwnGraphs
from .adam import AdamState, adam_step, new_adam_state
from .dense_gradients import DenseQNetwork
from .flat_parameters import FlatParameters
from .networks import QNetwork
from .q_losses import (
    QLossSettings,
    UpdateBatch,
    UpdateResult,
    q_loss,
    q_loss_slope,
    quick_slope,
    targets_of,
)

__all__ = ["QUpdate"]

Parameters: TypeAlias = Mapping[str, Tensor]
Noise: TypeAlias = Sequence[Tensor] | None
Noises: TypeAlias = tuple[Noise, Noise, Noise]


class QUpdate:
    """The parameters of a population of networks, and how they are moved.

    Args:
        network: Of all members; its parameters are moved in place.
        settings: Of the loss.
        learning_rates: (M,) each member's own.
        compiled: Whether the whole update is compiled, at the first call.
        by_hand: Whether a dense network's gradients are worked out without autograd.

    Attributes:
        parameters: Of the network, by name: views of one matrix.
        targets: Of the target network, by name.
        adam: The optimiser's state, of that matrix.
    """

    def __init__(
        self,
        network: QNetwork,
        settings: QLossSettings,
        learning_rates: Float[Tensor, " members"],
        *,
        compiled: bool = False,
        by_hand: bool = True,
    ) -> None:
        self._network, self._settings = network, settings
        self._target_network = deepcopy(network).requires_grad_(False)
        self._learning_rates = learning_rates
        self._flat, self._flat_targets = map(FlatParameters, (network, self._target_network))
        self.parameters: Parameters = self._flat.views(self._flat.values)
        self.targets: Parameters = self._flat.views(self._flat_targets.values)
        self.adam: AdamState = new_adam_state([self._flat.values])
        is_dense = not any(True for _ in network.encoder.parameters())
        self._dense = DenseQNetwork(network) if by_hand and is_dense else None
        self._compiled = OwnGraphs(self._graph) if compiled else None

    def __call__(self, batch: UpdateBatch, noises: Noises) -> UpdateResult:
        """Move the parameters by one step.

        Args:
            batch: What to learn from.
            noises: Of the learning network before and after the step, and of the target network;
                None each without noisy layers.
        """
        values, targets = self._flat.values, self._flat_targets.values
        if self._compiled is not None:
            told: UpdateResult = self._compiled(values, targets, batch, noises)
            return told
        if self._dense is not None:
            views = self.parameters, self.targets
            gradients, told = self._by_hand(self._dense, *views, batch, noises)
        else:
            gradients, told = self._by_tape(batch, noises)
        self._move(values, gradients)
        return told

    @torch.no_grad()
    def move_targets(self, share: float) -> None:
        """Move the target network towards the learning one: all the way for a share of 1."""
        if share == 1:
            self._flat_targets.values.copy_(self._flat.values)
        else:
            self._flat_targets.values.lerp_(self._flat.values, share)

    @property
    def values(self) -> Float[Tensor, "members numbers"]:
        """(M, P) the matrix of all parameters."""
        return self._flat.values

    def network_of(self, member: int) -> QNetwork:
        """A member's network on the processor, which what is learnt later does not change."""
        own = deepcopy(self._flat.of_member(member).module).cpu()
        assert isinstance(own, QNetwork)
        return own

    def tensors(self) -> dict[str, Tensor]:
        """Everything that is learnt, by name, with a leading member axis."""
        (means,), (squares,) = self.adam.means, self.adam.squares
        by_kind = {
            "parameters": self.parameters,
            "targets": self.targets,
            "means": self._flat.views(means),
            "squares": self._flat.views(squares),
        }
        found = {
            f"{kind}.{name}": tensor
            for kind, tensors in by_kind.items()
            for name, tensor in tensors.items()
        }
        return found | {"adam.steps": self.adam.steps}

    # ---- gradients ------------------------------------------------------------------------------

    def _by_hand(
        self,
        network: DenseQNetwork,
        parameters: Parameters,
        targets: Parameters,
        batch: UpdateBatch,
        noises: Noises,
    ) -> tuple[Float[Tensor, "members numbers"], UpdateResult]:
        before, after, of_target = noises
        q_t, _ = network.forward(targets, batch.next_observations, of_target)
        selector = q_t
        if self._settings.double:
            selector, _ = network.forward(parameters, batch.next_observations, after)
        q_tm1, passed = network.forward(parameters, batch.observations, before)
        slope, told = self._slope(q_tm1, q_t, selector, batch)
        found = network.backward(passed, slope)
        return torch.cat([found[name].flatten(1) for name in parameters], dim=1), told

    def _slope(
        self, q_tm1: Tensor, q_t: Tensor, selector: Tensor, batch: UpdateBatch
    ) -> tuple[Tensor, UpdateResult]:
        """The derivatives of the loss by the learning network's outputs, and what is told."""
        is_plain = self._settings.atoms is None and q_tm1.device.type == "cpu"
        if is_plain and not torch.compiler.is_compiling():
            huber = self._settings.error_loss == "huber"
            return quick_slope(q_tm1, q_t, selector, batch, huber)
        target = targets_of(q_t, selector, batch, self._settings)
        _, told = q_loss(q_tm1, target, batch, self._settings)
        return q_loss_slope(q_tm1, target, batch, self._settings), told

    def _by_tape(
        self, batch: UpdateBatch, noises: Noises
    ) -> tuple[Float[Tensor, "members numbers"], UpdateResult]:
        before, after, of_target = noises
        with torch.no_grad():
            q_t = self._target_network(batch.next_observations, of_target)
            selector = q_t
            if self._settings.double:
                selector = self._network(batch.next_observations, after)
            target = targets_of(q_t, selector, batch, self._settings)
        q_tm1 = self._network(batch.observations, before)
        losses, told = q_loss(q_tm1, target, batch, self._settings)
        self._flat.write_gradients(losses.sum())
        return self._flat.gradients, told

    def _graph(
        self, values: Tensor, targets: Tensor, batch: UpdateBatch, noises: Noises
    ) -> UpdateResult:
        """The whole update; what it changes, it is given."""
        views = self._flat.views
        if self._dense is not None:
            gradients, told = self._by_hand(
                self._dense, views(values), views(targets), batch, noises
            )
        else:
            # a functional gradient can be traced together with what follows it
            derivative = torch.func.grad(self._functional_loss, has_aux=True)
            gradients, told = derivative(values, targets, batch, noises)
        self._move(values, gradients)
        result: UpdateResult = told
        return result

    def _functional_loss(
        self, values: Tensor, targets: Tensor, batch: UpdateBatch, noises: Noises
    ) -> tuple[Tensor, UpdateResult]:
        def outputs(flat: Tensor, leaves: tuple[Tensor, ...], noise: Noise) -> Tensor:
            out: Tensor = functional_call(self._network, self._flat.views(flat), (leaves, noise))
            return out

        before, after, of_target = noises
        with torch.no_grad():
            q_t = outputs(targets, batch.next_observations, of_target)
            selector = q_t
            if self._settings.double:
                selector = outputs(values, batch.next_observations, after)
            target = targets_of(q_t, selector, batch, self._settings)
        q_tm1 = outputs(values, batch.observations, before)
        losses, told = q_loss(q_tm1, target, batch, self._settings)
        return losses.sum(), told

    def _move(self, values: Tensor, gradients: Tensor) -> None:
        settings = self._settings
        adam_step(
            [values],
            [gradients],
            self.adam,
            self._learning_rates,
            epsilon=settings.adam_epsilon,
            max_norm=settings.max_grad_norm,
        )
