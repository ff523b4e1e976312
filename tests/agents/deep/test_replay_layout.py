"""The size announced is the size allocated, and what cannot fit is refused before."""

import logging
from itertools import product

import numpy as np
import pytest
from gymagine.agents.deep import replay_layout
from gymagine.agents.deep.observation_leaves import ObservationLeaves
from gymagine.agents.deep.replay_layout import available_memory
from gymagine.agents.deep.replay_memory import ReplayMemory
from gymnasium import spaces

PAIR = ObservationLeaves(
    spaces.Dict(camera=spaces.Box(0, 255, (4, 6, 5), np.uint8), speed=spaces.Box(-1, 1, (4, 2)))
)


def held(memory):
    """Bytes of all arrays that a memory has, counted on the arrays."""
    arrays = [*memory._rings, *memory._observations.values()]
    if memory._priorities is not None:
        arrays.append(memory._priorities._tree.nodes)
    return sum(array.nbytes for array in arrays)


@pytest.mark.parametrize(
    ("frame_stack", "masks", "alpha"), list(product((1, 4), (False, True), (None, 0.6)))
)
def test_the_size_announced_is_the_size_held(frame_stack, masks, alpha, caplog):
    with caplog.at_level(logging.INFO):
        memory = ReplayMemory(
            PAIR,
            1_000,
            num_actions=7,
            members=2,
            copies=3,
            n_step=3,
            frame_stack=frame_stack,
            masks=masks,
            priority_exponent=alpha,
        )
    assert memory.nbytes == held(memory)
    (record,) = caplog.records
    assert f"{memory.nbytes / 1024:.4g} KiB in memory" in record.getMessage()


def test_a_million_frames_of_atari_are_stored_once():
    """84 x 84 bytes a frame and 1 / 16 more for the ends of episodes: 7.5e9, not 8 x 7.1e9."""
    frames = ObservationLeaves(spaces.Box(0, 255, (4, 84, 84), np.uint8))
    layout = replay_layout.ReplayLayout.of(
        frames,
        members=1,
        copies=1,
        capacity=1_000_000,
        n_step=1,
        frame_stack=4,
        episode_length=16,
        mask_size=0,
        prioritised=False,
    )
    assert layout.observation_bytes == 84 * 84 * (1_062_500 + 5)
    assert layout.nbytes < 1.005 * layout.observation_bytes


def test_what_cannot_fit_is_refused_with_both_sizes(tmp_path):
    with pytest.raises(ValueError, match=r"fits into the .*iB of memory available, got .* GiB"):
        ReplayMemory(PAIR, 10**9, num_actions=2)
    with pytest.raises(ValueError, match=r"free at .*, got .*iB"):
        ReplayMemory(
            ObservationLeaves(spaces.Box(0, 255, (10**6,), np.uint8)),
            10**7,
            num_actions=2,
            folder=tmp_path / "there",
        )
    assert not (tmp_path / "there").exists()
    with pytest.raises(ValueError, match=r"2\^31 - 1 slots"):
        ReplayMemory(PAIR, 2**31, num_actions=2)


def test_available_memory_is_the_lesser_of_machine_and_group(tmp_path, monkeypatch):
    for line in open("/proc/meminfo", encoding="utf-8"):
        if line.startswith("MemTotal"):
            total = int(line.split()[1]) * 1024
    monkeypatch.setattr(replay_layout, "_GROUP", tmp_path)
    assert 0 < available_memory() < total
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("100\n")
    assert available_memory() > 10**6
    (tmp_path / "memory.max").write_text("5000\n")
    assert available_memory() == 4900
