"""The bonus against true visit counts, files against uninterrupted runs, and its labels."""

import copy
import math

import gymnasium
import numpy as np
import pytest
import torch
from gymagine.agents import QLearning
from gymagine.envs import TabularEnv, grid_world, river_swim
from gymagine.envs.novelty_bonus import NoveltyBonus
from gymagine.generative import EDM, MADE, VAE, Codec, GatedPixelCNN, RealNVP
from gymagine.generative.baselines.categorical_counts import CategoricalCounts
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import TimeLimit, TransformObservation, TransformReward
from scipy.stats import spearmanr

SIZE = 4

pytestmark = pytest.mark.usefixtures("without_shape_checks")


def grid():
    rows = ["S" + "." * (SIZE - 1)] + ["." * SIZE] * (SIZE - 1)
    return TimeLimit(TabularEnv(grid_world(rows, step_reward=0.0)), 40)


def cells():
    """Row and column as two categories."""
    seen = spaces.MultiDiscrete([SIZE, SIZE])
    return TransformObservation(grid(), lambda s: np.array([s // SIZE, s % SIZE]), seen)


def walk(env, num, seed=0):
    """Steps of a random walk: (observation, reward, info), resets included (None)."""
    random = np.random.default_rng(seed)
    observation, _ = env.reset(seed=seed)
    yield observation, None, None
    for _ in range(num):
        observation, reward, terminated, truncated, info = env.step(int(random.integers(4)))
        yield observation, reward, info
        if terminated or truncated:
            observation, _ = env.reset()
            yield observation, None, None


def test_pseudo_counts_of_a_table_are_the_true_visits():
    env = NoveltyBonus(grid(), CategoricalCounts(SIZE**2, prior=0.5), scale=2.0)
    visits = np.zeros(SIZE**2)
    for state, reward, info in walk(env, 300):
        if info is not None:
            count = visits[state] + 0.5
            assert info["novelty"]["pseudo_count"] == pytest.approx(count)
            assert reward == pytest.approx(2.0 / math.sqrt(count))
            assert info["novelty"]["kind"] == env.kind == "exact"
        visits[state] += 1
    assert env.num_updates == visits.sum()
    assert env.density.counts.tolist() == visits.tolist()


def made():
    torch.manual_seed(0)
    return MADE((2 * SIZE,), conditional="bernoulli", hidden_sizes=(32,))


def gains(env):
    """Of one more visit to each cell, which is not kept."""
    found = np.zeros((SIZE, SIZE))
    for cell in np.ndindex(SIZE, SIZE):
        meter = copy.deepcopy(env._meter)
        found[cell] = meter.learn(env._event(np.array(cell))).nats
    return found


@pytest.mark.parametrize(
    ("make", "kind", "least"),
    [
        (made, "exact", 0.8),
        pytest.param(
            lambda: VAE((2 * SIZE,), decoder="bernoulli", hidden_sizes=(32,), latent_size=4),
            "bound",
            0.6,
            marks=pytest.mark.slow,
        ),
        pytest.param(
            lambda: EDM((2 * SIZE,), hidden_sizes=(32,)),
            "surrogate",
            0.5,
            marks=pytest.mark.slow,
        ),
    ],
    ids=["exact", "bound", "surrogate"],
)
def test_what_was_seldom_seen_gains_more(make, kind, least):
    """Ranks of gains against true visits; those of the untrained generator are the control."""
    torch.manual_seed(0)
    env = NoveltyBonus(cells(), make(), kind=kind, learning_rate=3e-4)
    untrained, visits = gains(env), np.zeros((SIZE, SIZE))
    for cell, _, info in walk(env, 400):
        visits[tuple(cell)] += 1
        assert info is None or info["novelty"]["kind"] == kind
    found, control = (spearmanr(-g.ravel(), visits.ravel())[0] for g in (gains(env), untrained))
    assert found > least
    assert found > control + 0.2


def test_adding_replacing_shifting_and_clipping():
    def first(**settings):
        env = TransformReward(grid(), lambda reward: reward + 3.0)
        env = NoveltyBonus(env, CategoricalCounts(SIZE**2, prior=1.0), **settings)
        env.reset(seed=0)
        _, reward, _, _, info = env.step(1)  # to a cell never seen: a count of the prior
        return reward, info["novelty"]

    assert first(scale=0.5)[0] == pytest.approx(3.5)
    reward, novelty = first(scale=0.5, mode="replace")
    assert reward == novelty["bonus"] == pytest.approx(0.5)
    assert novelty["reward"] == 3.0
    assert not novelty["clipped"]
    assert first(scale=0.5, shift=1.0)[0] == pytest.approx(3.0)
    reward, novelty = first(scale=0.5, largest=0.5)
    assert reward == pytest.approx(3.25)
    assert novelty["clipped"]


def test_counts_by_the_gain_are_scaled_as_the_paper_scales_them():
    env = NoveltyBonus(cells(), made(), gain_scale=0.2, gain_decay=0.5, scale=1.0)
    for n, (_, reward, info) in enumerate(walk(env, 30), 1):
        if info is not None:
            gain = max(0.0, info["novelty"]["gain"])
            worth = math.sqrt(math.expm1(0.2 / math.sqrt(n) * gain))
            assert reward == pytest.approx(worth)


def test_evaluation_learns_nothing_and_pays_nothing():
    env = NoveltyBonus(grid(), CategoricalCounts(SIZE**2))
    env.training = False
    assert all(info is None or "novelty" not in info for _, _, info in walk(env, 10))
    assert env.num_updates == 0
    check_env(env, skip_render_check=True)


def test_a_run_goes_on_from_its_file(tmp_path):
    def wrapped():
        numbers = spaces.Box(0, 100, (2,))
        env = TransformObservation(grid(), lambda s: np.float32([s // SIZE, s % SIZE]), numbers)
        torch.manual_seed(0)
        codec = Codec.fitted(numbers, np.float32([[0, 0], [SIZE, SIZE]]))
        density = RealNVP((2,), num_couplings=2, hidden_sizes=(8,))
        return NoveltyBonus(env, density, codec=codec, learning_rate=1e-3, optimiser="adam")

    env, other = wrapped(), wrapped()
    assert len(list(walk(env, 20))) == 21
    env.save(tmp_path / "novelty")
    other._codec.normaliser.shift.zero_()
    other.load(tmp_path / "novelty")
    assert list(rewards(walk(other, 20, seed=1))) == list(rewards(walk(env, 20, seed=1)))
    assert other.num_updates == env.num_updates == 42
    with pytest.raises(ValueError, match="expected settings"):
        NoveltyBonus(grid(), CategoricalCounts(SIZE**2)).load(tmp_path / "novelty")


def rewards(steps):
    return (reward for _, reward, _ in steps)


def test_pictures_are_cut_into_levels():
    """Eight grey levels, as Ostrovski et al. take them."""
    space = spaces.Box(0, 255, (4, 4, 1), np.uint8)
    env = TransformObservation(grid(), lambda s: np.full((4, 4, 1), s, np.uint8), space)
    small = {"num_features": 4, "num_layers": 1, "num_head_features": 4}
    density = GatedPixelCNN((1, 4, 4), conditional="categorical", num_levels=8, **small)
    env = NoveltyBonus(env, density)
    levels = [int(env._event(np.full((4, 4, 1), b, np.uint8)).max()) for b in (0, 31, 32, 255)]
    assert levels == [0, 0, 1, 7]
    assert all(math.isfinite(reward) for reward in rewards(walk(env, 5)) if reward is not None)


def test_spec_makes_it_again_with_the_density_as_it_was_given():
    env = NoveltyBonus(gymnasium.make("FrozenLake-v1"), CategoricalCounts(16))
    env.reset(seed=0)
    again = gymnasium.make(env.spec)
    assert isinstance(again, NoveltyBonus)
    assert again.num_updates == again.density.counts.sum() == 0


def first_large_reward(bonus, seed, budget=4_500):
    """Steps of Q-learning with a table of zeros to the reward upstream."""
    found = []
    model = river_swim(num_states=6, small_reward=0.005, large_reward=1.0)

    def note(reward):
        found.append(reward)
        return reward

    env = TransformReward(TimeLimit(TabularEnv(model), 200), note)
    if bonus:
        env = NoveltyBonus(env, CategoricalCounts(6), scale=0.5)
    agent = QLearning(env, seed=seed, discount=0.95, step_size=0.2, step_size_decay=0.0)
    for _ in range(0, budget, 500):
        agent.learn(500)
        if max(found) == 1.0:
            return found.index(1.0)
    return budget


@pytest.mark.slow
def test_a_river_is_swum_with_the_bonus_and_not_without():
    assert max(first_large_reward(True, seed) for seed in range(2)) < 4_500
    assert min(first_large_reward(False, seed) for seed in range(2)) == 4_500


def test_mistakes_are_named():
    lake = gymnasium.make("FrozenLake-v1")
    with pytest.raises(ValueError, match=r"events of shape \(16,\).* got a MADE of \(4,\)"):
        NoveltyBonus(lake, MADE((4,)))
    with pytest.raises(ValueError, match="gain is bound"):
        NoveltyBonus(lake, VAE((16,)), kind="exact")
    with pytest.raises(ValueError, match="counts by probabilities, got a RealNVP"):
        NoveltyBonus(lake, RealNVP((16,)), counts="probabilities")
    with pytest.raises(TypeError, match="did you mean scale"):
        NoveltyBonus(lake, CategoricalCounts(16), scales=1.0)
    with pytest.raises(ValueError, match="mode as one of"):
        NoveltyBonus(lake, CategoricalCounts(16), mode="multiply")
    with pytest.raises(ValueError, match="generator of observations in Box"):
        NoveltyBonus(gymnasium.make("CartPole-v1"), CategoricalCounts(4))
    with pytest.raises(TypeError, match="one environment to explore"):
        NoveltyBonus("FrozenLake-v1", CategoricalCounts(16))
    with pytest.raises(ValueError, match="expected a codec of"):
        NoveltyBonus(lake, CategoricalCounts(16), codec=Codec(spaces.Discrete(4)))
