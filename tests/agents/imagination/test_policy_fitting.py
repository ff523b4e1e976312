"""What is held out, and how far actions are off beside controls."""

import numpy as np
import pytest
import torch
from gymagine.agents.imagination.policy_fitting import action_errors, split_windows
from gymagine.generative.chunks import chunk_windows
from gymagine.generative.data.environments import Transitions


def test_no_window_lies_in_both_parts():
    """Of one episode the last steps are held out, and what reaches over is in neither part."""
    x, no = np.zeros((40, 1)), np.zeros(40, dtype=bool)
    data = Transitions(x, x, np.zeros(40), x, np.arange(40) == 39, no)
    windows = chunk_windows(data, observation_horizon=1, prediction_horizon=5)
    train, rest = split_windows(windows, np.zeros(40, dtype=np.int64), 0.25, 0)
    assert windows.acted[train].max() == 29 and windows.acted[rest].min() == 30
    assert len(train) == 26 and len(rest) == 10
    with pytest.raises(ValueError, match="expected episodes with windows to learn from"):
        split_windows(windows.take(train), np.zeros(40, dtype=np.int64), 0.25, 0)


def test_energy_scores_by_hand():
    """Truths of -1 and 1 at even odds: their own distribution scores 1 - 1 / 2, the mean 1."""
    rng = torch.Generator().manual_seed(0)
    truth = torch.randint(2, (2_000, 1, 1), generator=rng) * 2.0 - 1
    context = torch.randn(2_000, 1, generator=rng)
    known = torch.ones(2_000, 1, dtype=torch.bool)

    def own(at):
        return torch.randint(2, (len(at), 1, 1), generator=rng) * 2.0 - 1

    found = action_errors(own, (context, truth), (context, truth), known)
    assert found.energy_score == pytest.approx(0.5, abs=0.05)
    assert found.constant_energy_score == pytest.approx(1, abs=0.02)
    assert found.constant_error == pytest.approx(1, abs=0.02)
    assert found.beats_controls
    # the mean of 8 draws has an eighth of their variance
    assert found.error == pytest.approx(np.sqrt(1 + 1 / 8), abs=0.05)


def test_padding_is_not_measured():
    truth = torch.zeros(50, 2, 1)
    truth[:, 0, 0] = torch.linspace(-1, 1, 50)
    known = torch.tensor([[True, False]]).expand(50, 2)

    def wrong_where_nothing_is_known(at):
        drawn = truth.clone()
        drawn[:, 1] = 100
        return drawn

    data = (torch.zeros(50, 1), truth)
    found = action_errors(wrong_where_nothing_is_known, data, data, known)
    assert max(found.error, found.energy_score) < 1e-9
