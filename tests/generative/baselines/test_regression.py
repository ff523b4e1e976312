import pytest
import torch
from gymagine.generative.baselines.mixture_regression import MixtureRegression
from gymagine.generative.baselines.regression import Regression
from gymagine.generative.data.dataset import Dataset, Events
from gymagine.generative.testing import check_generator
from gymagine.generative.training import fit


def random_one(family, event_shape, context_shape=None, **hyperparameters):
    torch.manual_seed(0)
    return family(event_shape, context_shape=context_shape, hidden_sizes=(8,), **hyperparameters)


def left_or_right(num, seed=0):
    """(num, 2) all entries near 1 or all near -1, and a context in [0, 1] that says nothing."""
    rng = torch.Generator().manual_seed(seed)
    side = torch.randint(2, (num, 1), generator=rng) * 2.0 - 1
    x = side + 0.05 * torch.randn(num, 2, generator=rng)
    return Events(x, torch.rand(num, 1, generator=rng))


@pytest.mark.parametrize("family", [Regression, MixtureRegression])
@pytest.mark.parametrize("context_shape", [None, (3,)])
@pytest.mark.parametrize("event_shape", [(2,), (1, 2, 2)])
def test_the_laws(family, event_shape, context_shape):
    generator = random_one(family, event_shape, context_shape).double().eval()
    context = None if context_shape is None else torch.randn(6, *context_shape).double()
    x = torch.randn(6, *event_shape).double()
    check_generator(generator, x, context, is_random=family is MixtureRegression)


def test_least_squares_finds_the_mean():
    """x = 3 c - 1 with noise: the mean at c; without a context, that of all events."""
    rng = torch.Generator().manual_seed(0)
    c = torch.rand(4_000, 1, generator=rng)
    x = 3 * c - 1 + 0.5 * torch.randn(4_000, 1, generator=rng)
    model = Regression((1,), context_shape=(1,), hidden_sizes=(16,))
    fit(model, Dataset(Events(x, c)), num_updates=600, learning_rate=1e-2, step_sizes="cosine")
    at = torch.tensor([[0.1], [0.5], [0.9]])
    torch.testing.assert_close(model.sample(1, at)[0], 3 * at - 1, atol=0.12, rtol=0)
    alone = Regression((1,), hidden_sizes=(4,))
    fit(alone, x, num_updates=300, learning_rate=1e-2, step_sizes="cosine", batch_size=4_000)
    torch.testing.assert_close(alone.sample(1)[0], x.mean(dim=0), atol=0.01, rtol=0)


def test_between_two_modes_is_where_nothing_is_and_a_mixture_is_in_one_of_them():
    """Regression answers 0 for +-1, where no event is; the mixture draws both, whole."""
    events = left_or_right(2_000)
    settings = {"num_updates": 400, "learning_rate": 5e-3, "step_sizes": "cosine"}
    regression = Regression((2,), context_shape=(1,), hidden_sizes=(16,))
    mixture = MixtureRegression((2,), context_shape=(1,), hidden_sizes=(16,), num_components=3)
    for model in (regression, mixture):
        fit(model, Dataset(events), seed=0, **settings)
    contexts = torch.rand(500, 1)
    assert regression.sample(1, contexts).abs().max() < 0.3
    drawn = mixture.sample(1, contexts, rng=torch.Generator().manual_seed(0))[0]
    assert ((drawn.abs() - 1).abs() < 0.3).float().mean() > 0.97
    assert (drawn[:, 0].sign() == drawn[:, 1].sign()).float().mean() > 0.97
    assert 0.4 < (drawn[:, 0] > 0).float().mean() < 0.6


def test_density_of_a_mixture_is_that_of_pytorch():
    model = random_one(MixtureRegression, (3,), (2,), num_components=4).double()
    x, context = torch.randn(5, 3).double(), torch.randn(5, 2).double()
    logits, means, log_deviations = model.components(5, context)
    expected = torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(logits=logits),
        torch.distributions.Independent(
            torch.distributions.Normal(means, log_deviations.exp()), 1
        ),
    ).log_prob(x)
    torch.testing.assert_close(model.log_prob(x, context), expected)


def test_deviations_have_a_floor():
    model = random_one(MixtureRegression, (2,), (1,), lowest_deviation=0.3).double()
    far = torch.full((1, 1), -1e4).double()
    assert model.components(1, far)[2].exp().min() >= 0.3


def test_wrong_settings():
    with pytest.raises(TypeError, match="did you mean hidden_sizes"):
        Regression((2,), hidden_size=(3,))
    with pytest.raises(ValueError, match="expected num_components in"):
        MixtureRegression((2,), num_components=0)
