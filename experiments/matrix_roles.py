"""The roles of `gymagine matrix`: small tasks that a generator learns in about a minute each.

Budgets are far below what papers spend: the table tells what a generator does in a role with
little, beside controls that had as much. All of a role's settings are in its results.
"""

from __future__ import annotations

from .matrix import MatrixRole
from .matrix_acting_roles import ACTING_ROLES
from .matrix_surrounding_roles import SURROUNDING_ROLES

__all__ = ["MATRIX_GENERATORS", "MATRIX_ROLES"]

MATRIX_GENERATORS = (
    "regression",
    "gaussian",
    "gaussian-mixture",
    "vae",
    "autoregressive",
    "flow",
    "flow-matching",
    "gan",
    "diffusion",
    "autoencoder",
    "vq-vae",
)
"""Words of `role_generators`, and of the catalogue what has latents of its own kind."""


MATRIX_ROLES: tuple[MatrixRole, ...] = (*ACTING_ROLES, *SURROUNDING_ROLES)
"""In the order of the table."""
