"""Imitation where the answer is known, beside a judge that does not learn; probabilities."""

import gymnasium
import numpy as np
import pytest
from gymagine.agents import A2C, DQN, REINFORCE
from gymagine.agents.imagination.adversarial_imitation import (
    RewardLearner,
    imitate_adversarially,
    log_policy_of,
)
from gymagine.envs.adversarial_reward import AdversarialReward
from gymagine.envs.transition_discriminator import TransitionDiscriminator
from gymagine.generative.data.environments import transitions
from gymnasium import spaces

pytestmark = pytest.mark.usefixtures("without_shape_checks")


# entropy, lest the policy is sure before the judge has learnt anything
SETTINGS = {"learning_rate": 1e-2, "entropy_weight": 0.1}


class Signs(gymnasium.Env):
    """Shows a number, ten of an episode; its own reward is not what the expert wants."""

    observation_space = spaces.Box(-1, 1, (1,), np.float32)
    action_space = spaces.Discrete(2, start=1)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._steps = 0
        return self._seen(), {}

    def step(self, action):
        self._steps += 1
        return self._seen(), float(action == 1), False, self._steps == 10, {}

    def _seen(self):
        return self.np_random.uniform(-1, 1, 1).astype(np.float32)


class Expert:
    def predict(self, observation, state=None, episode_start=None, deterministic=True):
        return (1 + (np.asarray(observation)[..., 0] > 0)).astype(np.int64), state


def agreement(agent):
    seen = np.linspace(-0.95, 0.95, 40, dtype=np.float32)[:, None]
    return float((agent.predict(seen)[0] == Expert().predict(seen)[0]).mean())


def played(make, form="gail", steps=3_000, learns=True, **settings):
    env = Signs()
    judge = TransitionDiscriminator(env.observation_space, env.action_space, form=form)
    reward = "logit" if form == "airl" else "positive"
    env = AdversarialReward(env, judge, reward=reward, num_recent=500)
    agent = make(env)
    if not learns:
        agent.learn(steps)
        return agent, None
    data = transitions(Signs(), 200, Expert())
    arguments = {"round_steps": 250, "discriminator_updates": 10, "learning_rate": 1e-2} | settings
    return agent, imitate_adversarially(agent, env, data, steps, **arguments)


def a2c(env):
    return A2C(env, seed=0, num_envs=1, n_steps=10, discount=0.0, **SETTINGS)


def reinforce(env):
    return REINFORCE(env, seed=0, discount=0.0, **SETTINGS)


@pytest.mark.parametrize(
    ("make", "form", "steps"),
    [
        (a2c, "gail", 2_000),
        pytest.param(a2c, "airl", 2_000, marks=pytest.mark.slow),
        pytest.param(reinforce, "gail", 3_000, marks=pytest.mark.slow),
    ],
)
def test_the_expert_is_imitated(make, form, steps):
    agent, fit = played(make, form, steps=steps)
    assert agreement(agent) >= 0.85
    assert fit.num_timesteps == agent.num_timesteps == steps
    assert len(fit.losses) == steps // 250
    # the expert cannot be told from the learner: 2 log 2
    assert fit.losses[-3:].mean() == pytest.approx(2 * np.log(2), abs=0.15)


def test_a_judge_who_does_not_learn_teaches_nothing():
    agent, _ = played(a2c, steps=500, learns=False)
    assert agreement(agent) < 0.7


def test_stable_baselines_learns_from_it_too():
    import stable_baselines3

    class Plain(Signs):  # its actions count from 0
        action_space = spaces.Discrete(2)

        def step(self, action):
            return super().step(action + 1)

    env = Plain()
    judge = TransitionDiscriminator(env.observation_space, env.action_space, form="airl")
    env = AdversarialReward(env, judge, reward="logit")
    agent = stable_baselines3.A2C("MlpPolicy", env, seed=0, n_steps=10, device="cpu")
    before = log_policy_of(agent)(np.zeros((1, 1), np.float32), np.zeros(1, int))
    fit = imitate_adversarially(agent, env, transitions(Plain(), 50), 200, round_steps=100)
    after = log_policy_of(agent)(np.zeros((1, 1), np.float32), np.zeros(1, int))
    assert agent.num_timesteps == fit.num_timesteps == 200
    assert len(env.recent) == 200
    assert before != after


def test_log_probabilities_are_those_of_the_policy():
    agent = A2C(Signs(), seed=0, num_envs=1).learn(50)
    seen = np.linspace(-1, 1, 5, dtype=np.float32)[:, None]
    log_policy = log_policy_of(agent)
    both = np.stack([log_policy(seen, np.full(5, action)) for action in (1, 2)])
    np.testing.assert_allclose(np.exp(both).sum(axis=0), 1.0, rtol=1e-5)
    # drawn actions are as frequent as they are probable
    drawn, _ = agent.predict(seen[[3]].repeat(4_000, axis=0), deterministic=False)
    assert (drawn == 2).mean() == pytest.approx(np.exp(both[1, 3]), abs=0.03)


def test_runs_are_functions_of_their_seeds():
    fits = [played(a2c, steps=250)[1] for _ in range(2)]
    assert np.array_equal(fits[0].losses, fits[1].losses)
    assert np.array_equal(fits[0].environment_rewards, fits[1].environment_rewards)
    assert not np.array_equal(played(a2c, steps=250, seed=1)[1].losses, fits[0].losses)


def test_mistakes_are_named():
    env = Signs()
    judge = TransitionDiscriminator(env.observation_space, env.action_space, form="airl")
    paid = AdversarialReward(env, judge)
    agent, data = a2c(paid), transitions(Signs(), 20)
    with pytest.raises(TypeError, match="expected an AdversarialReward to learn in, got Signs"):
        imitate_adversarially(agent, env, data, 10)
    with pytest.raises(TypeError, match="expected Transitions to imitate"):
        imitate_adversarially(agent, paid, None, 10)
    with pytest.raises(TypeError, match="expected a learner, got int"):
        imitate_adversarially(3, paid, data, 10)
    with pytest.raises(ValueError, match="budget of at least 1"):
        imitate_adversarially(agent, paid, data, 0)
    with pytest.raises(TypeError, match="no hyper-parameter 'steps'"):
        imitate_adversarially(agent, paid, data, 10, steps=3)
    with pytest.raises(ValueError, match="probabilities of actions, which airl needs, got a DQN"):
        imitate_adversarially(DQN(paid, seed=0), paid, data, 10)
    assert isinstance(agent, RewardLearner)
