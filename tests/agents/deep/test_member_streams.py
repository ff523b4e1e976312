"""What a member draws is its own, whoever trains beside it."""

import json

import numpy as np
import pytest
from gymagine.agents.deep.member_streams import MemberStreams, Streams, member_streams
from scipy.stats import kstest


def draw(streams):
    return {
        name: (own.uniforms(3), own.normals(2, 2), own.integers(7, 4))
        for name, own in streams._asdict().items()
    }


def test_a_member_is_itself_in_any_company():
    together, alone = draw(member_streams([3, 9, 4])), draw(member_streams([9]))
    for name in Streams._fields:
        for mine, own in zip(together[name], alone[name], strict=True):
            np.testing.assert_array_equal(mine[1:2], own)


def test_purposes_and_members_differ():
    drawn = [own.uniforms(4) for own in member_streams([0, 1])]
    rows = np.concatenate(drawn)
    assert len(np.unique(rows)) == rows.size


def test_one_purpose_does_not_disturb_another():
    one, other = member_streams([0, 1]), member_streams([0, 1])
    one.acting.normals(1000)
    np.testing.assert_array_equal(one.sampling.uniforms(5), other.sampling.uniforms(5))


def test_shapes_and_distributions():
    streams = member_streams([0, 1]).acting
    assert streams.uniforms().shape == (2,)
    numbers = streams.integers(5, 20_000)
    assert numbers.shape == (2, 20_000)
    counts = np.bincount(numbers.ravel(), minlength=5)
    assert len(counts) == 5 and abs(counts / counts.sum() - 0.2).max() < 0.01
    assert kstest(streams.normals(5_000).ravel(), "norm").pvalue > 1e-3
    assert kstest(streams.uniforms(5_000).ravel(), "uniform").pvalue > 1e-3


def test_they_go_on_where_they_stood():
    streams = member_streams([2, 5])
    draw(streams)
    state = json.loads(json.dumps(streams.state()))
    after = draw(streams)
    others = member_streams([0, 1])
    others.restore(state)
    found = draw(others)
    for name in Streams._fields:
        for mine, theirs in zip(after[name], found[name], strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_mistakes():
    streams = member_streams([0, 1])
    with pytest.raises(ValueError, match="streams of 2 members, got 1"):
        streams.restore(member_streams([0]).state())
    with pytest.raises(ValueError, match="expected the streams"):
        streams.restore({"acting": streams.acting.state()})
    with pytest.raises(ValueError, match="state of a generator, got None"):
        MemberStreams([np.random.default_rng(0)]).restore([None])
