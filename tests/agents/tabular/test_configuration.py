"""Hyper-parameters: what is accepted, what is refused, and their JSON."""

import json

import numpy as np
import pytest
from gymagine.agents.tabular.dyna_q import DynaQConfig
from gymagine.agents.tabular.monte_carlo import MonteCarloConfig
from gymagine.agents.tabular.n_step_sarsa import NStepSARSAConfig
from gymagine.agents.tabular.q_learning import QLearningConfig
from gymagine.agents.tabular.sarsa_lambda import SARSALambdaConfig
from gymagine.configuration import config_from_json, config_to_json
from gymagine.schedules import Schedule


@pytest.mark.parametrize(
    ("config", "field", "value"),
    [
        (QLearningConfig, "discount", 1.1),
        (QLearningConfig, "discount", -0.1),
        (QLearningConfig, "discount", float("nan")),
        (QLearningConfig, "step_size", 0.0),
        (QLearningConfig, "step_size", Schedule("linear", 1.0, -1.0, 10)),
        (QLearningConfig, "step_size_decay", 1.5),
        (QLearningConfig, "exploration_rate", 2),
        (QLearningConfig, "exploration_rate", Schedule("linear", 1.0, 1.5, 10)),
        (QLearningConfig, "temperature", 0.0),
        (QLearningConfig, "initial_action_value", float("inf")),
        (QLearningConfig, "exploration", "greedy"),
        (QLearningConfig, "action_masks", "sometimes"),
        (SARSALambdaConfig, "trace_decay", 1.01),
        (SARSALambdaConfig, "traces", "dutch"),
        (NStepSARSAConfig, "num_steps", 0),
        (NStepSARSAConfig, "num_steps", True),
        (DynaQConfig, "planning_steps", -1),
        (DynaQConfig, "exploration_bonus", -0.1),
        (DynaQConfig, "model_samples", 0),
        (QLearningConfig, "bins", 0),
        (QLearningConfig, "bins", 2.5),
        (QLearningConfig, "bins", "ten"),
        (QLearningConfig, "bins", (3, 0)),
        (QLearningConfig, "bins", (3, None)),
        (MonteCarloConfig, "visits", "last"),
        (MonteCarloConfig, "exploring_starts", 1),
    ],
)
def test_values_out_of_range_are_refused_by_name(config, field, value):
    with pytest.raises(ValueError, match=f"expected {field} "):
        config(**{field: value})


def test_the_constructor_checks():
    with pytest.raises(ValueError, match=r"expected discount in \[0"):
        QLearningConfig(discount=1.5)
    with pytest.raises(ValueError, match="kind:initial:final:num_steps"):
        QLearningConfig(exploration_rate="quickly")


def test_edges_are_accepted():
    QLearningConfig(discount=0.0, exploration_rate=0.0, step_size_decay=1.0)
    QLearningConfig(discount=1, exploration_rate=1, step_size=1)
    DynaQConfig(planning_steps=0, exploration_bonus=0.0)


def test_texts_become_schedules_and_come_back_from_json():
    config = QLearningConfig(exploration_rate="linear:1.0:0.05:10000", step_size="0.5")
    assert config.exploration_rate == Schedule("linear", 1.0, 0.05, 10_000)
    text = json.dumps(config_to_json(config))
    assert config_from_json(QLearningConfig, json.loads(text)) == config
    assert json.loads(text)["exploration_rate"] == "linear:1.0:0.05:10000"


def test_bins_are_one_number_or_several():
    for given, bins in ((8, 8), (np.int64(8), 8), ([1, 6], (1, 6)), ((3,), (3,))):
        config = QLearningConfig(bins=given)
        assert config.bins == bins
        assert (
            config_from_json(QLearningConfig, json.loads(json.dumps(config_to_json(config))))
            == config
        )


def test_numbers_of_numpy_become_pythons():
    config = NStepSARSAConfig(num_steps=np.int64(3), discount=np.float32(0.5))
    assert (type(config.num_steps), config.num_steps) == (int, 3)
    assert (type(config.discount), config.discount) == (float, 0.5)
    assert json.loads(json.dumps(config_to_json(config)))["num_steps"] == 3
    with pytest.raises(ValueError, match="discount"):
        NStepSARSAConfig(discount=np.float64(1.5))
