"""Data as a family takes them: in a form that it knows, flattened where it wants vectors."""

from __future__ import annotations

import dataclasses
import inspect
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ..generative.data.catalogue import DATASETS, dataset_named
from ..generative.data.dataset import Dataset
from ..generative.data.preparation import AbstractPreparation
from ..generative.generator import AbstractBound, AbstractDensity, AbstractGenerator
from .generator_catalogue import find_generator, generator_class

__all__ = [
    "Flattened",
    "check_likelihood",
    "data_for",
    "has_forms",
    "likelihood_for",
    "preparation_of",
]


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


def likelihood_for(family: str, data: Dataset) -> dict[str, Any]:
    """The hyper-parameters by which a family has a likelihood of such data, and stays near them.

    A denoiser's guesses from nothing but noise are far outside of pictures, and without a limit
    sampling never finds back: deviations were hundreds of times those of the data.

    Args:
        family: Its name.
        data: As `data_for` gives them.
    """
    fields = {field.name for field in dataclasses.fields(generator_class(family).Config)}
    preparation = preparation_of(data)
    kinds = {"decoder": "gaussian", "conditional": "gaussian-mixture"}
    found: dict[str, Any] = {}
    highest = getattr(getattr(preparation, "support", None), "upper_bound", None)
    if "clip" in fields and highest is not None:
        found["clip"] = float(highest)
    if preparation is not None and preparation.support.is_discrete:
        kinds = dict.fromkeys(kinds, "bernoulli" if preparation.is_binary else "categorical")
        if not preparation.is_binary and "num_levels" in fields:
            found["num_levels"] = preparation.num_levels
    return found | {name: kind for name, kind in kinds.items() if name in fields}


def check_likelihood(generator: AbstractGenerator, data: Dataset) -> None:
    """Make sure that a generator's likelihood, if it has one, is of what the data are.

    A density of zeros and ones, for one, grows without bound and means nothing.

    Raises:
        ValueError: They are not.
    """
    preparation = preparation_of(data)
    if preparation is None or not isinstance(generator, AbstractDensity | AbstractBound):
        return
    if preparation.support.is_discrete == generator.support.is_discrete:
        return
    raise ValueError(
        f"expected a likelihood of events in {preparation.support}, as those of {data.name} are "
        f"in this form, got a {type(generator).__name__} of {generator.support}: choose another "
        "form, or another decoder or conditional"
    )


def preparation_of(data: Dataset) -> AbstractPreparation | None:
    """What makes batches of pictures, flattened or not; None for data that are none."""
    prepare = data.prepare.prepare if isinstance(data.prepare, Flattened) else data.prepare
    return prepare if isinstance(prepare, AbstractPreparation) else None


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
