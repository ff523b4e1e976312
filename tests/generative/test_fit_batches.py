import pytest
import torch
from gymagine.generative.autoencoders.vae import VAE
from gymagine.generative.data.dataset import Dataset, Events
from gymagine.generative.fit_batches import FitBatches, NoiseStream


def noisy(x, rng=None):
    return x + torch.rand(x.shape, generator=rng)


def batches(seed=0, prepare=noisy, num=10):
    x = torch.arange(float(num))[:, None]
    held_out = torch.arange(1_203.0)[:, None]
    data = Dataset(Events(x, 2 * x), held_out=Events(held_out, 2 * held_out), prepare=prepare)
    return FitBatches(data, 4, seed=seed, device=torch.device("cpu"))


def test_a_batch_is_a_function_of_seed_and_number():
    one, other = batches(), batches()
    later = [one.share(number)[0] for number in range(6)][5]
    torch.testing.assert_close(other.share(5)[0], later, rtol=0, atol=0)
    assert not torch.equal(batches(seed=1).share(5)[0], later)


def test_streams_have_the_same_events_and_their_own_noise():
    given = [batches().whole(3, stream)[0] for stream in NoiseStream]
    for x in given[1:]:
        assert torch.equal(x.floor(), given[0].floor())
        assert not torch.equal(x, given[0])
    alone = batches().share(3)[0]  # one process has the whole batch
    torch.testing.assert_close(alone, given[NoiseStream.TRAINING], rtol=0, atol=0)


def test_an_epoch_has_every_event_once_with_its_own_context():
    taken = [batches(prepare=None, num=8).share(number) for number in range(2)]
    x = torch.cat([x for x, _ in taken])
    assert sorted(x.flatten().tolist()) == list(range(8))
    assert all(torch.equal(context, 2 * x) for x, context in taken)


def test_held_out_events_come_all_in_their_order_with_the_same_noise():
    both = [torch.cat([x for x, _ in batches().held_out()]) for _ in range(2)]
    assert torch.equal(both[0], both[1])
    assert both[0].floor().flatten().tolist() == list(range(1_203))


def test_as_many_held_out_events_as_are_asked_for():
    few = torch.cat([x for x, _ in batches().held_out(700)])
    assert torch.equal(few, torch.cat([x for x, _ in batches().held_out()])[:700])
    assert sum(len(x) for x, _ in batches().held_out(5_000)) == 1_203


def test_settling_takes_a_larger_batch():
    assert len(batches(num=3_000).settling(7)[0]) == 1_000
    assert len(batches().settling(7)[0]) == 10  # of fewer, all


def test_events_that_do_not_fit_the_generator():
    batches(prepare=None).check(VAE((1,), context_shape=(1,)))
    with pytest.raises(ValueError, match="expected events of shape"):
        batches(prepare=None).check(VAE((2,), context_shape=(1,)))
