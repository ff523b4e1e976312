"""REINFORCE: its estimate is the policy gradient, and it learns worlds whose answers are known."""

from itertools import product

import gymnasium
import numpy as np
import pytest
import torch
from gymagine.agents.deep.population import Population
from gymagine.agents.deep.reinforce import REINFORCE
from gymagine.envs import probes
from gymagine.storage import read_arrays
from gymnasium import spaces

SMALL = {
    "num_envs": 4,
    "episodes_per_update": 8,
    "discount": 0.5,
    "learning_rate": 1e-2,
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


def learnt(probe, steps=2_000, **changes):
    return REINFORCE(probe, seed=1, **SMALL | changes).learn(steps)


def seeing(number):
    return np.array([number], dtype=np.float32)


# ---- the estimate -------------------------------------------------------------------------------


class TwoStates(gymnasium.Env):
    """Three steps among two states with two actions, all of it random.

    Attributes:
        first: (S,) probabilities of the first state.
        moves: (S, A, S) of the next.
        rewards: (S, A, S) of what is paid on the way.
        length: Steps of an episode.
    """

    observation_space, action_space = spaces.Discrete(2), spaces.Discrete(2)
    first = np.array([0.3, 0.7])
    moves = np.array([[[0.9, 0.1], [0.2, 0.8]], [[0.5, 0.5], [0.7, 0.3]]])
    rewards = np.array([[[1.0, -2.0], [0.5, 3.0]], [[-1.0, 0.0], [2.0, 4.0]]])
    length = 3

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._steps, self._state = 0, int(self.np_random.random() < self.first[1])
        return self._state, {}

    def step(self, action):
        before, self._steps = self._state, self._steps + 1
        self._state = int(self.np_random.random() < self.moves[before, action, 1])
        reward = float(self.rewards[before, action, self._state])
        return self._state, reward, self._steps == self.length, False, {}


DISCOUNT = 0.7


def exact_gradient(module, with_factors):
    """Of the expected return, or what is left of it without the factors, by enumeration."""
    log_p = module((torch.arange(2).view(1, 2),))
    log_p = (log_p[0] if isinstance(log_p, tuple) else log_p).log_p[0]
    total = torch.zeros(())
    for first in range(2):
        for steps in product(product(range(2), range(2)), repeat=TwoStates.length):
            state, chance, rewards, logs = first, TwoStates.first[first], [], []
            for action, following in steps:
                chance *= TwoStates.moves[state, action, following]
                rewards.append(TwoStates.rewards[state, action, following])
                logs.append(log_p[state, action])
                state = following
            weight = chance * torch.stack(logs).sum().exp().detach()
            for t, log in enumerate(logs):
                rest = sum(DISCOUNT**k * r for k, r in enumerate(rewards[t:]))
                total = total + weight * (DISCOUNT**t if with_factors else 1.0) * log * rest
    gradients = torch.autograd.grad(total, list(module.parameters()), materialize_grads=True)
    return torch.cat([gradient.flatten() for gradient in gradients]).numpy()


def expected_return(module):
    """By backward induction, as a function of the parameters."""
    out = module((torch.arange(2).view(1, 2),))
    p = (out[0] if isinstance(out, tuple) else out).probabilities[0].double()
    moves, rewards = torch.tensor(TwoStates.moves), torch.tensor(TwoStates.rewards)
    values = torch.zeros(2, dtype=torch.float64)
    for _ in range(TwoStates.length):
        values = (p.unsqueeze(2) * moves * (rewards + DISCOUNT * values)).sum(dim=(1, 2))
    return values @ torch.tensor(TwoStates.first)


def estimates(agent, num_updates):
    """(U, P) the ascent directions of updates that change nothing."""
    update, found = agent.learners._updates[0], []
    inner = update._run

    def run(values, *rest):
        told = inner(values, *rest)
        found.append(-update._flat.gradients[0].numpy().copy())
        return told

    update._run = run
    agent.learn(num_updates * agent.config.episodes_per_update * TwoStates.length)
    return np.stack(found)


@pytest.mark.parametrize(
    ("baseline", "with_factors"),
    [
        (True, True),
        (False, False),
        pytest.param(False, True, marks=pytest.mark.slow),
        pytest.param(True, False, marks=pytest.mark.slow),
    ],
)
def test_the_estimate_is_the_policy_gradient(baseline, with_factors):
    agent = REINFORCE(
        TwoStates(),
        seed=0,
        discount=DISCOUNT,
        learning_rate=0.0,
        value_weight=0.0,
        episodes_per_update=50,
        hidden_sizes=(3,),
        baseline=baseline,
        discount_in_gradient=with_factors,
    )
    flat = agent.learners._updates[0]._flat
    policys = flat.values[:, : 2 * 3 + 3 + 3 * 2 + 2]  # they come first
    policys.copy_(torch.randn(policys.shape, generator=torch.Generator().manual_seed(1)))
    exact = exact_gradient(flat.module, with_factors)
    if with_factors:
        found = torch.autograd.grad(
            expected_return(flat.module), list(flat.module.parameters()), materialize_grads=True
        )
        direct = torch.cat([gradient.flatten() for gradient in found]).numpy()
        np.testing.assert_allclose(exact, direct, atol=1e-5)
    drawn = estimates(agent, 50)
    assert len(drawn) == 50
    mean, error = drawn.mean(axis=0), drawn.std(axis=0, ddof=1) / 50**0.5
    moved = error > 1e-9
    assert moved.sum() > 10
    np.testing.assert_allclose(mean[~moved], exact[~moved], atol=1e-6)
    z = (mean - exact)[moved] / error[moved]
    assert np.abs(z).max() < 4
    # the estimate is good enough to tell the two apart
    other = exact_gradient(flat.module, not with_factors)
    assert np.abs((mean - other)[moved] / error[moved]).max() > 8
    assert np.linalg.norm(mean - exact) < 0.1 * np.linalg.norm(exact)


class WellPaid(TwoStates):
    """Ten more for every step, whatever is done."""

    rewards = TwoStates.rewards + 10


@pytest.mark.slow
def test_a_baseline_near_the_values_narrows_the_estimate():
    spreads = []
    for baseline in (False, True):
        settings = {"discount": DISCOUNT, "hidden_sizes": (8,), "baseline": baseline}
        agent = REINFORCE(WellPaid(), seed=0, learning_rate=1e-2, **settings)
        if baseline:
            agent.learn(1_500)
        saved = agent.learners.arrays()
        fixed = REINFORCE(
            WellPaid(), seed=0, learning_rate=0.0, episodes_per_update=20, **settings
        )
        values = fixed.learners._updates[0]._flat
        for name, view in values.views(values.values).items():
            if name.startswith("value"):
                view.copy_(torch.from_numpy(saved[f"parameters.{name}"]))
        drawn = estimates(fixed, 30)
        policy = slice(0, sum(p.numel() for n, p in _policy_parameters(values.module)))
        spreads.append(drawn[:, policy].var(axis=0).sum())
    assert spreads[1] < 0.3 * spreads[0]


def _policy_parameters(module):
    return [(n, p) for n, p in module.named_parameters() if not n.startswith("value")]


# ---- probes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes", others_slow({}, {"average_over": "steps"}, {"optimiser": "rmsprop"})
)
def test_values_of_probes_with_one_action(changes):
    near = {"abs": 0.06}
    agent = learnt(probes.value_probe, **changes)
    assert agent.state_values(seeing(0.0)) == pytest.approx(1.0, **near)
    agent = learnt(probes.observation_probe, **changes)
    values = agent.state_values(np.array([[-1.0], [1.0]], np.float32))
    assert values == pytest.approx([-1.0, 1.0], **near)
    agent = learnt(probes.discount_probe, **changes)
    assert agent.state_values(seeing(0.0)) == pytest.approx(0.5, **near)
    assert agent.state_values(seeing(1.0)) == pytest.approx(1.0, **near)


@pytest.mark.parametrize(
    "changes",
    others_slow(
        {"normalise_returns": True, "entropy_weight": 0.01},
        {},
        {"baseline": False},
        {"discount_in_gradient": True, "num_envs": 1, "episodes_per_update": 4},
    ),
)
def test_actions_of_probes_with_two(changes):
    assert learnt(probes.action_probe, **changes).predict(seeing(0.0))[0] == 1
    agent = learnt(probes.policy_probe, **changes)
    assert agent.predict(np.array([[-1.0], [1.0], [1.0]], np.float32))[0].tolist() == [0, 1, 1]
    assert agent.episode_returns[-50:].mean() > 0.9


@pytest.mark.parametrize(
    "changes", others_slow({}, {"state_dependent_sigma": True}, {"squash": True})
)
def test_numbers_as_actions(changes):
    agent = learnt(lambda: probes.policy_probe(continuous=True), 3_000, **changes)
    for seen in (-1.0, 1.0):
        assert agent.predict(seeing(seen))[0] == pytest.approx([0.5 * seen], abs=0.2)


def test_truncation_is_bootstrapped_by_the_baseline():
    agent = learnt(probes.truncation_probe, 4_000, episodes_per_update=2)
    assert agent.state_values(seeing(0.0)) == pytest.approx(2.0, abs=0.15)


def test_members_with_settings_of_their_own():
    own = [{"discount": 0.25}, {"learning_rate": 0.0}, {"reward_scale": 0.2}]
    population = Population(REINFORCE, probes.discount_probe, seeds=3, settings=own, **SMALL)
    before = population.members[1].state_values(seeing(0.0))
    population.learn(1_500)
    first = [float(member.state_values(seeing(0.0))) for member in population.members]
    assert first == pytest.approx([0.25, float(before), 0.1], abs=0.06)


def test_without_a_baseline_a_truncated_return_ends():
    agent = REINFORCE(
        probes.truncation_probe(), seed=0, baseline=False, discount=0.5, episodes_per_update=99
    ).learn(10)
    returns = agent.learners._storage.take(0, discount=None, over_episodes=True).returns[0]
    assert returns.tolist() == pytest.approx([2 - 0.5**k for k in range(9, -1, -1)])
    assert agent.state_values(seeing(0.0)) == 0


# ---- stopping and going on, alone and together --------------------------------------------------


def equal_files(one, other):
    arrays, header = read_arrays(one, expected_format="gymagine-deep-agent-1")
    others, other_header = read_arrays(other, expected_format="gymagine-deep-agent-1")
    assert arrays.keys() == others.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, others[name], err_msg=name)
    assert header == other_header


@pytest.mark.parametrize(
    ("env_id", "settings"),
    [
        ("CartPole-v1", {"num_envs": 2, "episodes_per_update": 3}),
        ("CartPole-v1", {"optimiser": "rmsprop", "baseline": False}),
        ("Pendulum-v1", {"num_envs": 3, "episodes_per_update": 3, "squash": True}),
    ],
)
def test_resuming_leaves_the_same_bytes(env_id, settings, tmp_path):
    """In the middle of episodes, with ended ones waiting."""
    REINFORCE(env_id, seed=3, **settings).learn(900).save(tmp_path / "whole")
    agent = REINFORCE(env_id, seed=3, **settings).learn(408)
    assert (agent.learners._storage.lengths > 0).any()
    agent.save(tmp_path / "half")
    left = 900 - agent.num_timesteps
    agent.learn(left).save(tmp_path / "twice")
    REINFORCE.load(tmp_path / "half", env=env_id).learn(left).save(tmp_path / "resumed")
    equal_files(tmp_path / "whole", tmp_path / "twice")
    equal_files(tmp_path / "whole", tmp_path / "resumed")


def test_budgets_are_exact():
    agent = REINFORCE("CartPole-v1", seed=0)
    for steps in (1, 7, 100):
        before = agent.num_timesteps
        assert agent.learn(steps).num_timesteps == before + steps


def test_members_are_agents_of_their_seeds():
    seeds, settings = [3, 11, 4], {"num_envs": 2, "episodes_per_update": 2}
    together = Population(REINFORCE, "CartPole-v1", seeds=seeds, **settings).learn(1_500)
    updates = together.members[0].learners.updates
    assert len(set(updates.tolist())) > 1  # each at its own times
    for i, (seed, member) in enumerate(zip(seeds, together.members, strict=True)):
        alone = REINFORCE("CartPole-v1", seed=seed, **settings).learn(1_500)
        np.testing.assert_array_equal(member.episode_returns, alone.episode_returns)
        assert updates[i] == alone.learners.updates[0] > 0
        assert member._scalars()["train/n_updates"] == updates[i]
        seen = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
        np.testing.assert_allclose(
            member.state_values(seen), alone.state_values(seen), rtol=2e-3, atol=2e-3
        )


def test_an_update_leaves_the_other_members_alone():
    population = Population(REINFORCE, "CartPole-v1", seeds=3, episodes_per_update=1)
    learners = population.members[0].learners
    seen = np.ones(4, np.float32)
    before = [member.state_values(seen) for member in population.members]
    while learners.updates.sum() == 0:
        population.learn(1)
    (who,) = np.flatnonzero(learners.updates)
    for i, member in enumerate(population.members):
        assert (member.state_values(seen) != before[i]) == (i == who)


def test_a_population_resumes_to_the_same_bytes(tmp_path):
    def make():
        return Population(REINFORCE, "CartPole-v1", seeds=3, episodes_per_update=2)

    make().learn(400).save(tmp_path / "whole")
    make().learn(150).save(tmp_path / "half")
    Population.load(tmp_path / "half", REINFORCE, "CartPole-v1").learn(250).save(
        tmp_path / "resumed"
    )
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "resumed").read_bytes()


class Moody(gymnasium.Wrapper):
    """Raises at its 150th step."""

    def __init__(self):
        super().__init__(gymnasium.make("CartPole-v1"))
        self.count = 0

    def step(self, action):
        self.count += 1
        if self.count == 150:
            raise RuntimeError("no more")
        return self.env.step(action)


def test_what_was_learnt_stays_and_what_was_cut_is_forgotten(tmp_path):
    agent = REINFORCE(Moody(), seed=0, episodes_per_update=100)
    with pytest.raises(RuntimeError, match="no more"):
        agent.learn(1_000)
    assert agent.num_timesteps == 149
    agent.save(tmp_path / "agent")
    assert REINFORCE.load(tmp_path / "agent").num_timesteps == 149
    agent.learn(300)
    assert agent.num_timesteps == 449
    storage = agent.learners._storage
    assert storage.starts[0] == agent.episode_lengths.sum() < 449


def test_mistakes():
    with pytest.raises(ValueError, match=r"episodes_per_update in \[1"):
        REINFORCE("CartPole-v1", episodes_per_update=0)
    with pytest.raises(ValueError, match="average_over as one of"):
        REINFORCE("CartPole-v1", average_over="rows")
    with pytest.raises(TypeError, match="did you mean baseline"):
        REINFORCE("CartPole-v1", base_line=True)
    with pytest.raises(ValueError, match="differ"):
        Population(REINFORCE, "CartPole-v1", seeds=2, settings=[{}, {"baseline": False}])


@pytest.mark.slow
def test_it_learns_cartpole():
    population = Population(
        REINFORCE,
        "CartPole-v1",
        seeds=3,
        num_envs=8,
        episodes_per_update=8,
        learning_rate=3e-3,
        normalise_returns=True,
    ).learn(100_000)
    assert min(member.episode_returns.mean() for member in population.members) > 300
