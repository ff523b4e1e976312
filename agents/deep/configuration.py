"""The hyper-parameters of deep agents, each declared and documented once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from ...configuration import check_fields
from ...generative.devices import check_device
from ...schedules import Schedule
from .action_value_targets import ErrorLoss
from .layers import Activation

__all__ = ["ActionMasks", "DQNConfig"]

ActionMasks = Literal["auto", "never"]

_RANGES = {
    "discount": (0.0, 1.0, True),
    "learning_rate": (0.0, math.inf, False),
    "adam_epsilon": (0.0, math.inf, False),
    "max_grad_norm": (0.0, math.inf, False),
    "buffer_size": (1, math.inf, True),
    "batch_size": (1, math.inf, True),
    "learning_starts": (0, math.inf, True),
    "train_freq": (1, math.inf, True),
    "gradient_steps": (1, math.inf, True),
    "target_update_interval": (1, math.inf, True),
    "tau": (0.0, 1.0, False),
    "exploration_rate": (0.0, 1.0, True),
    "hidden_sizes": (1, math.inf, True),
    "n_step": (1, math.inf, True),
    "priority_exponent": (0.0, 1.0, True),
    "importance_exponent": (0.0, 1.0, True),
    "num_atoms": (2, math.inf, True),
    "frame_stack": (1, 256, True),
    "num_envs": (1, math.inf, True),
    "num_threads": (1, math.inf, True),
}
_CHOICES = {
    "error_loss": get_args(ErrorLoss),
    "activation": get_args(Activation),
    "action_masks": get_args(ActionMasks),
}
_EXPLORATION = Schedule("linear", 1.0, 0.05, 10_000)
_IMPORTANCE = Schedule("linear", 0.4, 1.0, 1_000_000)


@dataclass(frozen=True)
class DQNConfig:
    """Hyper-parameters of DQN.

    The defaults are Stable-Baselines3's, but for the exploration schedule, which is in absolute
    steps here: SB3 lets the rate fall over the first tenth of the budget, whatever that is.

    Raises:
        ValueError: A value is out of range or of another kind; the message names the field.
    """

    discount: float = 0.99
    """Weight of the next step's return, in [0, 1]."""
    learning_rate: float = 1e-4
    """Of Adam."""
    adam_epsilon: float = 1e-8
    """Of Adam."""
    max_grad_norm: float | None = 10.0
    """To which gradients are clipped; None does not clip."""
    error_loss: ErrorLoss = "huber"
    """Of the temporal-difference errors."""
    buffer_size: int = 1_000_000
    """Transitions that are remembered."""
    replay_folder: str | None = None
    """Where observations are kept in files, for a memory larger than the machine's; an agent's own
    folder, which a checkpoint counts on. None keeps them in memory."""
    batch_size: int = 32
    """Transitions in an update."""
    learning_starts: int = 100
    """Steps taken at random before the first update."""
    train_freq: int = 4
    """Steps between updates."""
    gradient_steps: int = 1
    """Updates each time."""
    target_update_interval: int = 10_000
    """Steps between two moves of the target network."""
    tau: float = 1.0
    """The target network's share of the way; 1 copies."""
    exploration_rate: float | Schedule = _EXPLORATION
    """Probability of a random action."""
    hidden_sizes: tuple[int, ...] = (64, 64)
    """Units of the hidden layers."""
    activation: Activation = "relu"
    """After each hidden layer."""
    double: bool = False
    """The learning network chooses the action that the target network values."""
    duelling: bool = False
    """Streams of their own for the value of the state and the advantages of the actions."""
    prioritised: bool = False
    """Draw transitions by the size of their errors."""
    priority_exponent: float = 0.5
    """How much priorities matter, in [0, 1]."""
    importance_exponent: float | Schedule = _IMPORTANCE
    """How much of the bias of prioritised drawing is undone, in [0, 1]."""
    n_step: int = 1
    """Rewards that are added up before bootstrapping."""
    categorical: bool = False
    """Learn distributions over fixed atoms in place of values."""
    num_atoms: int = 51
    """Atoms of the distributions."""
    v_min: float = -10.0
    """The lowest atom; returns below are cut off."""
    v_max: float = 10.0
    """The highest atom; returns above are cut off."""
    noisy: bool = False
    """Noisy layers explore; the exploration rate is then left out."""
    rainbow: bool = False
    """All six switches: double, duelling, prioritised, three steps, categorical, noisy."""
    frame_stack: int = 1
    """Frames in an observation of the wrapper FrameStackObservation, which are stored once."""
    action_masks: ActionMasks = "auto"
    """Whether ``info["action_mask"]`` forbids actions: where the first one has it, or never."""
    num_envs: int = 1
    """Copies of the environment that step together; a vector environment brings its own."""
    num_threads: int | None = 1
    """Threads of torch while it learns; None leaves them. A second one hardly helps a small
    network, and makes it many times slower while another program uses the core."""
    device: str = "auto"
    """Where networks live: ``cpu``, ``cuda``, ``cuda:1`` and so on. ``auto`` takes a CUDA device,
    where there is one, for images, and the processor for all else: a small network's update is a
    few dozen short operations, each of which takes longer to launch there than to compute here."""
    compile: bool = False
    """Compile the update into one graph: half a minute at first, then two and a half times the
    updates of a small network."""

    def __post_init__(self) -> None:
        check_fields(self, _RANGES, _CHOICES)
        check_device(self.device)
        if self.batch_size > self.buffer_size:
            raise ValueError(
                f"expected a batch_size within the buffer_size of {self.buffer_size}, got "
                f"{self.batch_size}"
            )
        if not self.v_min < self.v_max:
            raise ValueError(f"expected v_min below v_max, got {self.v_min} and {self.v_max}")
        if self.rainbow:
            for switch in ("double", "duelling", "prioritised", "categorical", "noisy"):
                object.__setattr__(self, switch, True)
            if self.n_step == 1:
                object.__setattr__(self, "n_step", 3)
