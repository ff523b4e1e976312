"""A damaged file gives a ValueError: never a read out of range, never a half restored memory."""

import numpy as np
import pytest
from gymagine.agents.deep.observation_leaves import ObservationLeaves
from gymagine.agents.deep.replay_memory import ReplayMemory
from gymagine.agents.deep.replay_state import needed_by
from gymagine.storage import read_arrays, write_arrays
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

PLAIN = ObservationLeaves(spaces.Box(-np.inf, np.inf, (2, 1)))


def new_memory():
    return ReplayMemory(
        PLAIN,
        12,
        num_actions=3,
        members=2,
        copies=2,
        n_step=3,
        frame_stack=2,
        masks=True,
        priority_exponent=0.6,
        episode_length=2,
    )


def played(rounds, seed=0):
    memory, random = new_memory(), np.random.default_rng(seed)
    frames = np.zeros((4, 2, 1), np.float32)
    begun = np.ones(4, dtype=np.bool_)
    for _ in range(rounds):
        frames[begun] = random.random()
        memory.begin(begun, (frames,), random.random((4, 3)) < 0.5)
        frames[:, 0] = frames[:, 1]
        frames[:, 1] = random.random((4, 1))
        ends = random.random((2, 4)) < 0.15
        actions, taken = random.integers(0, 3, 4), np.ones(4, dtype=np.bool_)
        memory.add(taken, actions, random.random(4), *ends, (frames,), random.random((4, 3)) < 0.5)
        begun = ends.any(axis=0)
        if memory.size.all():
            batch = memory.sample(5, [random, random])
            memory.update_priorities(batch.indices, random.normal(size=(2, 5)))
    return memory


@pytest.mark.parametrize("rounds", [0, 1, 5, 60])
def test_a_file_brings_the_same_arrays_back(rounds, tmp_path):
    first, second = played(rounds), new_memory()
    write_arrays(tmp_path / "memory", first.arrays(), {"format": "replay"})
    arrays, _ = read_arrays(tmp_path / "memory", expected_format="replay")
    second.restore(arrays)
    again = second.arrays()
    for name, array in first.arrays().items():
        assert np.array_equal(array, again[name]), name
    assert np.array_equal(first.size, second.size)


def test_what_observations_are_needed_by_follows_from_what_is_alive():
    for rounds in (3, 20, 60):
        rings = played(rounds)._rings
        told = rings.last_needs.copy()
        told[told < rings.oldest[:, None, None]] = -1  # those gone are never asked for again
        assert np.array_equal(needed_by(rings), told)


@pytest.mark.parametrize(
    "name",
    ["counts", "oldest", "places", "pending_values", "observations.0", "masks", "priorities"],
)
def test_a_missing_or_misshapen_array_is_named(name):
    arrays = dict(played(30).arrays())
    for wrong in (arrays[name][:1], arrays[name][..., None], arrays[name].astype(np.complex64)):
        with pytest.raises(ValueError, match=f"expected '{name}' of shape"):
            new_memory().restore({**arrays, name: wrong})
    arrays.pop(name)
    with pytest.raises(ValueError, match=f"expected '{name}' in"):
        new_memory().restore(arrays)


@pytest.mark.parametrize(
    ("name", "place", "value", "message"),
    [
        ("counts", (0, 0), -1, "counts that are not negative"),
        ("oldest", (0,), 10**6, "oldest near written"),
        ("oldest", (0,), 0, "oldest near written"),
        ("pending", (0, 0), 3, "windows shorter"),
        ("pending", (0, 0), -1, "windows shorter"),
        ("frames_before", (0, 0, 0), 2, "stacks of 2 frames"),
        ("places", (0, slice(None), 0), 2, "copies below 2"),
        ("places", (0, slice(None), 1), 10**6, "slots in the rings"),
        ("places", (0, slice(None), 2), -1, "slots in the rings"),
        ("places", (0, slice(None), 3), 3, "actions below 3"),
        ("values", (0, slice(None), 0), np.nan, "finite rewards"),
        ("priorities", (0, 0), np.nan, "priorities"),
        ("priorities", (0, 0), -1.0, "priorities"),
        ("priorities", (0, slice(None)), 0.0, "priorities above 0"),
        ("largest_priority", (0,), np.inf, "priorities"),
    ],
)
def test_numbers_that_no_memory_has_are_refused_and_nothing_changes(name, place, value, message):
    arrays = {key: array.copy() for key, array in played(60).arrays().items()}
    arrays[name][place] = value
    memory = played(7, seed=3)
    before = {key: array.copy() for key, array in memory.arrays().items()}
    with pytest.raises(ValueError, match=message):
        memory.restore(arrays)
    after = memory.arrays()
    assert all(np.array_equal(before[key], after[key]) for key in before)


ARRAYS = {name: array.copy() for name, array in played(60).arrays().items()}
WHOLE = [name for name, array in ARRAYS.items() if array.dtype.kind in "iub"]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_whatever_passes_can_be_used(data):
    """A number changed at random is refused, or the memory still reads inside its arrays."""
    name = data.draw(st.sampled_from(WHOLE))
    arrays = {**ARRAYS, name: ARRAYS[name].copy()}
    flat, info = arrays[name].reshape(-1), ARRAYS[name].dtype
    place = data.draw(st.integers(0, flat.size - 1))
    if info.kind == "b":
        flat[place] = ~flat[place]
    else:
        near = st.integers(-2, 40).filter(lambda x: x >= np.iinfo(info).min)
        far = st.integers(int(np.iinfo(info).min), int(np.iinfo(info).max))
        flat[place] = data.draw(near | far)
    memory = new_memory()
    try:
        memory.restore(arrays)
    except ValueError:
        return
    rows, num_rows = [], len(memory._rows[0])
    memory._locate, locate = lambda *given: (locate(*given), rows.append(given[2])), memory._locate
    if memory.size.all():
        batch = memory.sample(50, [np.random.default_rng(m) for m in range(2)])
        assert ((rows[0] >= 0) & (rows[0] < num_rows)).all()
        assert ((batch.actions >= 0) & (batch.actions < 3)).all()
        assert torch_finite(batch)


def torch_finite(batch):
    return bool(batch.rewards.isfinite().all() and batch.discounts.isfinite().all())
