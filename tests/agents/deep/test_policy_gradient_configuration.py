"""Defaults that are said to be Stable-Baselines3's are; mistakes are named."""

import inspect

import pytest
from gymagine.agents.deep.policy_gradient_configuration import A2CConfig, REINFORCEConfig
from gymagine.configuration import config_from_json, config_to_json
from gymagine.schedules import Schedule
from stable_baselines3 import A2C
from stable_baselines3.common.policies import ActorCriticPolicy


@pytest.fixture(autouse=True)
def unchecked(without_shape_checks):
    """What a dataclass makes of its fields is its own business."""


def test_defaults_of_a2c_are_the_peers():
    theirs = {n: p.default for n, p in inspect.signature(A2C).parameters.items()}
    own = A2CConfig()
    for name, other in {
        "learning_rate": "learning_rate",
        "n_steps": "n_steps",
        "discount": "gamma",
        "gae_lambda": "gae_lambda",
        "entropy_weight": "ent_coef",
        "value_weight": "vf_coef",
        "max_grad_norm": "max_grad_norm",
        "optimiser_epsilon": "rms_prop_eps",
        "normalise_advantages": "normalize_advantage",
    }.items():
        assert getattr(own, name) == theirs[other], name
    assert theirs["use_rms_prop"] and own.optimiser == "rmsprop"
    policy = inspect.signature(ActorCriticPolicy).parameters
    assert own.initial_log_sigma == policy["log_std_init"].default
    assert policy["activation_fn"].default.__name__.lower() == own.activation


@pytest.mark.parametrize("kind", [A2CConfig, REINFORCEConfig])
def test_a_file_keeps_it(kind):
    config = kind(learning_rate="linear:0.001:0:5000", hidden_sizes=[32], max_grad_norm=None)
    assert config.learning_rate == Schedule("linear", 0.001, 0.0, 5000)
    assert config_from_json(kind, config_to_json(config)) == config


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gae_lambda": 1.5}, r"gae_lambda in \[0.0, 1.0\], got 1.5"),
        ({"reward_scale": 0.0}, "reward_scale in"),
        ({"entropy_weight": -1.0}, "entropy_weight in"),
        ({"hidden_sizes": (0,)}, "hidden_sizes in"),
        ({"squash": 1}, "squash as True or False"),
        ({"activation": "sin"}, "activation as one of"),
    ],
)
def test_mistakes(changes, message):
    with pytest.raises(ValueError, match=message):
        A2CConfig(**changes)
