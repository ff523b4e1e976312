"""Synthetic steps against the law of the real ones, alignment, and what learners are given."""

import gymnasium
import numpy as np
import pytest
import torch
from gymagine.agents import DQN
from gymagine.agents.imagination.synthetic_replay import (
    SyntheticReplay,
    add_synthetic_replay,
    transition_codec,
)
from gymagine.agents.imagination.synthetic_replay_buffer import SyntheticReplayBuffer
from gymagine.generative import GAN, MADE, VAE, RealNVP
from gymagine.generative.data.environments import Transitions, transitions
from gymnasium import spaces

pytestmark = pytest.mark.usefixtures("without_shape_checks")

FEW = {"num_updates": 1}


class Line(gymnasium.Env):
    """o' = o + a, r = o', with a of -1 or 1; ends in 10 steps."""

    observation_space = spaces.Box(-np.inf, np.inf, (1,), np.float32)
    action_space = spaces.Discrete(2, start=1)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._place, self._steps = np.float32([self.np_random.normal()]), 0
        return self._place, {}

    def step(self, action):
        self._place = self._place + np.float32(2 * action - 3)
        self._steps += 1
        return self._place, float(self._place[0]), self._steps == 10, False, {}


class Swing(Line):
    """The same with actions in a Box of other bounds than those of a buffer."""

    action_space = spaces.Box(-2, 2, (1,), np.float32)

    def step(self, action):
        return super().step(1.5 + float(action[0]) / 2)


def flow(size, seed=0):
    torch.manual_seed(seed)
    return RealNVP((size,), num_couplings=4, hidden_sizes=(32,))


def replay_of(env, generator=None, **settings):
    (size,) = transition_codec(env.observation_space, env.action_space).event_shape
    given = {"num_samples": 500, "fit_settings": FEW} | settings
    return SyntheticReplay(
        generator or flow(size), env.observation_space, env.action_space, **given
    )


def test_what_is_drawn_follows_the_law_of_steps():
    """o' = o + a and r = o' in most of the pool; columns drawn apart are the control."""
    data = transitions(Line(), 2_000)
    replay = replay_of(
        Line(), num_samples=2_000, fit_settings={"num_updates": 600, "learning_rate": 3e-3}
    )
    fit = replay.learn(data)
    steps = replay.draw(2_000, np.random.default_rng(0))

    def errors(action):
        moved = steps.observation[:, 0] + 2 * action - 3
        return np.abs(steps.next_observation[:, 0] - moved)

    found, apart = errors(steps.action), errors(np.random.default_rng(1).permutation(steps.action))
    assert np.median(found) < 0.5 < np.median(apart)
    assert np.corrcoef(steps.reward, steps.next_observation[:, 0])[0, 1] > 0.98
    assert set(np.unique(steps.action)) == {1, 2}
    assert steps.terminated.dtype == bool
    assert steps.terminated.mean() == pytest.approx(data.terminated.mean(), abs=0.05)
    assert fit.mean_error < 0.3
    assert fit.num_steps == 2_000


def test_a_poor_pool_is_warned_of():
    class Far(RealNVP):
        def _sample(self, num, context, temperature, rng):
            return 3 * super()._sample(num, context, temperature, rng)

    with pytest.warns(UserWarning, match="synthetic steps are unlike the 200"):
        replay_of(Line(), Far((6,), num_couplings=2)).learn(transitions(Line(), 200))


def pool_of(replay, num=4):
    """A pool of known steps, in place of a generator's."""
    place = np.arange(num, dtype=np.float32)[:, None] + 100
    replay._pool = Transitions(
        observation=place,
        action=np.ones(num, np.int64),
        reward=place[:, 0].astype(np.float64) + 0.5,
        next_observation=place + 1,
        terminated=np.arange(num) % 2 == 0,
        truncated=np.zeros(num, bool),
    )
    replay._next_fit = 10**9
    return replay


def test_half_of_each_batch_of_a_dqn_is_the_pool():
    """And its parts stay together: observation, reward, what follows, discount, action from 0."""
    agent = DQN(Line(), seed=0, learning_starts=20, batch_size=8, discount=0.9, train_freq=1)
    add_synthetic_replay(agent, pool_of(replay_of(Line())))
    mixed, seen = agent.learners.update, []
    inner = mixed._inner

    class Spy:
        def __call__(self, batch, noise):
            seen.append(batch)
            return inner(batch, noise)

        def __getattr__(self, name):
            return getattr(inner, name)

    mixed._inner = Spy()
    agent.learn(40)
    assert seen
    for batch in seen:
        places = batch.observations[0][0, :, 0]
        assert (places > 50).sum() == 4
        own = places > 50
        torch.testing.assert_close(batch.rewards[0, own], places[own] + 0.5)
        torch.testing.assert_close(batch.next_observations[0][0, own, 0], places[own] + 1)
        even = (places[own] % 2) == 0
        torch.testing.assert_close(batch.discounts[0, own], torch.where(even, 0.0, 0.9))
        assert (batch.actions[0, own] == 0).all()
        real = ~own
        torch.testing.assert_close(
            batch.next_observations[0][0, real, 0],
            places[real] + 2.0 * batch.actions[0, real] - 1,
        )


def test_a_dqn_learns_anew_when_it_is_time(tmp_path):
    agent = DQN(Line(), seed=0, learning_starts=20, batch_size=8)
    replay = replay_of(Line(), first_fit=50, refit_every=30)
    add_synthetic_replay(agent, replay)
    agent.learn(130)
    assert len(replay.fits) == 3
    assert replay.fits[0].num_steps >= 50
    agent.save(tmp_path / "agent")
    loaded = DQN.load(tmp_path / "agent", Line())
    observation = np.float32([0.3])
    assert loaded.predict(observation)[0] == agent.predict(observation)[0]


def test_what_a_dqn_remembers_is_what_happened():
    agent = DQN(Line(), seed=0, learning_starts=10).learn(60)
    replay = replay_of(Line())
    add_synthetic_replay(agent, replay)
    found = agent.learners.update._remembered()
    np.testing.assert_allclose(
        found.next_observation[:, 0], found.observation[:, 0] + 2 * found.action - 3, atol=1e-5
    )
    np.testing.assert_allclose(found.reward, found.next_observation[:, 0], atol=1e-5)
    assert len(found) >= 50
    assert 0 < found.terminated.mean() < 0.4


@pytest.mark.parametrize("env", [Line, Swing], ids=["DQN", "SAC"])
def test_stable_baselines_agents_learn_from_it(env):
    import stable_baselines3

    class Plain(env):  # whose actions count from 0
        action_space = spaces.Discrete(2) if env is Line else env.action_space

        def step(self, action):
            return super().step(action + 1 if env is Line else action)

    made = Plain()
    stored = spaces.Box(-1, 1, (1,), np.float32) if env is Swing else made.action_space
    (size,) = transition_codec(made.observation_space, stored).event_shape
    options = {"generator": flow(size), "fit_settings": FEW,
               "settings": {"first_fit": 30, "refit_every": 20, "num_samples": 50}}  # fmt: skip
    agent_class = stable_baselines3.DQN if env is Line else stable_baselines3.SAC
    agent = agent_class(
        "MlpPolicy", made, seed=0, learning_starts=10, batch_size=8, train_freq=1,
        replay_buffer_class=SyntheticReplayBuffer, replay_buffer_kwargs=options, device="cpu",
    ).learn(75)  # fmt: skip
    buffer = agent.replay_buffer
    assert len(buffer.replay.fits) == 3
    found = buffer._remembered()
    assert len(found) == 75
    moved = found.observation[:, 0] + (
        2 * found.action - 1 if env is Line else 2 * found.action[:, 0]
    )
    np.testing.assert_allclose(found.next_observation[:, 0], moved, atol=1e-4)
    batch = buffer.sample(10)
    assert batch.observations.shape == batch.next_observations.shape == (10, 1)
    assert batch.actions.shape == batch.rewards.shape == batch.dones.shape == (10, 1)


def test_mistakes_are_named():
    env = Line()
    with pytest.raises(ValueError, match=r"steps of shape \(6,\).* got a RealNVP of \(3,\)"):
        SyntheticReplay(flow(3), env.observation_space, env.action_space)
    with pytest.raises(ValueError, match="real numbers without a context, got a MADE in Boolean"):
        SyntheticReplay(MADE((6,)), env.observation_space, env.action_space)
    with pytest.raises(ValueError, match="without a context, got a VAE"):
        SyntheticReplay(VAE((6,), context_shape=(1,)), env.observation_space, env.action_space)
    with pytest.raises(ValueError, match=r"share in \[0.0, 1.0\], got 2"):
        replay_of(env, share=2.0)
    with pytest.raises(ValueError, match="call learn first"):
        replay_of(env).draw(3, np.random.default_rng(0))
    with pytest.raises(TypeError, match="expected a DQN"):
        add_synthetic_replay(None, replay_of(env))
    with pytest.raises(ValueError, match="without priorities, got prioritised=True"):
        add_synthetic_replay(DQN(env, prioritised=True), replay_of(env))
    with pytest.raises(ValueError, match="n_step=3"):
        add_synthetic_replay(DQN(env, n_step=3), replay_of(env))
    with pytest.raises(ValueError, match="expected a replay of"):
        add_synthetic_replay(DQN("CartPole-v1"), replay_of(env))
    assert replay_of(env, GAN((6,))).config.share == 0.5
