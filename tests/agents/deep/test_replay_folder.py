"""Observations in files are those in memory, and a folder that went on is found out."""

import logging

import numpy as np
import pytest
import torch
from gymagine.agents.deep.observation_leaves import ObservationLeaves
from gymagine.agents.deep.replay_memory import ReplayMemory
from gymnasium import spaces

IMAGES = ObservationLeaves(spaces.Box(0, 255, (2, 3, 3), np.uint8))
CAPACITY = 20


def new_memory(folder, **changes):
    settings = {"num_actions": 2, "n_step": 2, "frame_stack": 2, "priority_exponent": 0.5}
    return ReplayMemory(IMAGES, CAPACITY, **{**settings, "folder": folder, **changes})


def play(memory, steps, *, first=0):
    """An episode of 9 steps after the other; what happens depends on the step alone."""
    for step in range(first, first + steps):
        frames = np.random.default_rng((step, 0)).integers(0, 256, (1, 2, 3, 3), dtype=np.uint8)
        if step % 9 == 0:
            begun = np.repeat(frames[:, 1:], 2, axis=1)
            memory.begin(np.array([True]), (begun,))
        ends = np.array([step % 9 == 8])
        following = frames[:, ::-1].copy()
        no = np.array([False])
        actions, rewards = np.array([step % 2]), np.array([float(step)])
        memory.add(np.array([True]), actions, rewards, no, ends, (following,))


def same(first, second):
    for alpha, beta in zip(first.__dict__.values(), second.__dict__.values(), strict=True):
        parts = zip(alpha, beta, strict=True) if isinstance(alpha, tuple) else [(alpha, beta)]
        for one, other in parts:
            if isinstance(one, torch.Tensor):
                assert torch.equal(one, other)
            else:
                assert np.array_equal(one, other)


def drawn(memory):
    return memory.sample(200, [np.random.default_rng(1)])


@pytest.mark.parametrize("steps", [5, 200])
def test_files_hold_what_memory_holds(steps, tmp_path):
    filed, plain = new_memory(tmp_path / "ring"), new_memory(None)
    for memory in (filed, plain):
        play(memory, steps)
    same(drawn(filed), drawn(plain))
    size = (tmp_path / "ring" / "observations.0.npy").stat().st_size
    assert size == filed.layout.observation_bytes + 128  # numpy's header


@pytest.mark.parametrize("steps", [0, 5, 200])
def test_a_run_that_ended_in_order_resumes_exactly(steps, tmp_path):
    plain = new_memory(None)
    first = new_memory(tmp_path)
    for memory in (first, plain):
        play(memory, steps)
    kept = {name: array.copy() for name, array in first.arrays().items()}
    assert not any(name.startswith("observations") for name in kept)
    del first
    second = new_memory(tmp_path)
    second.restore(kept)
    for memory in (second, plain):
        play(memory, 30, first=steps)
    same(drawn(second), drawn(plain))


def test_a_killed_run_resumes_exactly_while_nothing_was_overwritten(tmp_path):
    first = new_memory(tmp_path)
    play(first, 10)
    kept = {name: array.copy() for name, array in first.arrays().items()}
    play(first, 6, first=10)  # after the checkpoint; then the process ends
    del first
    second, plain = new_memory(tmp_path), new_memory(None)
    second.restore(kept)
    play(second, 40, first=10)
    play(plain, 50)
    same(drawn(second), drawn(plain))


def test_a_killed_run_loses_what_was_overwritten_and_says_so(tmp_path, caplog):
    first, plain = new_memory(tmp_path), new_memory(None)
    for memory in (first, plain):
        play(memory, 100)
    kept = {name: array.copy() for name, array in first.arrays().items()}
    before = int(first.size[0])
    play(first, 7, first=100)
    del first
    second = new_memory(tmp_path)
    with caplog.at_level(logging.WARNING):
        second.restore(kept)
    lost = before - int(second.size[0])
    assert 5 <= lost <= 9
    assert f"{lost} transitions are lost" in caplog.text
    # what is left is as it was
    left = {index: n for n, index in enumerate(drawn(plain).indices[0].tolist())}
    ours, theirs = drawn(second), drawn(plain)
    for n, index in enumerate(ours.indices[0].tolist()):
        assert torch.equal(ours.observations[0][0, n], theirs.observations[0][0, left[index]])
    # and once as much has been added again, all is as if nothing had happened
    for memory in (second, plain):
        play(memory, 60, first=100)
    assert torch.equal(drawn(second).next_observations[0], drawn(plain).next_observations[0])


def test_a_folder_of_another_memory_run_or_time_is_refused(tmp_path):
    first = new_memory(tmp_path)
    play(first, 100)
    kept = {name: array.copy() for name, array in first.arrays().items()}
    with pytest.raises(ValueError, match="of this layout"):
        new_memory(tmp_path, masks=True)
    play(first, CAPACITY + 10, first=100)
    with pytest.raises(
        ValueError, match=r"ahead of the restored .*nothing of it is left|got others"
    ):
        new_memory(tmp_path).restore(kept)
    other = new_memory(tmp_path)
    play(other, 4)  # a new run writes over the old one
    with pytest.raises(ValueError, match="another run wrote there"):
        new_memory(tmp_path).restore(kept)
    with pytest.raises(ValueError, match="another run wrote there"):
        new_memory(tmp_path / "empty").restore(kept)


def test_damaged_files_are_refused(tmp_path):
    new_memory(tmp_path)
    (tmp_path / "observations.0.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(ValueError, match="expected a ring of observations"):
        new_memory(tmp_path)
    np.save(tmp_path / "observations.0.npy", np.zeros(3))
    with pytest.raises(ValueError, match="expected a ring"):
        new_memory(tmp_path)
    (tmp_path / "replay.json").write_text("{")
    with pytest.raises(ValueError, match="expected a description"):
        new_memory(tmp_path)
