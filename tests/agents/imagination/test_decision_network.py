import pytest
import torch
from gymagine.agents.imagination.decision_network import DecisionNetwork
from gymagine.generative.codec_leaves import CodecPart

PARTS = [CodecPart("push", "numbers", 0, 2), CodecPart("gear", "category", 2, 5)]


def network_of(length=5):
    torch.manual_seed(0)
    return DecisionNetwork(
        3, PARTS, context_length=length, width=16, num_layers=2, num_heads=2
    ).eval()


def contexts(num, length=5):
    x = torch.randn(num, length, 3 + 3 + 5, generator=torch.Generator().manual_seed(1))
    x[:, :, 2] = 1
    return x


def test_an_action_is_predicted_from_what_is_before_it_and_its_own_observation():
    network, x = network_of(), contexts(2)
    before = network.outputs(x)
    at = 2
    for entries, first_that_changes in ((slice(6, 11), at + 1), (slice(3, 6), at), (0, at)):
        other = x.clone()
        other[:, at, entries] += 1
        changed = (network.outputs(other) - before).abs().amax(dim=(0, 2)) > 1e-6
        assert changed.tolist() == [k >= first_that_changes for k in range(5)]


def test_shorter_windows_give_the_same_as_padded_ones():
    network, x = network_of(), contexts(2)
    torch.testing.assert_close(network.outputs(x[:, :3]), network.outputs(x)[:, :3])


def test_padding_does_not_reach_the_loss():
    network, x = network_of(), contexts(4)
    actions = torch.rand(4, 25)
    x[:, 3:, 2] = 0
    other, others = x.clone(), actions.view(4, 5, 5).clone()
    other[:, 3:, 3:] = 7
    others[:, 3:] = -5
    one = network.loss(actions, x)
    torch.testing.assert_close(one, network.loss(others.flatten(1), other))
    others[:, 0] += 1
    assert (network.loss(others.flatten(1), other) != one).all()


def test_the_loss_by_hand():
    """One step: (0.5 - 0)^2 + (-0.5 - 0)^2 and the logarithm of three alike categories."""
    network = network_of(1)
    torch.nn.init.zeros_(network.head.weight)
    torch.nn.init.zeros_(network.head.bias)
    found = network.loss(torch.tensor([[0.5, -0.5, 0.0, 1.0, 0.0]]), contexts(1, 1))
    assert found.item() == pytest.approx(0.5 + torch.log(torch.tensor(3.0)).item())


def test_numbers_stay_in_their_range_and_categories_are_drawn():
    network = network_of()
    drawn = network.sample(50, 10 * contexts(3), rng=torch.Generator().manual_seed(0))
    rows = drawn.view(-1, 5)
    assert rows[:, :2].abs().max() <= 1
    assert set(rows[:, 2:].unique().tolist()) == {0, 1}
    assert (rows[:, 2:].sum(dim=1) == 1).all()
    shares = torch.softmax(network.outputs(10 * contexts(3))[0, 0, 2:], dim=0)
    often = network.sample(4_000, 10 * contexts(3)).view(4_000, 3, 5, 5)[:, 0, 0, 2:].mean(dim=0)
    torch.testing.assert_close(often, shares, atol=0.04, rtol=0)
    cold = network.sample(2, contexts(3), temperature=0.0)
    assert torch.equal(cold[0], cold[1])


def test_bits_are_refused():
    with pytest.raises(ValueError, match="numbers or categories"):
        DecisionNetwork(
            1, [CodecPart("", "bits", 0, 2)], context_length=2, width=8, num_layers=1, num_heads=1
        )
