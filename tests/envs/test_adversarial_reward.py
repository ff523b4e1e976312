"""Rewards against their formulas, and the bias of variable horizons shown and cured."""

import gymnasium
import numpy as np
import pytest
import torch
from gymagine.agents import A2C
from gymagine.envs.adversarial_reward import AdversarialReward, reward_of_logit, with_horizon
from gymagine.envs.transition_discriminator import TransitionDiscriminator
from gymagine.generative.data.environments import Transitions
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env

pytestmark = pytest.mark.usefixtures("without_shape_checks")


class Counter(gymnasium.Env):
    """Counts steps, and ends when told to by action 1."""

    observation_space = spaces.Box(0, 100, (1,), np.float32)
    action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._count = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self._count += 1
        return np.full(1, self._count, np.float32), 5.0, bool(action == 1), False, {"told": True}


def judge(constant=None, form="gail"):
    found = TransitionDiscriminator(Counter.observation_space, Counter.action_space, form=form)
    if constant is not None:
        with torch.no_grad():
            for parameter in found.parameters():
                parameter.zero_()
            list(found.reward.parameters())[-1].fill_(constant)
    return found


def played(env, actions):
    env.reset(seed=0)
    found = []
    for action in actions:
        found.append(env.step(action))
        if found[-1][2] or found[-1][3]:
            break
    return found


@pytest.mark.parametrize("d", [-2.0, 0.0, 3.0])
def test_forms_are_their_formulas(d):
    share = 1 / (1 + np.exp(-d))
    forms = {"positive": -np.log(1 - share), "negative": np.log(share), "logit": d}
    for form, expected in forms.items():
        env = AdversarialReward(Counter(), judge(d), reward=form)
        assert played(env, [0])[0][1] == pytest.approx(expected, rel=1e-5)
        assert float(reward_of_logit(torch.tensor([d]), form)) == pytest.approx(expected, rel=1e-5)


def total(actions, **options):
    return sum(
        step[1] for step in played(AdversarialReward(Counter(), judge(0.3), **options), actions)
    )


def test_a_judge_who_knows_nothing_pays_for_surviving_or_for_ending():
    short, long = [0, 1], [0] * 9 + [1]
    assert total(long, reward="positive") > total(short, reward="positive")
    assert total(long, reward="negative") < total(short, reward="negative")


def test_with_a_horizon_such_a_judge_pays_all_alike():
    short, long = [0, 1] + [0] * 20, [0] * 9 + [1] + [0] * 20
    for form in ("positive", "negative", "logit"):
        options = {"reward": form, "horizon": 12}
        assert total(short, **options) == pytest.approx(total(long, **options))
        steps = played(AdversarialReward(Counter(), judge(0.3), **options), short)
        assert len(steps) == 12
        assert not any(step[2] for step in steps)
        assert [step[3] for step in steps] == [False] * 11 + [True]


def test_an_absorbed_episode_stays_where_it_ended():
    env = AdversarialReward(Counter(), judge(0.3), horizon=5)
    steps = played(env, [0, 1, 0, 1, 0])
    assert [float(step[0][0]) for step in steps] == [1, 2, 2, 2, 2]
    told = [step[4]["adversarial"] for step in steps]
    assert [own["absorbed"] for own in told] == [False, False, True, True, True]
    assert [own["reward"] for own in told] == [5, 5, 0, 0, 0]
    assert "told" in steps[0][4]
    env.reset()
    assert float(env.step(0)[0][0]) == 1


def test_recent_steps_are_aligned():
    """(o_t, a_t, r_{t+1}, o_{t+1}) of a counter, across episodes and copies."""
    env = AdversarialReward(Counter(), judge(), num_recent=4)
    for actions in ([0, 0, 1], [0, 1]):
        played(env, actions)
    found = env.recent_transitions()
    assert found.observation[:, 0].tolist() == [1, 2, 0, 1]
    assert found.next_observation[:, 0].tolist() == [2, 3, 1, 2]
    assert found.action.tolist() == [0, 1, 0, 1]
    assert found.terminated.tolist() == [False, True, False, True]


def test_copies_share_judge_and_steps():
    env = gymnasium.make("CartPole-v1")
    own = TransitionDiscriminator(env.observation_space, env.action_space)
    env = AdversarialReward(env, own)
    A2C(env, seed=0, num_envs=3).learn(60)
    assert len(env.recent) == 60


def test_gymnasium_accepts_it():
    check_env(AdversarialReward(Counter(), judge(0.1), horizon=7), skip_render_check=True)


def test_airl_takes_the_policy_away():
    env = AdversarialReward(Counter(), judge(0.5, form="airl"), reward="logit")
    assert played(env, [0])[0][1] == pytest.approx(0.5)
    env.log_policy = lambda observations, actions: np.log(np.where(actions == 0, 0.25, 0.75))
    assert played(env, [0])[0][1] == pytest.approx(0.5 - np.log(0.25), rel=1e-5)


def test_demonstrations_are_lengthened_as_episodes_are():
    no = np.zeros(5, bool)
    ends = np.array([False, True, False, False, False])
    cut = np.array([False, False, False, False, True])
    count = np.array([[0.0], [1], [0], [1], [2]])
    data = Transitions(count, np.array([0, 1, 1, 0, 0]), np.ones(5), count + 1, ends, cut)
    found = with_horizon(data, 4)
    assert found.observation[:, 0].tolist() == [0, 1, 2, 2, 0, 1, 2]
    assert found.next_observation[:, 0].tolist() == [1, 2, 2, 2, 1, 2, 3]
    assert found.reward.tolist() == [1, 1, 0, 0, 1, 1, 1]
    assert not found.terminated.any()
    assert found.truncated.tolist() == [False] * 6 + [True]
    untouched = with_horizon(Transitions(count, count, np.ones(5), count, no, cut), 9)
    assert len(untouched) == 5


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="expected a discriminator of Box"):
        AdversarialReward(gymnasium.make("CartPole-v1"), judge())
    with pytest.raises(ValueError, match="reward as one of"):
        AdversarialReward(Counter(), judge(), reward="both")
    with pytest.raises(TypeError, match="expected a TransitionDiscriminator, got Linear"):
        AdversarialReward(Counter(), torch.nn.Linear(1, 1))
    with pytest.raises(ValueError, match="horizon of at least 1"):
        AdversarialReward(Counter(), judge(), horizon=0)
    with pytest.raises(ValueError, match="expected steps to learn from, got none"):
        AdversarialReward(Counter(), judge()).recent_transitions()
