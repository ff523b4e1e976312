"""What tests of deep agents share."""

import inspect

import pytest
import torch
from gymagine.agents.deep import policy_distributions

torch.set_num_threads(1)  # a second one makes small networks slow while another test uses the core


@pytest.fixture
def unchecked(monkeypatch, without_shape_checks):
    """Without the run-time shape checks, which ``torch.compile(fullgraph=True)`` cannot trace.

    It can where they are switched off, but for methods of objects that are made inside the graph.
    """
    for name in policy_distributions.__all__:
        value = getattr(policy_distributions, name)
        for key, member in list(vars(value).items()) if inspect.isclass(value) else []:
            if inspect.isfunction(member):
                monkeypatch.setattr(value, key, inspect.unwrap(member))
            elif isinstance(member, property):
                monkeypatch.setattr(value, key, property(inspect.unwrap(member.fget)))
