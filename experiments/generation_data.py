"""Data as a family takes them: in a form that it knows, flattened where it wants vectors."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ..generative.data.catalogue import DATASETS, dataset_named
from ..generative.data.dataset import Dataset
from .generator_catalogue import find_generator

__all__ = ["Flattened", "data_for", "has_forms"]


@dataclass(frozen=True)
class Flattened:
    """A preparation whose events come as vectors.

    Attributes:
        prepare: What is done before, or None.
    """

    prepare: Any = None

    def __call__(self, x: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """(B, D) prepared events."""
        return (x if self.prepare is None else self.prepare(x, rng)).flatten(1)


def has_forms(data: str) -> bool:
    """Whether data come in several forms, as pictures do."""
    return data in DATASETS and "form" in inspect.signature(DATASETS[data]).parameters


def data_for(
    family: str, data: str, *, form: str | None = None, conditional: bool = False
) -> Dataset:
    """Data for a family.

    Args:
        family: Its name.
        data: The data's name.
        form: Of pictures; None is the family's usual one.
        conditional: Whether the classes are the context.

    Raises:
        ValueError: A name is unknown, the family does not take the form, or the data have no
            forms or no classes.
    """
    entry = find_generator(family)
    options: dict[str, Any] = {}
    if has_forms(data):
        form = form or entry.forms[0]
        if form not in entry.forms:
            raise ValueError(
                f"expected a form that {family} takes, {', '.join(entry.forms)}, got {form!r}"
            )
        options["form"] = form
    elif form:
        raise ValueError(f"expected no form, of which {data} has one only, got {form!r}")
    if conditional:
        if data in DATASETS and "labels" not in inspect.signature(DATASETS[data]).parameters:
            raise ValueError(f"expected data with classes for a context, got {data}")
        options["labels"] = True
    found = dataset_named(data, **options)
    if entry.takes_vectors and found.train.x.dim() > 2:
        return replace(found, prepare=Flattened(found.prepare))
    return found
