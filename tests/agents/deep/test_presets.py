"""Presets: each builds its agent's config, and its environment can be made and learnt in."""

import dataclasses

import gymnasium
import pytest
from gymagine.agents.deep.presets import PRESETS, Preset, preset
from gymagine.experiments.catalogue import agent_class
from gymagine.experiments.environment_names import EnvironmentName
from gymagine.schedules import Schedule

# of each pattern an environment, and the package that has it
_MEMBERS = {
    "ALE/*": ("ALE/Pong-v5", "ale_py"),
    "MinAtar/*": ("MinAtar/Breakout-v1", "minatar.gym"),
    "LunarLander-v3": ("LunarLander-v3", "Box2D"),
}


def _name(found: Preset) -> str:
    return f"{found.agent}-{found.environment}"


def _environment(found: Preset) -> gymnasium.Env:
    id_, package = _MEMBERS.get(found.environment, (found.environment, None))
    if package is not None:
        module = pytest.importorskip(package)
        if package == "minatar.gym" and id_ not in gymnasium.registry:
            module.register_envs()
    if found.preprocessing:
        pytest.importorskip("cv2")
    return EnvironmentName(id_).preprocessed(found.preprocessing).make()


@pytest.mark.parametrize("found", PRESETS, ids=_name)
def test_a_preset_builds_a_config_that_holds_its_values(found):
    config = agent_class(found.agent).Config(**found.hyperparameters)
    for name, value in found.hyperparameters.items():
        assert getattr(config, name) == value
    assert found.source
    assert found.total_timesteps > getattr(config, "learning_starts", 0)


@pytest.mark.parametrize("found", PRESETS, ids=_name)
def test_schedules_end_within_the_budget(found):
    schedules = [v for v in found.hyperparameters.values() if isinstance(v, Schedule)]
    assert all(1 <= schedule.num_steps <= found.total_timesteps for schedule in schedules)


@pytest.mark.parametrize("found", PRESETS, ids=_name)
def test_the_environment_of_a_preset_can_be_made_and_suits_the_agent(found):
    env = _environment(found)
    smaller = {"buffer_size": 1_000} if "buffer_size" in found.hyperparameters else {}
    # one environment for every agent, whatever number of copies the preset has
    copies = {"num_envs": 1} if "num_envs" in found.hyperparameters else {}
    settings = {**found.hyperparameters, **smaller, **copies}
    agent = agent_class(found.agent)(env, seed=0, **settings)
    agent.learn(20)
    observation, _ = env.reset(seed=0)
    action, _ = agent.predict(observation, deterministic=True)
    assert env.action_space.contains(action)


def test_every_agent_and_environment_has_one_preset():
    pairs = [(found.agent, found.environment) for found in PRESETS]
    assert len(pairs) == len(set(pairs))


def test_the_classic_tasks_have_presets():
    for id_ in ("CartPole-v1", "Acrobot-v1", "MountainCar-v0", "LunarLander-v3", "ALE/Pong-v5",
                "FrozenLake-v1", "Taxi-v4", "MinAtar/Breakout-v1"):  # fmt: skip
        assert preset("dqn", id_) is not None, id_
    for id_ in ("CartPole-v1", "Acrobot-v1", "LunarLander-v3", "Pendulum-v1"):
        assert preset("a2c", id_) is not None, id_
        assert preset("reinforce", id_) is not None, id_


def test_an_id_may_have_a_module_and_options():
    plain = preset("dqn", "FrozenLake-v1")
    assert plain is preset("dqn", "FrozenLake-v1@is_slippery=false,map_name=8x8")
    assert preset("dqn", "ale_py:ALE/Breakout-v5") is preset("dqn", "ALE/Pong-v5")


@pytest.mark.parametrize(
    ("agent", "environment"),
    [("dqn", "Pendulum-v1"), ("q-learning", "CartPole-v1"), ("dqn", "CartPole-v0"), ("dqn", "")],
)
def test_there_is_none_for_others(agent, environment):
    assert preset(agent, environment) is None


def test_the_values_of_a_preset_cannot_be_changed_by_who_asks():
    found = preset("dqn", "CartPole-v1")
    with pytest.raises(TypeError):
        found.hyperparameters["batch_size"] = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.agent = "a2c"


def test_published_figures_are_the_published_ones():
    """Mnih et al. (2015), extended data table 1; updates are every fourth step there."""
    nature = preset("dqn", "ALE/Pong-v5").hyperparameters
    assert nature["batch_size"] == 32
    assert nature["buffer_size"] == 1_000_000
    assert nature["frame_stack"] == 4
    assert nature["train_freq"] == 4
    assert nature["target_update_interval"] / nature["train_freq"] == 10_000
    assert nature["learning_starts"] == 50_000
    assert nature["exploration_rate"] == Schedule("linear", 1.0, 0.1, 1_000_000)
    assert preset("dqn", "ALE/Pong-v5").total_timesteps * 4 == 200_000_000  # frames
