"""What all hyper-parameters have in common: how they are checked, and their JSON.

The ``Config`` of an agent or a generator is a frozen dataclass whose fields have a default and a
docstring each. It lists the ranges of its numbers and calls `check_fields` when it is built.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
import sys
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from .schedules import Schedule

__all__ = ["Ranges", "build_config", "check_fields", "config_from_json", "config_to_json"]

Ranges: TypeAlias = Mapping[str, tuple[float, float, bool]]
"""By field: the lowest and the highest value, and whether the lowest itself is allowed."""


def build_config(config_type: type[Any], hyperparameters: Mapping[str, Any], owner: str) -> Any:
    """A config from keyword arguments.

    Args:
        config_type: Its class.
        hyperparameters: Of its fields.
        owner: Whose config it is, for the error.

    Raises:
        TypeError: A keyword is not one of its fields; the message suggests the nearest.
    """
    known = [field.name for field in dataclasses.fields(config_type)]
    for keyword in hyperparameters:
        if keyword not in known:
            near = difflib.get_close_matches(keyword, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
            raise TypeError(f"{owner} has no hyper-parameter {keyword!r}; {hint}")
    return config_type(**hyperparameters)


def check_fields(config: Any, ranges: Ranges, choices: Mapping[str, tuple[str, ...]]) -> None:
    """Check the fields of a config, whose numbers become Python's own and whose texts schedules.

    Args:
        config: A frozen dataclass.
        ranges: Of its numbers, and of the entries of its tuples; those not listed are unbounded.
        choices: The values that a field may have, where they are words.

    Raises:
        ValueError: A value is out of range or of another kind; the message names the field.
    """
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if isinstance(value, np.bool_ | np.integer | np.floating):
            value = value.item()  # JSON and kernels take Python's own
        elif isinstance(value, str) and _takes_schedules(str(field.type)):
            value = Schedule.parse(value)
        elif isinstance(value, list):
            value = tuple(value)
        object.__setattr__(config, field.name, value)
        _check(field.name, str(field.type), value, ranges, choices)


def config_to_json(config: Any) -> dict[str, Any]:
    """The fields as JSON holds them: a schedule is its text."""
    values = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    return {
        name: str(value) if isinstance(value, Schedule) else value
        for name, value in values.items()
    }


def config_from_json(config_type: type[Any], fields: dict[str, Any]) -> Any:
    """The config that `config_to_json` wrote.

    Raises:
        TypeError: They are no fields at all.
        ValueError: A field is unknown here, so the file is of a later version.
    """
    if not isinstance(fields, Mapping):
        raise TypeError(f"expected hyper-parameters by name, got {fields!r}")
    kinds = {field.name: str(field.type) for field in dataclasses.fields(config_type)}
    unknown = sorted(set(fields) - set(kinds))
    if unknown:
        raise ValueError(f"expected hyper-parameters among {sorted(kinds)}, got {unknown}")
    return config_type(**{name: _read(kinds[name], value) for name, value in fields.items()})


def _takes_schedules(annotation: str) -> bool:
    return re.search(r"\bSchedule\b", annotation) is not None


def _read(annotation: str, value: Any) -> Any:
    """A field's value from JSON, which has neither schedules nor tuples."""
    if isinstance(value, str) and _takes_schedules(annotation):
        return Schedule.parse(value)
    return tuple(value) if isinstance(value, list) else value


def _check(
    name: str,
    annotation: str,
    value: Any,
    ranges: Ranges,
    choices: Mapping[str, tuple[str, ...]],
) -> None:
    if name in choices:
        if value not in choices[name]:
            raise ValueError(f"expected {name} as one of {choices[name]}, got {value!r}")
        return
    if value is None and "None" in annotation:
        return
    if annotation.startswith(("bool", "str")):
        _check_plain(name, annotation, value)
        return
    if annotation.startswith("tuple") or ("tuple" in annotation and isinstance(value, tuple)):
        if not isinstance(value, tuple):
            raise ValueError(f"expected {name} as a tuple of integers, got {value!r}")
        for entry in value:
            _check(name, "int", entry, ranges, choices)
        return
    low, high, inclusive = ranges.get(name, (-math.inf, math.inf, False))
    least, most = _ends(name, annotation, value)
    inside = (least >= low if inclusive else least > low) and most <= high
    if not (inside and math.isfinite(least) and math.isfinite(most)):
        bracket = "[" if inclusive else "("
        raise ValueError(f"expected {name} in {bracket}{low}, {high}], got {value}")


def _check_plain(name: str, annotation: str, value: Any) -> None:
    kind, what = (bool, "True or False") if annotation.startswith("bool") else (str, "text")
    if not isinstance(value, kind):
        raise ValueError(f"expected {name} as {what}, got {value!r}")


def _ends(name: str, annotation: str, value: Any) -> tuple[float, float]:
    if isinstance(value, Schedule):
        return value.ends
    if annotation.startswith("int") and (isinstance(value, bool) or not isinstance(value, int)):
        raise ValueError(f"expected {name} as an integer, got {value!r}")
    if isinstance(value, int) and abs(value) > sys.maxsize:  # no array takes it
        raise ValueError(f"expected {name} of at most {sys.maxsize}, got {value}")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"expected {name} as a number, got {value!r}")
    return value, value
