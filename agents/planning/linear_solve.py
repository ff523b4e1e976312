r"""Linear systems of a policy, :math:`(I - \gamma c_\pi) x = b`, by a method that fits its graph.

A sparse LU factorisation is exact and does not mind slow mixing, but its factors are dense where
the graph has no small separators: on a random graph they take S * S numbers. Chains, grids and
mazes have them. So the reverse Cuthill–McKee bandwidth decides: at most a few times :math:`\sqrt
S`, as a planar graph has, and the system is factorised; otherwise BiCGSTAB solves it, which needs
few products on graphs that mix fast. Either answer is improved by steps of iterative refinement;
the callers prove what it is worth.

References:
    E. Cuthill and J. McKee (1969), Reducing the bandwidth of sparse symmetric matrices.
    A. George (1973), Nested dissection of a regular finite element mesh.
    H. A. van der Vorst (1992), Bi-CGSTAB: a fast and smoothly converging variant of Bi-CG.
    J. W. Demmel et al. (1999), A supernodal approach to sparse partial pivoting (SuperLU).
    N. J. Higham (2002), Accuracy and Stability of Numerical Algorithms, chapter 12 (refinement).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from .policy_rows import PolicyRows

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["LEAST_OPERATIONS", "PolicySystem", "profile_of"]

Floats = NDArray[np.float64]

LEAST_OPERATIONS = 1e3
"""Operations for each state that the simplest graph takes (see `profile_of`)."""
_ALWAYS_FACTORISE = 300  # states: a full factor of this size costs milliseconds
_FILL_LIMIT = 20_000  # states: beyond, a factorisation without small separators is hopeless
_REFINEMENTS = 2
_KRYLOV_ACCURACY = 1e-12
_KRYLOV_STEPS = 1_000


def profile_of(matrix: csr_array[np.float64]) -> float:
    """About how many operations it takes to factorise I - matrix and to solve.

    Measured with SuperLU on chains, mazes and grids: a thousand for each state, and a sixteenth of
    the squared bandwidth, since its ordering finds smaller separators than a band has.

    Infinite where the graph has no small separators, so that its factors would be dense.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import reverse_cuthill_mckee

    size = int(matrix.shape[0])
    if matrix.nnz == 0:
        return LEAST_OPERATIONS * size
    pattern = csr_array(
        (np.ones(len(matrix.indices), dtype=np.int8), matrix.indices, matrix.indptr), matrix.shape
    )
    order = reverse_cuthill_mckee((pattern + pattern.T).tocsr(), symmetric_mode=True)
    place = np.empty(size, dtype=np.int64)
    place[order] = np.arange(size)
    here = np.repeat(place, np.diff(matrix.indptr))
    band = float(np.quantile(np.abs(here - place[matrix.indices]), 0.99)) + 1
    if size > _ALWAYS_FACTORISE and band > 4 * np.sqrt(size):
        return math.inf
    return size * (LEAST_OPERATIONS + band * band / 16)


class PolicySystem:
    """The system of one policy; factorised at most once, whatever the number of right sides.

    Attributes:
        rows: The policy's rows.
        discount: In [0, 1].
        factorise: Whether to use sparse factors rather than BiCGSTAB.
    """

    def __init__(
        self, rows: PolicyRows, discount: float, *, factorise: bool | None = None
    ) -> None:
        self.rows = rows
        self.discount = discount
        self._matrix = rows.matrix()
        if factorise is None:
            factorise = math.isfinite(profile_of(self._matrix))
        self.factorise = factorise
        self._factors: Any = None

    def solve(
        self,
        right: Float64[Floats, " states"],
        guess: Float64[Floats, " states"] | None = None,
    ) -> Float64[Floats, " states"]:
        """(S,) the solution of ``x - discount * c x = right``, as well as rounding allows.

        It is inaccurate, or NaN, where the system is singular or nearly so.
        """
        x = None if self.factorise else self._iterate(right, guess)
        if x is None and (self.factorise or len(right) <= _FILL_LIMIT):
            self.factorise = True
            x = self._eliminate(right)
        if x is None:
            return np.full_like(right, np.nan)
        size = self._distance(x, right)
        for _ in range(_REFINEMENTS):
            if not 0 < size < np.inf:
                break
            rest = right - self._product(x)
            correction = self._eliminate(rest) if self.factorise else self._iterate(rest, None)
            if correction is None:
                break  # what is left is rounding
            smaller = self._distance(x + correction, right)
            if not smaller < size:
                break
            x, size = x + correction, smaller
        return x

    def _product(self, x: Floats) -> Floats:
        product: Floats = x - self.discount * (self._matrix @ x)
        return product

    def _distance(self, x: Floats, right: Floats) -> float:
        return float(np.abs(right - self._product(x)).max(initial=0.0))

    def _eliminate(self, right: Floats) -> Floats | None:
        try:
            if self._factors is None:
                self._factors = self._factorised()
            solution: Floats = self._factors.solve(right)
        except RuntimeError:  # SuperLU: the factor is exactly singular
            return None
        return solution

    def _factorised(self) -> Any:
        from scipy.sparse import csc_array, eye_array
        from scipy.sparse.linalg import splu

        system = csc_array(eye_array(len(self.rows.rewards)) - self.discount * self._matrix)
        # no row of c sums to more than 1: elimination needs no pivoting
        return splu(
            system,
            permc_spec="MMD_AT_PLUS_A",
            diag_pivot_thresh=0.0,
            options={"SymmetricMode": True},
        )

    def _iterate(self, right: Floats, guess: Floats | None) -> Floats | None:
        from scipy.sparse.linalg import LinearOperator, bicgstab

        size = len(right)
        operator = LinearOperator((size, size), matvec=self._product, dtype=np.float64)
        found, failure = bicgstab(
            operator, right, x0=guess, rtol=_KRYLOV_ACCURACY, maxiter=_KRYLOV_STEPS
        )
        return None if failure else found
