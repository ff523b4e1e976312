"""What comparisons are measured by, and how much of it is played."""

import gymnasium
import pytest
from gymagine.experiments.environment_names import EnvironmentName
from gymagine.experiments.records import RunSettings
from gymagine.experiments.references import reference


class Endless(gymnasium.Env):
    """Episodes that only a cap ends; 1 for each step."""

    observation_space = gymnasium.spaces.Box(0, 1, (1,))
    action_space = gymnasium.spaces.Discrete(2)
    steps_taken = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        type(self).steps_taken += 1
        return self.observation_space.sample(), 1.0, False, False, {}


@pytest.mark.parametrize(("cap", "episodes"), [(5, 200), (100, 100), (2_000, 10)])
def test_long_episodes_are_fewer(cap, episodes, monkeypatch):
    monkeypatch.setattr("gymagine.experiments.references._CONTROL_STEPS", 10_000)
    gymnasium.register("tests/Endless-v0", Endless)
    try:
        settings = RunSettings(
            agent="dqn",
            environment=EnvironmentName("tests/Endless-v0"),
            seed=0,
            total_timesteps=10,
            max_steps=cap,
        )
        Endless.steps_taken = 0
        found = reference(settings.environment, settings)
    finally:
        del gymnasium.registry["tests/Endless-v0"]
    assert (found.control, found.episodes, found.max_steps) == (cap, episodes, cap)
    assert Endless.steps_taken == episodes * cap


def test_known_models_are_not_played():
    settings = RunSettings(
        agent="dqn", environment=EnvironmentName("FrozenLake-v1"), seed=0, total_timesteps=10
    )
    found = reference(settings.environment, settings)
    assert found.episodes == 0
    assert found.optimum == pytest.approx(0.7441902878)
    assert found.control == pytest.approx(0.0139, abs=5e-4)
