import pytest
import torch
from gymagine.generative.baselines.conditional_gaussian import ConditionalGaussian
from gymagine.generative.data.dataset import Dataset, Events
from gymagine.generative.testing import check_generator
from gymagine.generative.training import fit
from torch.distributions import Independent, Normal

torch.set_num_threads(1)


def random_one(event_shape, context_shape=None, **hyperparameters):
    torch.manual_seed(0)
    return ConditionalGaussian(
        event_shape, context_shape=context_shape, hidden_sizes=(8,), **hyperparameters
    )


@pytest.mark.parametrize("context_shape", [None, (3,)])
@pytest.mark.parametrize("event_shape", [(2,), (1, 2, 2)])
def test_the_laws(event_shape, context_shape):
    generator = random_one(event_shape, context_shape).double().eval()
    context = None if context_shape is None else torch.randn(6, *context_shape).double()
    check_generator(generator, torch.randn(6, *event_shape).double(), context)


def test_log_probabilities_are_those_of_pytorch():
    model = random_one((4,), (3,)).double()
    x, context = torch.randn(5, 4).double(), torch.randn(5, 3).double()
    mean, log_deviation = model.moments(context, 5)
    expected = Independent(Normal(mean, log_deviation.exp()), 1).log_prob(x)
    torch.testing.assert_close(model.log_prob(x, context), expected)


def test_deviations_stay_between_their_ends():
    model = random_one((2,), (1,), lowest_deviation=0.1, highest_deviation=2.0).double()
    for far in (-1e6, 1e6):
        deviation = model.moments(torch.full((1, 1), far).double(), 1)[1].exp()
        assert 0.0999 < deviation.min() <= deviation.max() < 2.0001


def test_deviations_begin_near_1():
    model = ConditionalGaussian((50,), context_shape=(3,))
    deviations = model.moments(torch.randn(20, 3), 20)[1].exp()
    assert 0.7 < deviations.min() < 1 < deviations.max() < 1.4


def test_a_line_with_growing_noise_is_found():
    """Nix and Weigend: mean 2 c - 1, deviation 0.1 + c, of c in [0, 1]."""
    rng = torch.Generator().manual_seed(0)
    c = torch.rand(8_000, 1, generator=rng)
    x = 2 * c - 1 + (0.1 + c) * torch.randn(8_000, 1, generator=rng)
    model = ConditionalGaussian((1,), context_shape=(1,), hidden_sizes=(32,))
    data = Dataset(Events(x, c))
    fit(model, data, num_updates=1_000, learning_rate=3e-3, step_sizes="cosine", batch_size=256)
    at = torch.tensor([[0.1], [0.5], [0.9]])
    with torch.no_grad():
        mean, log_deviation = model.moments(at, 3)
    torch.testing.assert_close(mean, 2 * at - 1, atol=0.12, rtol=0)
    torch.testing.assert_close(log_deviation.exp(), 0.1 + at, atol=0.1, rtol=0.1)


def test_without_a_context_it_is_the_gaussian_of_all_events():
    rng = torch.Generator().manual_seed(0)
    x = torch.tensor([1.0, -2.0]) + torch.tensor([0.5, 3.0]) * torch.randn(4_000, 2, generator=rng)
    model = random_one((2,))
    fit(model, x, num_updates=800, learning_rate=1e-2, step_sizes="cosine", batch_size=500)
    with torch.no_grad():
        mean, log_deviation = model.moments(None, 1)
    torch.testing.assert_close(mean[0], x.mean(dim=0), atol=0.08, rtol=0)
    torch.testing.assert_close(log_deviation[0].exp(), x.std(dim=0), atol=0, rtol=0.05)


def test_temperature_and_means():
    model = random_one((2,), (3,)).eval()
    context = torch.randn(4, 3)
    cold = model.sample(3, context, temperature=0.0)
    torch.testing.assert_close(cold, model.sample_means(3, context))


def test_wrong_settings():
    with pytest.raises(ValueError, match=r"lowest_deviation below highest_deviation, got 2\.0"):
        ConditionalGaussian((2,), lowest_deviation=2.0, highest_deviation=1.0)
    with pytest.raises(TypeError, match="did you mean hidden_sizes"):
        ConditionalGaussian((2,), hidden_size=(3,))


def test_losses_are_weighted_with_the_variance_to_a_power():
    x, context = torch.randn(5, 2).double(), torch.randn(5, 3).double()
    plain = random_one((2,), (3,), beta=0.0).double()
    torch.testing.assert_close(plain.loss(x, context), -plain.log_prob(x, context))
    half = random_one((2,), (3,), beta=0.5).double()
    mean, log_deviation = (part.detach() for part in half.moments(context, 5))
    normal = Normal(mean, log_deviation.exp())
    expected = (-normal.log_prob(x) * normal.stddev).sum(dim=1)
    torch.testing.assert_close(half.loss(x, context), expected)
    # the weight of beta = 1 takes the variance out of the mean's gradient: least squares
    whole = random_one((2,), (3,), beta=1.0).double()
    bias = whole.network.layers[-1].bias
    (gradient,) = torch.autograd.grad(whole.loss(x, context).sum(), bias)
    torch.testing.assert_close(gradient[:2], (mean - x).sum(dim=0))


def test_a_rare_large_value_is_found():
    """One context in twenty leads to 4, the others to 0: the likelihood is slow to see it."""
    which = (torch.arange(400) % 20 == 0).float().unsqueeze(1)
    context = torch.cat(
        [which, torch.randn(400, 3, generator=torch.Generator().manual_seed(0))], 1
    )
    x = torch.cat([4 * which, context[:, 1:2]], dim=1)
    found = {}
    for beta in (0.0, 0.5):
        torch.manual_seed(0)
        model = ConditionalGaussian((2,), context_shape=(4,), hidden_sizes=(32,), beta=beta)
        fit(model, Dataset(Events(x, context)), num_updates=300, learning_rate=5e-3)
        with torch.no_grad():
            found[beta] = float((model.moments(context, 400)[0] - x).square().mean().sqrt())
    assert found[0.5] < 0.5 * found[0.0]
