"""Every example in a docstring runs."""

import doctest
import importlib
import pkgutil

import gymagine
import pytest

MODULES = [
    name
    for _, name, _ in pkgutil.walk_packages(gymagine.__path__, "gymagine.")
    if name.split(".")[1] in {"agents", "envs", "experiments", "generative", "storage"}
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    module = importlib.import_module(name)
    options = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    outcome = doctest.testmod(module, optionflags=options)
    assert outcome.failed == 0
