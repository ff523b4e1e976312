"""Run-time shape checks on the package's array signatures, and a kernel cache that is never stale.

numba's cache looks at the file of the kernel itself, not at those of the kernels that it calls; a
folder named after all kernel sources together cannot be stale.
"""

import hashlib
import os
import signal
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import jaxtyping
import pytest
from beartype import BeartypeConf, beartype
from jaxtyping import install_import_hook

ROOT = Path(find_spec("gymagine").origin).parent
FOLDERS = ("agents", "envs", "experiments", "generative")
SOURCES = sorted(
    path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py") if path.is_file()
)
TEXTS = {path: path.read_text(encoding="utf-8") for path in SOURCES}

# started in the background a process ignores Ctrl-C, and so would the processes that it starts
signal.signal(signal.SIGINT, signal.default_int_handler)

os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
if "NUMBA_CACHE_DIR" not in os.environ:
    kernels = "".join(text for text in TEXTS.values() if "njit" in text)
    name = hashlib.sha256(kernels.encode()).hexdigest()[:12]
    os.environ["NUMBA_CACHE_DIR"] = str(Path.home() / ".cache" / "gymagine-kernels" / name)

# numba cannot compile a wrapped function: modules with kernels keep their plain signatures
checked = [
    ".".join(("gymagine", *path.relative_to(ROOT).with_suffix("").parts))
    for path, text in TEXTS.items()
    if path.name != "__init__.py" and "njit" not in text
]


# an int where a float is announced is right by PEP 484, and by mypy
beartyped = beartype(conf=BeartypeConf(is_pep484_tower=True))


def check(function):
    """Beartype, but for methods that return Self: it can only read that on whole classes."""
    annotations = getattr(function, "__annotations__", {})
    return function if "Self" in str(annotations.get("return")) else beartyped(function)


checker = ModuleType("gymagine_shape_checker")
checker.check = check
sys.modules[checker.__name__] = checker
install_import_hook(checked, "gymagine_shape_checker.check")


@pytest.fixture
def without_shape_checks():
    """For mistakes that the package itself must refuse, where a user runs without the checks."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)
