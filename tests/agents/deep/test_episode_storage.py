"""Episodes wait with their returns until their member learns; running ones stay."""

import numpy as np
import pytest
import torch
from gymagine.agents.deep.episode_storage import EpisodeStorage

LEAVES = [((2,), np.dtype(np.float32))]
LATENT = (1,), np.dtype(np.float32)


def empty(members=1, copies=1, num_actions=0):
    return EpisodeStorage(members, copies, leaves=LEAVES, latent=LATENT, num_actions=num_actions)


def add(storage, rewards, number=0.0, taken=None, allowed=None):
    rows = len(rewards)
    storage.add(
        [np.full((rows, 2), number, np.float32)],
        allowed,
        np.full((rows, 1), -number, np.float32),
        np.array(rewards, dtype=np.float64),
        np.ones(rows, np.bool_) if taken is None else np.array(taken),
    )


def take(storage, member=0, **settings):
    return storage.take(member, **{"discount": None, "over_episodes": False} | settings)


def test_returns_by_hand():
    storage = empty()
    for reward in (1.0, 2.0, 4.0):
        add(storage, [reward])
    storage.end(0, 0.5, 0.0)
    for reward in (1.0, 2.0):
        add(storage, [reward])
    storage.end(0, 0.5, 8.0)  # truncated where something worth 8 would have followed
    add(storage, [100.0])
    assert storage.ended.tolist() == [2]
    batch = take(storage, discount=0.5, over_episodes=True)
    assert batch.returns.tolist() == [[3.0, 4.0, 4.0, 1 + 0.5 * 6, 2 + 4.0]]
    assert batch.factors.tolist() == [[1.0, 0.5, 0.25, 1.0, 0.5]]
    assert batch.divisors.tolist() == [2.0]
    assert batch.weights is None
    assert storage.ended.tolist() == [0]
    assert storage.lengths.tolist() == [1]


def test_members_and_copies_are_apart_and_running_episodes_go_on():
    """Two members of two copies; each step's reward tells row and time."""
    storage = empty(2, 2)
    for t in range(70):  # more than there is room for at first
        add(storage, [t, 100 + t, 200 + t, 300 + t], number=t)
        if t == 3:
            storage.end(1, 1.0, 0.0)
        if t == 66:
            storage.end(0, 0.0, 0.0)
            storage.end(3, 0.0, 0.0)
    assert storage.ended.tolist() == [2, 1]
    batch = take(storage, 0)
    assert batch.returns[0].tolist() == [*range(67), 406.0, 306.0, 205.0, 103.0]
    assert batch.observations[0][0, :, 1].tolist() == [*range(67), 0, 1, 2, 3]
    assert batch.latents[0, :, 0].tolist() == [-x for x in [*range(67), 0, 1, 2, 3]]
    assert storage.lengths.tolist() == [3, 66, 70, 70]
    storage.end(0, 0.0, 0.0)
    storage.end(1, 0.0, 0.0)
    batch = take(storage, 0)
    assert batch.returns[0].tolist() == [67, 68, 69, *range(104, 170)]
    assert take(storage, 1).returns[0].tolist() == [*range(300, 367)]


def test_rows_that_took_no_step_store_none():
    storage = empty(1, 2)
    add(storage, [1.0, 2.0])
    add(storage, [3.0, 0.0], taken=[True, False])
    add(storage, [5.0, 6.0])
    storage.end(0, 1.0, 0.0)
    storage.end(1, 1.0, 0.0)
    assert take(storage).returns.tolist() == [[9.0, 8.0, 5.0, 8.0, 6.0]]


def test_filling_up_to_a_power_of_two():
    storage = empty(num_actions=3)
    for _ in range(65):
        add(storage, [1.0], allowed=np.array([[True, False, True]]))
    storage.end(0, 1.0, 0.0)
    batch = take(storage, padded=True, discount=0.9)
    assert batch.weights.tolist() == [[1.0] * 65 + [0.0] * 63]
    for part in (batch.returns, batch.latents, batch.allowed, batch.factors):
        assert part.shape[:2] == (1, 128)
    assert batch.allowed[0, 64].tolist() == [True, False, True]


def test_what_was_cut_is_forgotten():
    storage = empty()
    add(storage, [1.0])
    storage.end(0, 1.0, 0.0)
    add(storage, [50.0])
    storage.forget_running()
    add(storage, [2.0])
    storage.end(0, 1.0, 0.0)
    assert take(storage).returns.tolist() == [[1.0, 2.0]]


def written(seed, steps, storage=None):
    rng = np.random.default_rng(seed)
    storage = storage or empty(2, 2, 3)
    for _ in range(steps):
        add(storage, rng.normal(size=4), rng.normal(), allowed=rng.random((4, 3)) < 0.5)
        for row in np.flatnonzero(rng.random(4) < 0.05).tolist():
            storage.end(row, 0.9, 1.0)
        if storage.ended[1] > 3:
            take(storage, 1)
    return storage


@pytest.mark.parametrize("steps", [0, 10, 150])
def test_a_copy_goes_on_alike(steps):
    one = written(0, steps)
    other = empty(2, 2, 3)
    other.restore(one.arrays(None))
    for storage in (one, other):
        written(1, 20, storage)
    for name, array in one.arrays(None).items():
        np.testing.assert_array_equal(array, other.arrays(None)[name], err_msg=name)
        np.testing.assert_array_equal(
            one.arrays(1)[name], EpisodeStorage.arrays(other, 1)[name], err_msg=name
        )
    assert torch.equal(take(one, 0).returns, take(other, 0).returns)


def test_a_members_part_restores_alone():
    both, alone = written(0, 90), empty(1, 2, 3)
    alone.restore(both.arrays(1))
    assert torch.equal(take(both, 1).returns, take(alone, 0).returns)


@pytest.mark.parametrize("name", ["rewards", "lengths", "ended", "leaf0", "allowed"])
def test_damaged_files(name):
    saved = written(0, 30).arrays(None)
    for damaged in (saved[name][:1], saved[name].astype(np.float16), None):
        changed = {k: v for k, v in saved.items() if k != name}
        if damaged is not None:
            changed[name] = damaged
        with pytest.raises(ValueError, match="damaged"):
            empty(2, 2, 3).restore(changed)
    with pytest.raises(ValueError, match="damaged"):
        empty(2, 2, 3).restore(saved | {"starts": saved["lengths"] + 1})
