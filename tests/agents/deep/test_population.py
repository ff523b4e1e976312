"""Members of a population are agents that were trained alone, but for rounding."""

import gymnasium
import numpy as np
import pytest
from gymagine.agents.deep.dqn import DQN
from gymagine.agents.deep.population import Population
from gymagine.envs import probes
from gymagine.schedules import Schedule
from gymagine.storage import read_arrays

SMALL = {
    "learning_rate": 1e-3,
    "buffer_size": 1_000,
    "hidden_sizes": (16, 16),
    "learning_starts": 50,
    "train_freq": 1,
    "target_update_interval": 50,
}
RAINBOW = {"rainbow": True, "v_min": 0.0, "v_max": 30.0}


@pytest.fixture(autouse=True)
def quick(without_shape_checks):
    """The parts are checked elsewhere."""


@pytest.mark.parametrize("switches", [{}, RAINBOW], ids=["plain", "rainbow"])
def test_a_member_is_the_agent_of_its_seed(switches):
    """Over a thousand updates, to float tolerance; what is drawn is equal to the bit.

    Rounding differs between a product of three and one of one: about 1e-7 at first, and more the
    longer it is carried on. An action flips where two values are closer than that.
    """
    steps, seeds = 1_050 if not switches else 250, [3, 11, 4]
    together = Population(DQN, "CartPole-v1", seeds=seeds, **SMALL, **switches).learn(steps)
    for seed, member in zip(seeds, together.members, strict=True):
        alone = DQN("CartPole-v1", seed=seed, **SMALL, **switches).learn(steps)
        assert member.seed == seed
        assert member.num_timesteps == alone.num_timesteps == steps
        np.testing.assert_array_equal(member.episode_returns, alone.episode_returns)
        seen = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32) * 0.1
        np.testing.assert_allclose(
            member.action_values(seen), alone.action_values(seen), rtol=2e-3, atol=2e-3
        )
        own, other = member.learners.streams.state(seeds.index(seed)), alone.learners.streams
        assert own == other.state(0)


def test_members_with_settings_of_their_own():
    settings = [{"discount": 0.5}, {"discount": 0.25}, {"learning_rate": 1e-6}]
    shared = SMALL | {"discount": 0.5, "learning_rate": 5e-3, "exploration_rate": 0.5}
    population = Population(DQN, probes.discount_probe, seeds=3, settings=settings, **shared)
    population.learn(1_500)
    first = [float(m.action_values(np.zeros(1, np.float32))[0]) for m in population.members]
    assert first[:2] == pytest.approx([0.5, 0.25], abs=0.1)
    untrained = DQN(probes.discount_probe(), seed=2, **shared)
    before = float(untrained.action_values(np.zeros(1, np.float32))[0])
    assert first[2] == pytest.approx(before, abs=0.02)


def test_schedules_of_their_own():
    schedules = [Schedule("linear", 1.0, end, 100) for end in (0.0, 0.5)]
    settings = [{"exploration_rate": schedule} for schedule in schedules]
    population = Population(DQN, "CartPole-v1", seeds=[7, 7], settings=settings, **SMALL)
    population.learn(200)
    rates = [member._scalars()["rollout/exploration_rate"] for member in population.members]
    assert rates == [0.0, 0.5]


def test_a_member_is_saved_as_an_agent_and_goes_on_alone(tmp_path):
    population = Population(DQN, "CartPole-v1", seeds=3, prioritised=True, **SMALL).learn(300)
    member = population.members[1]
    member.save(tmp_path / "member")
    loaded = DQN.load(tmp_path / "member", env="CartPole-v1")
    assert loaded.environment_restored
    seen = np.ones((5, 4), np.float32)
    np.testing.assert_allclose(loaded.action_values(seen), member.action_values(seen), rtol=1e-4)
    loaded.learn(100)
    alone = DQN("CartPole-v1", seed=1, prioritised=True, **SMALL).learn(400)
    np.testing.assert_array_equal(loaded.episode_returns, alone.episode_returns)
    np.testing.assert_allclose(
        loaded.action_values(seen), alone.action_values(seen), rtol=2e-3, atol=2e-3
    )


@pytest.mark.parametrize("switches", [{"prioritised": True}, RAINBOW], ids=["one", "rainbow"])
def test_resuming_leaves_the_same_bytes(switches, tmp_path):
    def new():
        return Population(DQN, "CartPole-v1", seeds=3, num_envs=2, **SMALL, **switches)

    new().learn(240).save(tmp_path / "whole")
    new().learn(120).save(tmp_path / "half")
    resumed = Population.load(tmp_path / "half", DQN, "CartPole-v1")
    assert resumed.environment_restored
    resumed.learn(120).save(tmp_path / "resumed")
    form = "gymagine-population-1"
    whole, whole_header = read_arrays(tmp_path / "whole", expected_format=form)
    other, other_header = read_arrays(tmp_path / "resumed", expected_format=form)
    assert whole_header == other_header
    assert whole.keys() == other.keys()
    for name, array in whole.items():
        np.testing.assert_array_equal(array, other[name], err_msg=name)


def test_what_a_population_refuses(tmp_path):
    with pytest.raises(ValueError, match="at least one seed"):
        Population(DQN, "CartPole-v1", seeds=0)
    with pytest.raises(ValueError, match="3 seeds and 1 settings"):
        Population(DQN, "CartPole-v1", seeds=3, settings=[{}])
    with pytest.raises(ValueError, match="same batch_size in all members"):
        Population(DQN, "CartPole-v1", seeds=2, settings=[{}, {"batch_size": 5}])
    with pytest.raises(TypeError, match="did you mean batch_size"):
        Population(DQN, "CartPole-v1", seeds=2, batchsize=3)
    env = gymnasium.make("CartPole-v1")
    with pytest.raises(ValueError, match="function that makes a new environment"):
        Population(DQN, lambda: env, seeds=2)
    names = iter(["CartPole-v1", "Acrobot-v1"])
    with pytest.raises(ValueError, match="expected an environment with observation space"):
        Population(DQN, lambda: gymnasium.make(next(names)), seeds=2)
    population = Population(DQN, "CartPole-v1", seeds=2, **SMALL)
    with pytest.raises(ValueError, match="at least one timestep"):
        population.learn(0)
    with pytest.raises(ValueError, match="learn of the population"):
        population.members[0].learn(10)
    population.save(tmp_path / "two")
    with pytest.raises(ValueError, match="observation space"):
        Population.load(tmp_path / "two", DQN, "Acrobot-v1")
    with pytest.raises(ValueError, match="gymagine-deep-agent-1"):
        DQN.load(tmp_path / "two")
