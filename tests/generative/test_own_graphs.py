"""Graphs of one's own: right for each pattern of arguments, and never another's."""

import subprocess
import sys

import pytest

CODE = """
import torch
from gymagine.generative.own_graphs import OwnGraphs

torch.set_num_threads(1)


class Scale:
    def __init__(self, factor):
        self.factor = factor

    def __call__(self, x, parts):
        first, second = parts
        x.add_(1.0)
        return x * self.factor + (0 if second is None else second) + first

    def method(self, x, parts):
        return self(x, parts)


two, three = Scale(2.0), Scale(3.0)
graphs = OwnGraphs(two.method), OwnGraphs(three.method)
for size in (4, 6, 4):
    for second in (None, torch.ones(size)):
        for scale, graph in zip((two, three), graphs, strict=True):
            x, other = torch.arange(float(size)), torch.arange(float(size))
            first = torch.full((size,), 5.0)
            expected = scale.method(other, (first, second))
            torch.testing.assert_close(graph(x, (first, second)), expected)
            torch.testing.assert_close(x, other)
assert [len(graph._graphs) for graph in graphs] == [4, 4]


columns = torch.arange(12.0).reshape(4, 3).T  # of the same shape as rows, laid out otherwise
rows = columns.contiguous()
total = OwnGraphs(lambda x: (2 * x).sum(dim=1))
assert torch.equal(total(rows), total(columns))
assert total(rows.clone().requires_grad_()).requires_grad


def plain(x):
    return x.sin()


torch.testing.assert_close(OwnGraphs(plain)(torch.ones(3)), torch.ones(3).sin())
"""


@pytest.mark.slow  # it compiles
def test_graphs():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
