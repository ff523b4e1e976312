import numpy as np
import pytest
import torch
from gymagine.generative.data.environments import Transitions, transitions
from gymagine.generative.tabular_world_model import TabularWorldModel
from gymagine.generative.world_model_fitting import fit_scales, fit_world_model
from gymnasium import spaces
from scipy.stats import binomtest

torch.set_num_threads(1)

FOUR, TWO = spaces.Discrete(4, start=10), spaces.Discrete(2, start=-1)


def steps(rows):
    """Of (observation, action, reward, next observation, terminated)."""
    before, actions, rewards, after, ended = (
        np.array(column) for column in zip(*rows, strict=True)
    )
    ended = ended.astype(bool)
    return Transitions(before, actions, rewards.astype(float), after, ended, ended & False)


DATA = steps(
    [
        (10, -1, 0.0, 11, 0),
        (10, -1, 0.0, 11, 0),
        (10, -1, 0.0, 11, 0),
        (10, -1, 2.0, 13, 1),
        (11, 0, 1.0, 11, 0),
    ]
)


def counted(data=DATA):
    model = TabularWorldModel(FOUR, TWO)
    model.count(data)
    return model


def imagined(model, observation, action, num=2_000, **more):
    state = model.begin(np.full(num, observation))
    rng = torch.Generator().manual_seed(0)
    return model.step(state, np.full(num, action), rng=rng, **more)


def test_outcomes_are_drawn_together_as_often_as_they_were_seen():
    after, step = imagined(counted(), 10, -1)
    many = step.observation == 13
    assert set(np.unique(step.observation)) == {11, 13}
    np.testing.assert_array_equal(step.terminated, many)
    np.testing.assert_array_equal(step.reward, 2.0 * many)
    assert binomtest(int(many.sum()), len(many), 0.25).pvalue > 1e-4
    np.testing.assert_array_equal(after.numbers.numpy(), step.observation - 10)
    assert step.disagreement == pytest.approx(1 / np.sqrt(5))


def test_temperature_sharpens_and_flattens():
    """Of counts 3 and 1: 9 to 1 at a half, root of 3 to 1 at two, all at none."""
    model = counted()
    for temperature, share in ((0.5, 0.1), (2.0, 1 / (1 + np.sqrt(3))), (1.0, 0.25), (0.0, 0.0)):
        expected = [1 - share, share, 1.0]
        np.testing.assert_allclose(model.probabilities(temperature).numpy(), expected)
    _, step = imagined(model, 10, -1, temperature=0.0)
    assert (step.observation == 11).all()


def test_what_was_never_tried_stays_where_it_is():
    for model in (counted(), TabularWorldModel(FOUR, TWO)):
        _, step = imagined(model, 12, 0, num=5)
        assert (step.observation == 12).all()
        assert not step.reward.any() and not step.terminated.any()
        assert (step.disagreement == 1).all()


def test_many_pairs_at_once():
    """FrozenLake's own probabilities, of an even number of tries of all pairs."""
    import gymnasium

    exact = gymnasium.make("FrozenLake-v1").unwrapped.P
    rows = [
        (state, action, reward, after, ended)
        for state, actions in exact.items()
        for action, outcomes in actions.items()
        for probability, after, reward, ended in outcomes
        for _ in range(round(3 * probability))
    ]
    model = TabularWorldModel(spaces.Discrete(16), spaces.Discrete(4))
    model.count(steps(rows))
    pairs = np.arange(64).repeat(500)
    state = model.begin(pairs // 4)
    _, step = model.step(state, pairs % 4, rng=torch.Generator().manual_seed(0))
    for pair in range(64):
        expected = np.zeros(16)
        for probability, after, _, _ in exact[pair // 4][pair % 4]:
            expected[after] += probability
        own = np.bincount(step.observation[pairs == pair], minlength=16) / 500
        assert np.abs(own - expected).max() < 0.09
        assert not own[expected == 0].any()


def test_files_bring_back_the_same_dream(tmp_path):
    model = counted()
    model.save(tmp_path / "model")
    loaded = TabularWorldModel.load(tmp_path / "model")
    for own, expected in zip(
        imagined(loaded, 10, -1)[1:], imagined(model, 10, -1)[1:], strict=True
    ):
        np.testing.assert_array_equal(own.observation, expected.observation)
    assert bool(loaded.is_fitted)


@pytest.mark.filterwarnings("ignore:the world model's error")
def test_it_is_fitted_as_others_are():
    data = transitions("FrozenLake-v1", 3_000)
    model = TabularWorldModel(spaces.Discrete(16), spaces.Discrete(4))
    fit_scales(model, data)
    assert not model.counts.numel()  # scales are no knowledge
    found = fit_world_model(model, data)
    assert float(model.counts.sum()) == pytest.approx(2_700, abs=60)  # a tenth is held out
    assert found.members == () and found.head is None
    # what is slippery has an error: the best guess has the variance of the outcomes
    assert found.error < found.linear_error < found.copying_error
    assert found.end_loss < found.base_end_loss


def test_what_was_never_tried_does_not_end_where_all_that_was_does():
    model = counted(steps([(10, -1, 3.0, 13, 1), (12, 0, 3.0, 13, 1)]))
    for observation, action in ((10, 0), (11, -1), (13, 0)):
        _, step = imagined(model, observation, action, num=20)
        assert (step.observation == observation).all()
        assert not step.terminated.any() and not step.reward.any()


@pytest.mark.parametrize("reward", [0.0, 1e-9, 0.1, -0.04])
def test_rewards_that_never_vary_have_no_scale(reward):
    """Whatever the rewards, only where one goes is to be guessed: copying never is right."""
    walk = [(10 + place % 4, -1, reward, 10 + (place + 1) % 4, 0) for place in range(97)]
    found = fit_world_model(TabularWorldModel(FOUR, TWO), steps(walk))
    assert found.error < 1e-9
    assert found.copying_error == pytest.approx(np.sqrt(2 / 5))


def test_mistakes():
    with pytest.raises(ValueError, match="Discrete observations to count, got Box"):
        TabularWorldModel(spaces.Box(-1, 1, (2,)), TWO)
    with pytest.raises(ValueError, match="Discrete actions"):
        TabularWorldModel(FOUR, spaces.MultiBinary(2))
    model = counted()
    with pytest.raises(ValueError, match="expected 3 actions, got 2"):
        model.step(model.begin(np.array([10, 11, 12])), np.array([0, 0]))
    with pytest.raises(ValueError):
        model.begin(np.array([3]))
    three = model.begin(np.array([10, 11, 12]))
    with pytest.raises(ValueError, match="expected 3 observations, got 1"):
        model.observe(three, np.array([0, 0, 0]), np.array([10]))
    with pytest.raises(ValueError, match="temperature of at least 0, got -1"):
        model.step(three, np.array([0, 0, 0]), temperature=-1.0)
    for reward in (np.nan, np.inf):
        with pytest.raises(ValueError, match="finite rewards"):
            fit_world_model(model, steps([(10, 0, reward, 11, 0)] * 20))
