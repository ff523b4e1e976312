"""The random numbers of a population: one generator for each member, for each purpose.

What a member draws depends on its own seed alone, not on how many train beside it; and what it
draws for one purpose does not depend on how much it drew for another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64, Int64
from numpy.typing import NDArray

from ...envs.environment_state import decode_generator, encode_generator

__all__ = ["MemberStreams", "Streams", "member_streams"]


class MemberStreams:
    """One generator for each of M members.

    Args:
        generators: The generators.

    Attributes:
        generators: The generators, in the order of the members.
    """

    def __init__(self, generators: Sequence[np.random.Generator]) -> None:
        self.generators = list(generators)

    def uniforms(self, *shape: int) -> Float64[NDArray[np.float64], "members ..."]:
        """(M, *shape) uniform numbers in [0, 1)."""
        drawn = np.empty((len(self.generators), *shape))
        for member, generator in enumerate(self.generators):
            generator.random(out=drawn[member : member + 1])
        return drawn

    def normals(self, *shape: int) -> Float64[NDArray[np.float64], "members ..."]:
        """(M, *shape) standard normal numbers."""
        return np.stack([generator.standard_normal(shape) for generator in self.generators])

    def integers(self, high: int, *shape: int) -> Int64[NDArray[np.int64], "members ..."]:
        """(M, *shape) whole numbers in [0, high)."""
        return np.stack([generator.integers(high, size=shape) for generator in self.generators])

    def state(self, member: int | None = None) -> list[Any]:
        """Where the generators stand, as JSON holds it; of one member or of all."""
        some = self.generators if member is None else self.generators[member : member + 1]
        return [encode_generator(generator) for generator in some]

    def restore(self, state: list[Any]) -> None:
        """Go on where `state` was told.

        Raises:
            ValueError: It is of another number of members.
        """
        if len(state) != len(self.generators):
            raise ValueError(
                f"expected the streams of {len(self.generators)} members, got {len(state)}"
            )
        for generator, saved in zip(self.generators, state, strict=True):
            restored = decode_generator(saved)
            if restored is None:
                raise ValueError(f"expected the state of a generator, got {saved!r}")
            generator.bit_generator.state = restored.bit_generator.state


class Streams(NamedTuple):
    """The streams of a population, by purpose.

    Attributes:
        parameters: Draws the networks.
        acting: Explores.
        sampling: Draws batches.
        noise: Of noisy networks while they learn.
        environments: Seeds of environments.
        prediction: Acts where nothing is learnt, so that this does not disturb learning.
    """

    parameters: MemberStreams
    acting: MemberStreams
    sampling: MemberStreams
    noise: MemberStreams
    environments: MemberStreams
    prediction: MemberStreams

    def state(self, member: int | None = None) -> dict[str, list[Any]]:
        """Where all stand, as JSON holds it; of one member or of all."""
        return {name: streams.state(member) for name, streams in self._asdict().items()}

    def restore(self, state: dict[str, list[Any]]) -> None:
        """Go on where `state` was told.

        Raises:
            ValueError: It is of other purposes or of another number of members.
        """
        if state.keys() != set(self._fields):
            raise ValueError(f"expected the streams {self._fields}, got {sorted(state)}")
        for name, saved in state.items():
            getattr(self, name).restore(saved)


def member_streams(seeds: Sequence[int]) -> Streams:
    """All streams of members with these seeds.

    Example:
        >>> three, one = member_streams([5, 6, 7]), member_streams([6])
        >>> three.acting.uniforms(2)[1].tolist() == one.acting.uniforms(2)[0].tolist()
        True
    """
    sequences = [np.random.SeedSequence(seed).spawn(len(Streams._fields)) for seed in seeds]
    return Streams(
        *(
            MemberStreams([np.random.default_rng(own[purpose]) for own in sequences])
            for purpose in range(len(Streams._fields))
        )
    )
