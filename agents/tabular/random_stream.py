r"""A small random number generator whose whole state is one array, for use inside compiled loops.

xoshiro256++ keeps four 64-bit words :math:`s_0 \dots s_3` and gives, with all sums modulo
:math:`2^{64}`,

.. math:: \text{rotl}(s_0 + s_3, 23) + s_0,

after which the words are mixed by shifts, exclusive ors and one rotation. Its period is
:math:`2^{256} - 1` and it passes the known batteries of tests. Because a stream is an array, it
lies beside the tables that it serves and is saved and restored with them, bit for bit.

Integers below a bound are drawn without bias by Lemire's multiplication and rejection.

References:
    D. Blackman and S. Vigna (2021), Scrambled Linear Pseudorandom Number Generators, ACM
        Transactions on Mathematical Software 47(4), figure 5 and section 5; arXiv:1805.01407.
    D. Lemire (2019), Fast Random Integer Generation in an Interval, ACM Transactions on Modeling
        and Computer Simulation 29(1), algorithm 5; arXiv:1805.10941.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .compilation import njit

__all__ = ["next_word", "random_below", "random_stream", "random_unit"]

# Spelt out as unsigned: numba turns the sum of a signed and an unsigned integer into a float.
_11, _17, _19, _23, _32, _41, _45 = (np.uint64(bits) for bits in (11, 17, 19, 23, 32, 41, 45))
_LOW_HALF = np.uint64(0xFFFFFFFF)
_UNIT = 1.0 / (1 << 53)


def random_stream(seed: np.random.SeedSequence) -> NDArray[np.uint64]:
    """A fresh stream.

    Args:
        seed: Entropy; `numpy.random.SeedSequence` mixes it so that near seeds give far streams.

    Returns:
        (4,) the state, which the draws below change in place.

    Example:
        >>> stream = random_stream(np.random.SeedSequence(0))
        >>> 0.0 <= random_unit(stream) < 1.0
        True
    """
    state = seed.generate_state(4, np.uint64).astype(np.uint64, copy=False)
    if not state.any():  # the one state that xoshiro never leaves
        state[0] = np.uint64(1)
    return state


@njit
def next_word(stream: NDArray[np.uint64]) -> np.uint64:
    """The next 64 random bits."""
    s0, s1, s2, s3 = stream[0], stream[1], stream[2], stream[3]
    total = s0 + s3
    word: np.uint64 = ((total << _23) | (total >> _41)) + s0
    s2 ^= s0
    s3 ^= s1
    stream[1] = s1 ^ s2
    stream[0] = s0 ^ s3
    stream[2] = s2 ^ (s1 << _17)
    stream[3] = (s3 << _45) | (s3 >> _19)
    return word


@njit
def random_unit(stream: NDArray[np.uint64]) -> float:
    """A number of [0, 1), uniform over the multiples of 2^-53."""
    return float(np.float64(next_word(stream) >> _11) * _UNIT)


@njit
def random_below(stream: NDArray[np.uint64], bound: int) -> int:
    """An integer of [0, bound), exactly uniform, for 1 <= bound < 2^32."""
    size = np.uint64(bound)
    product = (next_word(stream) >> _32) * size
    if (product & _LOW_HALF) < size:
        threshold = (_LOW_HALF + np.uint64(1) - size) % size
        while (product & _LOW_HALF) < threshold:
            product = (next_word(stream) >> _32) * size
    return int(np.int64(product >> _32))
