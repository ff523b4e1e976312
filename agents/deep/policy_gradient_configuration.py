"""The hyper-parameters of policy-gradient agents, each declared and documented once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from ...configuration import check_fields
from ...generative.devices import check_device
from ...schedules import Schedule
from .configuration import ActionMasks
from .layers import Activation
from .policy_gradient_update import Optimiser

__all__ = ["A2CConfig", "AverageOver", "REINFORCEConfig"]

AverageOver = Literal["episodes", "steps"]

_RANGES = {
    "discount": (0.0, 1.0, True),
    "learning_rate": (0.0, math.inf, True),
    "optimiser_epsilon": (0.0, math.inf, False),
    "max_grad_norm": (0.0, math.inf, False),
    "n_steps": (1, math.inf, True),
    "gae_lambda": (0.0, 1.0, True),
    "reward_scale": (0.0, math.inf, False),
    "value_weight": (0.0, math.inf, True),
    "entropy_weight": (0.0, math.inf, True),
    "episodes_per_update": (1, math.inf, True),
    "hidden_sizes": (1, math.inf, True),
    "num_envs": (1, math.inf, True),
    "num_threads": (1, math.inf, True),
}
_CHOICES = {
    "optimiser": get_args(Optimiser),
    "activation": get_args(Activation),
    "action_masks": get_args(ActionMasks),
    "average_over": get_args(AverageOver),
}


@dataclass(frozen=True)
class A2CConfig:
    """Hyper-parameters of the advantage actor-critic.

    The defaults are Stable-Baselines3's, and the number of environments that of its benchmarks.

    Raises:
        ValueError: A value is out of range or of another kind; the message names the field.
    """

    num_envs: int = 8
    """Copies of the environment that step together; a vector environment brings its own number."""
    n_steps: int = 5
    """Steps of each copy between updates."""
    discount: float = 0.99
    """Weight of the next step's return, in [0, 1]."""
    gae_lambda: float = 1.0
    """Lambda of the advantages, in [0, 1]: 0 trusts the values, 1 the rewards of the roll-out."""
    reward_scale: float = 1.0
    """Rewards are multiplied by it before anything is learnt from them: state values, too, are of
    the scaled ones. Networks are slow to learn values in the hundreds."""
    learning_rate: float | Schedule = 7e-4
    """Of the optimiser."""
    optimiser: Optimiser = "rmsprop"
    """RMSprop as PyTorch or (``rmsprop-tf``) TensorFlow has it, or Adam."""
    optimiser_epsilon: float = 1e-5
    """Of the optimiser."""
    max_grad_norm: float | None = 0.5
    """To which gradients are clipped; None does not clip."""
    value_weight: float = 0.5
    """Of the value loss."""
    entropy_weight: float = 0.0
    """Of the policy's entropy, which keeps it exploring."""
    normalise_advantages: bool = False
    """Shift and scale the advantages of an update to mean 0 and standard deviation 1."""
    hidden_sizes: tuple[int, ...] = (64, 64)
    """Units of the hidden layers, of the policy and of the value each."""
    activation: Activation = "tanh"
    """After each hidden layer."""
    squash: bool = False
    """Keep a Box's actions between its bounds by tanh; else what is drawn is clipped."""
    state_dependent_sigma: bool = False
    """A Box's standard deviations depend on the observation."""
    initial_log_sigma: float = 0.0
    """Where the logarithm of a Box's standard deviations starts."""
    action_masks: ActionMasks = "auto"
    """Whether ``info["action_mask"]`` forbids actions: where the first one has it, or never."""
    num_threads: int | None = 1
    """Threads of torch while it learns; None leaves them (see `DQNConfig`)."""
    device: str = "auto"
    """Where networks live (see `DQNConfig`)."""
    compile: bool = False
    """Compile the update into one graph, which takes half a minute at first. Small dense networks
    are as fast without."""

    def __post_init__(self) -> None:
        check_fields(self, _RANGES, _CHOICES)
        check_device(self.device)


@dataclass(frozen=True)
class REINFORCEConfig:
    """Hyper-parameters of REINFORCE.

    With one environment every update falls between two episodes, and the estimate is exactly that
    of the policy gradient theorem. With several, those episodes that are running when an update
    comes go on with the new policy, and count for the next update as if they were all its own.

    Raises:
        ValueError: A value is out of range or of another kind; the message names the field.
    """

    num_envs: int = 1
    """Copies of the environment that step together; a vector environment brings its own number."""
    episodes_per_update: int = 1
    """Episodes of an update."""
    discount: float = 0.99
    """Weight of the next step's return, in [0, 1]."""
    baseline: bool = True
    """Learn state values, subtract them from the returns, and let a truncated episode's return go
    on with the value of its last observation; without, it ends there as if it had terminated."""
    normalise_returns: bool = False
    """Shift and scale the advantages (without baseline: the returns) of an update to mean 0 and
    standard deviation 1."""
    discount_in_gradient: bool = False
    """Weigh step t of an episode with discount^t in the policy's loss. The gradient of the
    discounted return has this factor; everybody leaves it out, because late steps would hardly
    be learnt from, and follows the gradient of no objective (Nota & Thomas 2020)."""
    average_over: AverageOver = "episodes"
    """Whether the policy's loss is the mean over an update's episodes of the sum over their steps,
    which is unbiased, or the mean over all steps, in which those of a long episode count less."""
    reward_scale: float = 1.0
    """Rewards are multiplied by it before anything is learnt from them (see `A2CConfig`)."""
    learning_rate: float | Schedule = 1e-3
    """Of the optimiser."""
    optimiser: Optimiser = "adam"
    """Adam, or RMSprop as PyTorch or (``rmsprop-tf``) TensorFlow has it."""
    optimiser_epsilon: float = 1e-8
    """Of the optimiser."""
    max_grad_norm: float | None = None
    """To which gradients are clipped; None does not clip."""
    value_weight: float = 0.5
    """Of the value loss."""
    entropy_weight: float = 0.0
    """Of the policy's entropy, which keeps it exploring."""
    hidden_sizes: tuple[int, ...] = (64, 64)
    """Units of the hidden layers, of the policy and of the baseline each."""
    activation: Activation = "tanh"
    """After each hidden layer."""
    squash: bool = False
    """Keep a Box's actions between its bounds by tanh; else what is drawn is clipped."""
    state_dependent_sigma: bool = False
    """A Box's standard deviations depend on the observation."""
    initial_log_sigma: float = 0.0
    """Where the logarithm of a Box's standard deviations starts."""
    action_masks: ActionMasks = "auto"
    """Whether ``info["action_mask"]`` forbids actions: where the first one has it, or never."""
    num_threads: int | None = 1
    """Threads of torch while it learns; None leaves them (see `DQNConfig`)."""
    device: str = "auto"
    """Where networks live (see `DQNConfig`)."""
    compile: bool = False
    """Compile the update into one graph, for each power of two of steps: half a minute each.
    Small dense networks are as fast without."""

    def __post_init__(self) -> None:
        check_fields(self, _RANGES, _CHOICES)
        check_device(self.device)
