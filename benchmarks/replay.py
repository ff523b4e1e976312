"""What prioritised replay costs at a million entries, against even sampling.

    python benchmarks/replay.py

One member, batches of 128 transitions with observations of four floats, a full memory of a
million. An update is the drawing of a batch, 800 microseconds of arithmetic in torch (as an eager
DQN update takes here: matrix products that take so long), and with priorities telling the
errors. Even and prioritised updates take turns, in blocks, in one process on one thread; seconds
are of the processor, medians over blocks. The tree's kernels are shown beside the same algorithm
in numpy, level by level. Writes replay.md beside this file.
"""

import platform
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import torch
from gymagine.agents.deep.observation_leaves import ObservationLeaves
from gymagine.agents.deep.replay_memory import ReplayMemory
from gymagine.agents.deep.sum_tree import SumTree
from gymnasium.spaces import Box

CAPACITY, BATCH, BLOCKS, UPDATES, TARGET = 1_000_000, 128, 15, 200, 800e-6
EXPONENT = 0.6


def full_memory(priority_exponent):
    """A memory filled to the brim, with errors told for all of it."""
    random = np.random.default_rng(0)
    memory = ReplayMemory(
        ObservationLeaves(Box(-np.inf, np.inf, (4,))),
        CAPACITY,
        num_actions=2,
        priority_exponent=priority_exponent,
    )
    observations = random.standard_normal((1_000, 1, 4)).astype(np.float32)
    yes, no = np.array([True]), np.array([False])
    actions, rewards = np.array([1]), np.array([1.0])
    started = time.process_time()
    for step in range(CAPACITY):
        if step % 200 == 0:
            memory.begin(yes, (observations[step % 1_000],))
        ends = yes if step % 200 == 199 else no
        memory.add(yes, actions, rewards, no, ends, (observations[(step + 1) % 1_000],))
    seconds = (time.process_time() - started) / CAPACITY
    if priority_exponent is not None:
        for first in range(0, CAPACITY, 1_000):
            indices = np.arange(first, first + 1_000)[None]
            memory.update_priorities(indices, random.standard_normal((1, 1_000)))
    return memory, seconds


def arithmetic():
    """A torch computation that takes about as long as an eager DQN update."""
    left = torch.randn(128, 128)
    repeats = 1

    def run():
        total = left
        for _ in range(repeats):
            total = torch.tanh(total @ left)
        return total

    while block(run, 50) < TARGET:
        repeats += 1
    return run


def block(function, repeats):
    started = time.process_time()
    for _ in range(repeats):
        function()
    return (time.process_time() - started) / repeats


def contenders(even, ranked, update):
    sources, random = [np.random.default_rng(1)], np.random.default_rng(2)
    errors = random.standard_normal((1, BATCH)).astype(np.float32)
    last = [None]

    def draw_even():
        even.sample(BATCH, sources)

    def draw_ranked():
        last[0] = ranked.sample(BATCH, sources)

    def tell():
        ranked.update_priorities(last[0].indices, errors)

    def even_update():
        draw_even()
        update()

    def ranked_update():
        draw_ranked()
        update()
        tell()

    return {
        "even: sample": draw_even,
        "prioritised: sample": draw_ranked,
        "prioritised: update_priorities": tell,
        "even: sample + update": even_update,
        "prioritised: sample + update + update_priorities": ranked_update,
        "update alone": update,
    }


# ---- the tree in numpy, for comparison ----------------------------------------------------------


def numpy_find(tree, masses):
    half = len(tree) // 2
    nodes, rest = np.ones(len(masses), dtype=np.int64), masses.copy()
    while nodes[0] < half:
        nodes *= 2
        below = tree[nodes]
        right = (rest >= below) & (tree[nodes + 1] > 0)
        rest -= below * right
        nodes += right
    return nodes - half


def numpy_set(tree, indices, priorities):
    nodes = indices + len(tree) // 2
    tree[nodes] = priorities
    while nodes[0] > 1:
        nodes = nodes // 2
        tree[nodes] = tree[2 * nodes] + tree[2 * nodes + 1]


def tree_contenders():
    random = np.random.default_rng(3)
    ours, theirs = SumTree(1, CAPACITY), SumTree(1, CAPACITY)
    for tree in (ours, theirs):
        tree.restore(np.random.default_rng(4).random((1, CAPACITY)))
    nodes = theirs.nodes[0]
    total = ours.totals[0]

    def masses():
        return random.random((1, BATCH)) * total

    def leaves():
        return random.integers(0, CAPACITY, (1, BATCH))

    values = random.random((1, BATCH))
    some = masses()
    assert np.array_equal(ours.find(some)[0], numpy_find(nodes, some[0]))
    return {
        "tree, numba: find": lambda: ours.find(masses()),
        "tree, numpy: find": lambda: numpy_find(nodes, masses()[0]),
        "tree, numba: set": lambda: ours.set(leaves(), values),
        "tree, numpy: set": lambda: numpy_set(nodes, leaves()[0], values[0]),
    }


def measured(functions):
    """Seconds, by name: medians over blocks in which all take turns."""
    seconds = {name: [] for name in functions}
    for _ in range(BLOCKS):
        for name, function in functions.items():
            seconds[name].append(block(function, UPDATES))
    return {name: statistics.median(values) for name, values in seconds.items()}


def table(found, added):
    even, ranked = (
        found["even: sample + update"],
        found["prioritised: sample + update + update_priorities"],
    )
    kernels = ranked - found["update alone"], even - found["update alone"]
    return [
        "# Prioritised replay against even sampling, a million entries",
        "",
        f"Written by `benchmarks/replay.py`. One member, batches of {BATCH}, observations of four "
        f"floats; processor time, medians of {BLOCKS} interleaved blocks of {UPDATES}; "
        f"{platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}, torch "
        f"{torch.__version__}, one thread.",
        "",
        "| | µs |",
        "|---|---:|",
        *(f"| {name} | {1e6 * value:.1f} |" for name, value in found.items()),
        *(f"| {name}: add one step | {1e6 * value:.1f} |" for name, value in added.items()),
        "",
        f"**A prioritised update costs {ranked / even:.2f}x of an even one** (at most 1.5x was "
        f"asked for). Without the arithmetic: {1e6 * kernels[0]:.0f} against "
        f"{1e6 * kernels[1]:.0f} µs.",
        "",
    ]


def main():
    torch.set_num_threads(1)
    even, add_even = full_memory(None)
    ranked, add_ranked = full_memory(EXPONENT)
    found = measured(contenders(even, ranked, arithmetic()))
    found |= measured(tree_contenders())
    text = "\n".join(table(found, {"even": add_even, "prioritised": add_ranked}))
    Path(__file__).with_suffix(".md").write_text(text, encoding="utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
