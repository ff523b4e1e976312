"""How the kernels of this folder are compiled, and how Python calls one of them quickly.

Two measurements decide how the learners are written (numba 0.68, one core):

* numba cannot cache a kernel that takes another kernel as an argument, or holds one in a closure:
  the second process compiles it again. So every learner has its own short ``run`` loop, which is
  cached: its first call takes 2.4 s in the first process and 0.01 s in the next.
* A kernel whose arguments are tuples of arrays spends three quarters of its time counting
  references. These kernels never allocate, so the counting is left out: 7 million steps a second
  become 25 million.
* Passing such a tuple to a kernel that is not inlined writes dozens of words to the stack. All
  calls between kernels are inlined: 25 million steps a second become 40 million.

Calling a compiled function looks at the types of its arguments first, 2 microseconds for a tuple
of arrays. A learner's types never change, so it asks once for the machine code's entry point; that
takes 0.3 microseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

__all__ = ["entry_point", "njit"]

Function = TypeVar("Function", bound=Callable[..., Any])

# _nrt is numba's run time, which allocates arrays and counts references to them.
_OPTIONS: dict[str, Any] = {
    "cache": True,
    "nogil": True,
    "error_model": "numpy",
    "forceinline": True,
    "_nrt": False,
}
_njit: Any = numba.njit(**_OPTIONS)


def njit(function: Function) -> Function:
    """Compile a kernel: cached on disk, inlined by others, without Python's lock, not allocating.

    Without the lock, seeds learn in parallel threads. A kernel that allocates an array does not
    compile. Division by zero gives infinity or NaN, as in numpy.
    """
    return cast(Function, _njit(function))


def entry_point(kernel: Callable[..., Any], *arguments: Any) -> Callable[..., Any]:
    """The compiled form of a kernel for arguments of these types, without the type check.

    Calling it with arguments of other types is undefined: the caller makes the arrays itself and
    passes Python's own int, float and bool.
    """
    typeof: Any = numba.typeof
    types = tuple(typeof(value) for value in arguments)
    return cast("Callable[..., Any]", cast(Any, kernel).compile(types))
