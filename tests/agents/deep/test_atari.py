"""DQN on Atari frames: preprocessing, stacks that are stored once, and updates."""

import logging

import gymnasium
import numpy as np
import pytest
from gymagine.agents.deep.dqn import DQN
from gymagine.agents.deep.presets import preset
from gymnasium.wrappers import AtariPreprocessing, FrameStackObservation

pytest.importorskip("ale_py")
pytest.importorskip("cv2")

STEPS, CAPACITY, STARTS, STACK = 3_000, 2_500, 1_000, 4
FRAME_BYTES = 84 * 84


class Recorder(gymnasium.Wrapper):
    """Keeps what an agent was shown, as bytes: (observation, action, reward, next observation)."""

    def __init__(self, env):
        super().__init__(env)
        self.transitions = set()
        self._last = b""

    def reset(self, **options):
        """Keep the first observation."""
        observation, info = self.env.reset(**options)
        self._last = observation.tobytes()
        return observation, info

    def step(self, action):
        """Keep the transition."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        now = observation.tobytes()
        key = hash((self._last, int(action), float(reward), now if not terminated else b""))
        self.transitions.add(key)
        self._last = now
        return observation, reward, terminated, truncated, info


def stacked(id_):
    plain = gymnasium.make(id_, frameskip=1)
    frames = AtariPreprocessing(plain, noop_max=30, frame_skip=4, terminal_on_life_loss=True)
    return Recorder(FrameStackObservation(frames, STACK))


@pytest.fixture
def settings():
    nature = dict(preset("dqn", "ALE/Breakout-v5").hyperparameters)
    small = {"buffer_size": CAPACITY, "learning_starts": STARTS, "target_update_interval": 1_000}
    return {**nature, **small}


@pytest.mark.slow
@pytest.mark.parametrize("id_", ["ALE/Pong-v5", "ALE/Breakout-v5"])
def test_a_few_thousand_frames(id_, settings, caplog, without_shape_checks):
    env = stacked(id_)
    assert env.observation_space.shape == (STACK, 84, 84)
    agent = DQN(env, seed=0, **settings)
    with caplog.at_level(logging.INFO, logger="gymagine.agents.deep.replay_layout"):
        agent.learn(STARTS)
    learners = agent.learners
    before = {name: value.clone() for name, value in learners.update.parameters.items()}
    agent.learn(STEPS - STARTS)

    assert agent.num_timesteps == STEPS
    assert learners.num_updates == (STEPS - STARTS) // settings["train_freq"]
    assert all(
        not np.array_equal(before[name].numpy(), value.numpy())
        for name, value in learners.update.parameters.items()
    )
    assert np.isfinite(learners.scalars(0)["train/loss"])

    # the memory is of the size that was announced, which is that of single frames
    memory = learners.memory
    held = sum(array.nbytes for array in memory.arrays().values())
    announced = [record.args for record in caplog.records if "replay memory" in record.msg]
    assert len(announced) == 1
    assert announced[0][0] == readable(memory.nbytes)
    assert abs(held - memory.nbytes) < 0.01 * memory.nbytes
    assert FRAME_BYTES * CAPACITY <= memory.nbytes < 1.1 * FRAME_BYTES * CAPACITY

    # what is drawn is what the environment showed, stack for stack
    drawn = memory.sample(256, [np.random.default_rng(0)])
    for row in range(256):
        terminated = float(drawn.discounts[0, row]) == 0.0
        key = (
            drawn.observations[0][0, row].numpy().tobytes(),
            int(drawn.actions[0, row]),
            float(drawn.rewards[0, row]),
            b"" if terminated else drawn.next_observations[0][0, row].numpy().tobytes(),
        )
        assert hash(key) in env.transitions


def readable(nbytes):
    """As the announcement has it: four digits, in the largest unit of 1024."""
    units = ("B", "KiB", "MiB", "GiB")
    power = min(int(np.log2(nbytes) // 10), 3)
    return f"{nbytes / 1024**power:.4g} {units[power]}"
