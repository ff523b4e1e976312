"""Compiled kernels: no allocation, a cache that the next process uses, entry points."""

import os
import subprocess
import sys

import numba
import numpy as np
import pytest
from gymagine.agents.tabular.compilation import entry_point, njit

SECOND = """
import time
from gymagine.agents.tabular.q_learning import QLearning, run
agent = QLearning("FrozenLake-v1", seed=0)
started = time.perf_counter()
agent.learn(1_000)
assert not run.stats.cache_misses, run.stats
print(time.perf_counter() - started)
"""


@njit
def halve(values, by):
    for i in range(len(values)):
        values[i] /= by
    return len(values)


def test_entry_points_do_what_their_kernels_do():
    values = np.array([2.0, 4.0])
    fast = entry_point(halve, values, 2.0)
    assert fast(values, 2.0) == 2
    assert values.tolist() == [1.0, 2.0]


def test_division_by_zero_is_numpys():
    values = np.array([1.0, -1.0])
    halve(values, 0.0)
    assert values.tolist() == [np.inf, -np.inf]


def test_a_kernel_that_allocates_does_not_compile():
    @njit
    def allocate(size):
        return np.zeros(size)

    with pytest.raises((numba.core.errors.NumbaError, RuntimeError)):
        allocate(3)


@pytest.mark.slow
def test_the_second_process_compiles_nothing(tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    script = SECOND.replace("assert not", "0 and")
    subprocess.run([sys.executable, "-c", script], env=environment, check=True)
    second = subprocess.run(
        [sys.executable, "-c", SECOND], env=environment, check=True, capture_output=True
    )
    assert float(second.stdout) < 1.0
