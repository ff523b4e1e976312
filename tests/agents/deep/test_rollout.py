"""A roll-out gives back what was written, in the order that losses expect."""

import numpy as np
import pytest
import torch
from gymagine.agents.deep.rollout import Rollout

MEMBERS, STEPS, COPIES, ACTIONS = 2, 3, 4, 5
ROWS = MEMBERS * COPIES
LEAVES = [((2,), np.dtype(np.float32)), ((), np.dtype(np.int64))]
LATENT = (), np.dtype(np.int64)


def empty(masked=True):
    return Rollout(
        MEMBERS, STEPS, COPIES, leaves=LEAVES, latent=LATENT, num_actions=ACTIONS * masked
    )


def step(rng):
    ends = rng.random((2, ROWS)) < 0.3
    return {
        "leaves": (rng.random((ROWS, 2), np.float32), rng.integers(9, size=ROWS)),
        "allowed": rng.random((ROWS, ACTIONS)) < 0.5,
        "latents": rng.integers(5, size=(MEMBERS, COPIES)),
        "rewards": rng.normal(size=ROWS),
        "terminated": ends[0],
        "truncated": ends[1],
        "taken": rng.random(ROWS) < 0.8,
        "cut_values": rng.random(ROWS, np.float32),
    }


def write(rollout, found):
    rollout.begin_step(found["leaves"], found["allowed"], found["latents"])
    outcome = ("rewards", "terminated", "truncated", "taken", "cut_values")
    rollout.end_step(*(found[name] for name in outcome))


def filled(seed=0):
    rng = np.random.default_rng(seed)
    rollout, steps = empty(), [step(rng) for _ in range(STEPS)]
    for found in steps:
        write(rollout, found)
    return rollout, steps, step(rng)["leaves"]


def test_what_was_written_comes_back():
    rollout, steps, last = filled()
    assert rollout.full
    batch = rollout.batch(last, np.float32([0.9, 0.5]))
    discounts = [0.9, 0.5]
    for m in range(MEMBERS):
        for t in range(STEPS):
            for n in range(COPIES):
                found, row, place = steps[t], m * COPIES + n, t * COPIES + n
                for leaf, own in zip(batch.observations, found["leaves"], strict=True):
                    np.testing.assert_array_equal(leaf[m, place], own[row])
                np.testing.assert_array_equal(batch.allowed[m, place], found["allowed"][row])
                assert batch.latents[m, place] == found["latents"][m, n]
                assert batch.rewards[t, m, n] == np.float32(found["rewards"][row])
                assert batch.weights[m, place] == found["taken"][row]
                over, cut = found["terminated"][row], found["truncated"][row]
                assert batch.discounts[t, m, n] == np.float32(0 if over else discounts[m])
                assert batch.continues[t, m, n] == (not over and not cut)
                # a step that does both has no value after it
                assert batch.cut[t, m, n] == (cut and not over)
                assert batch.cut_values[t, m, n] == found["cut_values"][row]
        for n in range(COPIES):
            assert batch.observations[1][m, STEPS * COPIES + n] == last[1][m * COPIES + n]
    assert rollout.filled == 0


def test_nothing_is_said_of_what_did_not_happen():
    rollout = empty(masked=False)
    assert not rollout.masked
    for _ in range(STEPS):
        found = step(np.random.default_rng(0))
        rollout.begin_step(found["leaves"], None, found["latents"])
        no, yes = np.zeros(ROWS, np.bool_), np.ones(ROWS, np.bool_)
        rollout.end_step(found["rewards"], no, no, yes, None)
    batch = rollout.batch(found["leaves"], np.float32([0.9, 0.9]))
    assert batch.cut is None
    assert batch.weights is None
    assert batch.allowed is None
    for _ in range(STEPS):
        rollout.begin_step(found["leaves"], None, found["latents"])
        rollout.end_step(found["rewards"], no, no, yes, None)
    batch = rollout.batch(found["leaves"], np.float32([0.9, 0.9]), alike=True)
    assert not batch.cut.any()
    assert (batch.weights == 1).all()


def test_a_step_that_never_ended_is_written_over():
    rollout, steps, _ = filled()
    rollout.clear()
    rollout.begin_step(steps[2]["leaves"], None, steps[2]["latents"])
    write(rollout, steps[0])
    assert rollout.filled == 1
    np.testing.assert_array_equal(
        rollout.arrays()["latents"][:, 0], steps[0]["latents"].reshape(MEMBERS, COPIES)
    )
    np.testing.assert_array_equal(
        rollout.arrays()["allowed"][:, 0].reshape(ROWS, -1), steps[0]["allowed"]
    )


@pytest.mark.parametrize("num_steps", [0, 2])
def test_a_copy_goes_on_alike(num_steps):
    rng = np.random.default_rng(0)
    one, other = empty(), empty()
    for _ in range(num_steps):
        write(one, step(rng))
    saved = {name: array.copy() for name, array in one.arrays().items()}
    assert all(array.shape[:3] == (MEMBERS, num_steps, COPIES) for array in saved.values())
    other.restore(saved)
    assert other.filled == num_steps
    while not one.full:
        found = step(rng)
        write(one, found)
        write(other, found)
    last = step(rng)["leaves"]
    discounts = np.float32([0.9, 0.5])
    for mine, copied in zip(one.batch(last, discounts), other.batch(last, discounts), strict=True):
        if isinstance(mine, tuple):
            assert all(torch.equal(a, b) for a, b in zip(mine, copied, strict=True))
        else:
            assert torch.equal(mine, copied)


@pytest.mark.parametrize("name", ["rewards", "leaf1", "allowed"])
def test_damaged_files(name):
    rollout, *_ = filled()
    saved = rollout.arrays()
    for damaged in (saved[name][:1], saved[name].astype(np.float16), None):
        changed = {k: v for k, v in saved.items() if k != name}
        if damaged is not None:
            changed[name] = damaged
        with pytest.raises(ValueError, match="damaged"):
            empty().restore(changed)
    with pytest.raises(ValueError, match="damaged"):
        empty(masked=True).restore({k: np.concatenate([v, v], axis=1) for k, v in saved.items()})
