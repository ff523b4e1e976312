import dataclasses

import numpy as np
import pytest
import torch
from gymagine.generative.baselines.conditional_gaussian import ConditionalGaussian
from gymagine.generative.data.environments import Transitions
from gymagine.generative.open_loop import open_loop_errors
from gymagine.generative.world_model import WorldModel
from gymagine.generative.world_model_fitting import fit_world_model
from gymnasium import spaces

torch.set_num_threads(1)

SPACE = spaces.Box(-np.inf, np.inf, (1,), dtype=np.float64)


def line(num_episodes, seed=0, length=12):
    """o' = 0.9 o + a: what a linear model knows exactly."""
    rng = np.random.default_rng(seed)
    seen, done_there, after = [], [], []
    for _ in range(num_episodes):
        place = rng.normal(size=1)
        for _ in range(length):
            action = rng.normal(size=1)
            seen.append(place)
            done_there.append(action)
            place = 0.9 * place + action
            after.append(place)
    ends = np.arange(1, num_episodes * length + 1) % length == 0
    parts = (np.stack(part) for part in (seen, done_there, after))
    observation, action, following = parts
    return Transitions(observation, action, np.zeros(len(ends)), following, ends, ~ends & False)


def untrained(data):
    model = WorldModel(
        SPACE,
        SPACE,
        ConditionalGaussian,
        hyperparameters={"hidden_sizes": (16,)},
        termination="never",
    )
    fit_world_model(model, data, num_updates=1)
    return model


@pytest.mark.filterwarnings("ignore:the world model's error")
def test_controls_are_what_they_say():
    known, data = line(30), line(20, seed=1)
    model = untrained(known)
    horizons = (1, 3, 12)
    found = open_loop_errors(model, data, known, horizons=horizons)
    assert found.horizons == horizons
    np.testing.assert_allclose(found.linear, 0, atol=1e-6)
    # by hand: from first steps only, as only they have twelve more
    first = np.arange(0, 240, 12)
    assert found.num_starts == 20
    scale = float(model.observation_codec.normaliser.scale)
    for index, ahead in enumerate(horizons):
        moved = data.next_observation[first + ahead - 1] - data.observation[first]
        expected = np.sqrt((moved**2).mean()) / scale
        assert found.copying[index] == pytest.approx(expected, rel=1e-5)
    assert all(error > 0.1 for error in found.model)
    # of draws with deviation s around the truth or off it, the mean is nearer than one is
    means, single = (
        open_loop_errors(model, data, known, horizons=(1,), num_draws=num) for num in (64, 1)
    )
    assert means.model[0] < 0.9 * single.model[0]


@pytest.mark.slow
def test_a_trained_model_is_between_its_controls():
    known, data = line(60), line(20, seed=1)
    model = untrained(known)
    fit_world_model(model, known, num_updates=400, learning_rate=5e-3)
    found = open_loop_errors(model, data, known, horizons=(1, 5, 10))
    for own, copied in zip(found.model, found.copying, strict=True):
        assert 0 < own < 0.3 * copied
    assert found.model == open_loop_errors(model, data, known, horizons=(1, 5, 10)).model


@pytest.mark.filterwarnings("ignore:the world model's error")
def test_mistakes():
    known = line(30)
    model = untrained(known)
    for horizons in ((), (0, 1), (2, 1), (1, 1)):
        with pytest.raises(ValueError, match="horizons that ascend"):
            open_loop_errors(model, known, known, horizons=horizons)
    with pytest.raises(ValueError, match="at least 13 steps, got 12"):
        open_loop_errors(model, known, known, horizons=(13,))
    assert open_loop_errors(model, known, known, horizons=(12, 13)).horizons == (12,)
    for name in ("num_starts", "num_draws"):
        with pytest.raises(ValueError, match=f"{name} of at least 1, got 0"):
            open_loop_errors(model, known, known, **{name: 0})
    none = Transitions(*(getattr(known, each.name)[:0] for each in dataclasses.fields(known)))
    for arguments in ((none, known), (known, none)):
        with pytest.raises(ValueError, match="at least one step, got none"):
            open_loop_errors(model, *arguments)
