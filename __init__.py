"""Gymnasium agents that plan, learn and imagine.

Importing this package registers the ``gymagine/...`` environments with Gymnasium and loads nothing
heavy: numba, scipy, torch, Stable-Baselines3 and matplotlib come in when something needs them.
"""

from .version import __version__

__all__ = ["__version__"]
