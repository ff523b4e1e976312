"""A2C on worlds whose answers are known, alone, in populations, and when it stops and goes on."""

import gymnasium
import numpy as np
import pytest
import torch
from gymagine.agents.deep.a2c import A2C
from gymagine.agents.deep.population import Population
from gymagine.envs import probes
from gymagine.storage import read_arrays

SMALL = {
    "num_envs": 4,
    "discount": 0.5,
    "learning_rate": 1e-2,
    "optimiser": "adam",
    "hidden_sizes": (16,),
}


def others_slow(first, *rest):
    """All are tried in the whole suite, the first in the fast one too."""
    return [first, *(pytest.param(changes, marks=pytest.mark.slow) for changes in rest)]


@pytest.fixture(autouse=True)
def quick(without_shape_checks):
    """Small networks are learnt most quickly by one thread; the parts are checked elsewhere."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def learnt(probe, steps=1_500, **changes):
    return A2C(probe, seed=1, **SMALL | changes).learn(steps)


def seeing(number):
    return np.array([number], dtype=np.float32)


@pytest.mark.parametrize("changes", others_slow({}, {"gae_lambda": 0.5}, {"optimiser": "rmsprop"}))
def test_values_of_probes_with_one_action(changes):
    near = {"abs": 0.06}
    assert learnt(probes.value_probe, **changes).state_values(seeing(0.0)) == pytest.approx(
        1, **near
    )
    agent = learnt(probes.observation_probe, **changes)
    values = agent.state_values(np.array([[-1.0], [1.0]], np.float32))
    assert values == pytest.approx([-1.0, 1.0], **near)
    agent = learnt(probes.discount_probe, **changes)
    assert agent.state_values(seeing(0.0)) == pytest.approx(0.5, **near)
    assert agent.state_values(seeing(1.0)) == pytest.approx(1.0, **near)


@pytest.mark.parametrize(
    "changes", others_slow({"entropy_weight": 0.01, "normalise_advantages": True}, {})
)
def test_actions_of_probes_with_two(changes):
    assert learnt(probes.action_probe, **changes).predict(seeing(0.0))[0] == 1
    agent = learnt(probes.policy_probe, **changes)
    assert agent.predict(np.array([[-1.0], [1.0], [1.0]], np.float32))[0].tolist() == [0, 1, 1]
    assert agent.episode_returns[-50:].mean() > 0.9


@pytest.mark.parametrize(
    "changes", others_slow({"squash": True}, {}, {"state_dependent_sigma": True})
)
def test_numbers_as_actions(changes):
    agent = learnt(lambda: probes.policy_probe(continuous=True), 3_000, **changes)
    for seen in (-1.0, 1.0):
        assert agent.predict(seeing(seen))[0] == pytest.approx([0.5 * seen], abs=0.2)


def test_truncation_is_bootstrapped():
    for n_steps in (1, 5, 16):  # ten steps are an episode: before, within and at its end
        agent = learnt(probes.truncation_probe, 600 * max(n_steps, 3), n_steps=n_steps)
        assert agent.state_values(seeing(0.0)) == pytest.approx(2.0, abs=0.1)


def equal_files(one, other):
    arrays, header = read_arrays(one, expected_format="gymagine-deep-agent-1")
    others, other_header = read_arrays(other, expected_format="gymagine-deep-agent-1")
    assert arrays.keys() == others.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, others[name], err_msg=name)
    assert header == other_header


@pytest.mark.parametrize("env_id", others_slow("CartPole-v1", "Pendulum-v1"))
def test_resuming_leaves_the_same_bytes(env_id, tmp_path):
    """Also in the middle of a roll-out, and with all that an optimiser keeps."""
    for optimiser in ("rmsprop", "adam"):
        settings = {"num_envs": 2, "optimiser": optimiser}
        A2C(env_id, seed=3, **settings).learn(804).save(tmp_path / "whole")
        agent = A2C(env_id, seed=3, **settings).learn(306)
        agent.save(tmp_path / "half")
        agent.learn(498).save(tmp_path / "twice")
        A2C.load(tmp_path / "half", env=env_id).learn(498).save(tmp_path / "resumed")
        equal_files(tmp_path / "whole", tmp_path / "resumed")
        equal_files(tmp_path / "whole", tmp_path / "twice")


@pytest.mark.parametrize("env_id", others_slow("CartPole-v1", "Pendulum-v1"))
def test_members_are_agents_of_their_seeds(env_id):
    seeds, settings = [3, 11, 4], {"num_envs": 2, "entropy_weight": 0.01}
    together = Population(A2C, env_id, seeds=seeds, **settings).learn(1_000)
    for seed, member in zip(seeds, together.members, strict=True):
        alone = A2C(env_id, seed=seed, **settings).learn(1_000)
        np.testing.assert_allclose(member.episode_returns, alone.episode_returns, rtol=1e-4)
        seen = alone.observation_space.sample()
        assert member.state_values(seen) == pytest.approx(alone.state_values(seen), abs=2e-3)


def test_members_with_settings_of_their_own():
    own = [{"discount": 0.5}, {"discount": 0.25}, {"learning_rate": 0.0}, {"reward_scale": 0.2}]
    population = Population(A2C, probes.discount_probe, seeds=4, settings=own, **SMALL)
    before = population.members[2].state_values(seeing(0.0))
    population.learn(1_500)
    first = [float(member.state_values(seeing(0.0))) for member in population.members]
    assert first[:2] == pytest.approx([0.5, 0.25], abs=0.06)
    assert first[2] == pytest.approx(before, abs=1e-6)
    assert first[3] == pytest.approx(0.1, abs=0.03)


def test_a_rate_that_falls():
    agent = A2C("CartPole-v1", seed=0, learning_rate="linear:0.001:0:400", num_envs=1).learn(300)
    assert agent._scalars()["train/learning_rate"] == pytest.approx(0.00025)
    agent.learn(105)
    before = agent.state_values(np.ones(4, np.float32))
    assert agent.learn(100).state_values(np.ones(4, np.float32)) == before


def test_what_is_logged():
    agent = A2C("Pendulum-v1", seed=0, num_envs=2).learn(100)
    found = agent._scalars()
    assert found["train/n_updates"] == 10
    # a normal number with sigma about 1
    assert found["train/entropy_loss"] == pytest.approx(-1.42, abs=0.05)
    names = ("loss", "policy_loss", "value_loss", "explained_variance", "learning_rate")
    assert all(np.isfinite(found[f"train/{name}"]) for name in names)


class Moody(gymnasium.Wrapper):
    """Raises at its 150th step, or then pays NaN."""

    def __init__(self, mood):
        super().__init__(gymnasium.make("CartPole-v1"))
        self.mood, self.count = mood, 0

    def step(self, action):
        self.count += 1
        observation, reward, *rest = self.env.step(action)
        if self.count == 150 and self.mood == "raises":
            raise RuntimeError("no more")
        return observation, np.nan if self.count == 150 else reward, *rest


@pytest.mark.parametrize(
    ("mood", "error", "message"),
    [("raises", RuntimeError, "no more"), ("nan", ValueError, "finite")],
)
def test_what_was_learnt_stays(mood, error, message, tmp_path):
    agent = A2C(Moody(mood), seed=0, num_envs=1)
    with pytest.raises(error, match=message):
        agent.learn(1_000)
    assert agent.num_timesteps == 149
    agent.save(tmp_path / "agent")
    assert A2C.load(tmp_path / "agent").num_timesteps == 149
    agent.learn(300)
    assert agent.num_timesteps == 449


def test_mistakes():
    with pytest.raises(ValueError, match=r"expected Discrete, MultiDiscrete.*got Text"):
        probe = probes.value_probe()
        probe.action_space = gymnasium.spaces.Text(3)
        A2C(probe, num_envs=1)
    with pytest.raises(ValueError, match="finite bounds"):
        probe.action_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,))
        A2C(probe, num_envs=1, squash=True)
    with pytest.raises(ValueError, match="n_steps in"):
        A2C("CartPole-v1", n_steps=0)
    with pytest.raises(ValueError, match="optimiser as one of"):
        A2C("CartPole-v1", optimiser="sgd")
    with pytest.raises(TypeError, match="did you mean learning_rate"):
        A2C("CartPole-v1", learning_rat=1.0)
    with pytest.raises(ValueError, match="at least one timestep, got 0"):
        A2C("CartPole-v1").learn(0)


@pytest.mark.slow
def test_it_learns_cartpole():
    settings = {"n_steps": 8, "gae_lambda": 0.95, "reward_scale": 0.1}
    rate = "linear:0.001:0:100000"
    population = Population(A2C, "CartPole-v1", seeds=3, learning_rate=rate, **settings)
    population.learn(100_000)
    assert min(member.episode_returns.mean() for member in population.members) > 300


@pytest.mark.slow
def test_it_learns_pendulum():
    settings = {"n_steps": 8, "gae_lambda": 0.95, "discount": 0.95, "reward_scale": 0.1}
    settings |= {"activation": "relu", "initial_log_sigma": -0.5}
    rate = "linear:0.001:0:150000"
    population = Population(A2C, "Pendulum-v1", seeds=3, learning_rate=rate, **settings)
    population.learn(150_000)
    # a random policy has about -1200
    returns = [member.episode_returns[-20:].mean() for member in population.members]
    assert np.median(returns) > -500
