"""Probe environments are Gymnasium's, and their answers are what averages of returns say."""

import gymnasium
import numpy as np
import pytest
from gymagine.envs import probes
from gymnasium.utils.env_checker import check_env

MAKERS = {
    "value": probes.value_probe,
    "observation": probes.observation_probe,
    "discount": probes.discount_probe,
    "action": probes.action_probe,
    "policy": probes.policy_probe,
    "truncation": probes.truncation_probe,
    "number": lambda: probes.action_probe(continuous=True),
    "number by observation": lambda: probes.policy_probe(continuous=True),
}


@pytest.mark.parametrize("name", MAKERS)
def test_gymnasium_checks_it(name):
    check_env(MAKERS[name](), skip_render_check=True)


def returns(env, policy, discount, episodes=400):
    """{first observation: mean discounted return}."""
    found, seed = {}, 0
    for _ in range(episodes):
        observation, _ = env.reset(seed=seed)
        first, total, weight, ended = float(observation[0]), 0.0, 1.0, False
        while not ended:
            observation, reward, terminated, truncated, _ = env.step(policy(observation))
            total, weight = total + weight * reward, weight * discount
            ended = terminated or truncated
        found.setdefault(first, []).append(total)
        seed += 1
    return {first: np.mean(totals) for first, totals in found.items()}


def always(action):
    return lambda observation: action


@pytest.mark.parametrize(
    ("name", "policy", "expected"),
    [
        ("value", always(0), {0.0: 1.0}),
        ("observation", always(0), {-1.0: -1.0, 1.0: 1.0}),
        ("discount", always(0), {0.0: 0.9}),
        ("action", always(1), {0.0: 1.0}),
        ("action", always(0), {0.0: -1.0}),
        ("policy", always(1), {-1.0: -1.0, 1.0: 1.0}),
        ("policy", lambda seen: int(seen[0] > 0), {-1.0: 1.0, 1.0: 1.0}),
        ("truncation", always(0), {0.0: (1 - 0.9**10) / (1 - 0.9)}),
        ("number", always(np.array([0.5])), {0.0: 1.0}),
        ("number", always(np.array([-0.5])), {0.0: 0.0}),
        ("number by observation", lambda seen: 0.5 * seen, {-1.0: 1.0, 1.0: 1.0}),
        ("number by observation", always(np.array([0.5])), {-1.0: 0.0, 1.0: 1.0}),
    ],
)
def test_answers(name, policy, expected):
    assert returns(MAKERS[name](), policy, 0.9) == pytest.approx(expected)


def test_the_second_observation_tells_the_second_value():
    env = probes.discount_probe()
    env.reset(seed=0)
    observation, reward, terminated, _, _ = env.step(0)
    assert (observation.tolist(), reward, terminated) == ([1.0], 0.0, False)
    assert env.step(0)[1:3] == (1.0, True)


def test_truncation_is_told_apart():
    env = probes.truncation_probe()
    env.reset(seed=0)
    ends = [env.step(0)[2:4] for _ in range(10)]
    assert ends == [(False, False)] * 9 + [(False, True)]
    assert isinstance(env, gymnasium.wrappers.TimeLimit)
