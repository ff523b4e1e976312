"""Where a result comes from: versions, commit, machine, command line."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

__all__ = ["git_commit", "package_commit", "package_versions", "provenance"]

_PACKAGES = (
    "gymagine",
    "gymnasium",
    "numpy",
    "scipy",
    "numba",
    "torch",
    "stable-baselines3",
    "sb3-contrib",
)


def provenance() -> dict[str, Any]:
    """What a run record says of its origin, as JSON can hold it."""
    return {
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "git_commit": git_commit(),
        "gymagine_commit": package_commit(),
        "versions": package_versions(),
        "platform": platform.platform(),
        "processors": os.cpu_count(),
    }


def package_versions() -> dict[str, str]:
    """The installed versions of what results depend on, Python's own included."""
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions


@cache
def git_commit() -> str | None:
    """The commit of the working folder's repository, ``-modified`` if files differ from it.

    None outside a repository, or without git. Asked once per process.
    """
    return _commit_of(Path.cwd())


@cache
def package_commit() -> str | None:
    """The same of Gymagine itself, where it runs from a clone; None where it was installed."""
    root = Path(__file__).resolve().parents[1]
    return _commit_of(root) if (root / ".git").exists() else None


def _commit_of(folder: Path) -> str | None:
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    return f"{commit}-modified" if _git(folder, "status", "--porcelain", "-uno") else commit


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        answer = subprocess.run(
            ["git", *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None
