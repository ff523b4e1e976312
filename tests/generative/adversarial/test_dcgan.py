"""The paper's recipe, and statistics of batch normalisation."""

import pytest
import torch
from gymagine.generative.adversarial.dcgan import DCGAN
from gymagine.generative.fit_settings import settings_for
from gymagine.generative.training import fit

torch.set_num_threads(1)


def test_the_papers_settings():
    gan = DCGAN((1, 8, 8))
    settings = settings_for(gan, {})
    assert gan.latent_size == 100
    assert (settings.learning_rate, settings.beta_1, settings.beta_2) == (2e-4, 0.5, 0.999)
    assert settings.batch_size == 128
    given = settings_for(gan, {"beta_1": 0.9, "average_decay": None})
    assert (given.beta_1, given.average_decay, given.learning_rate) == (0.9, None, 2e-4)


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32)])
def test_sizes(shape):
    gan = DCGAN(shape, channels=(4, 6)).eval()
    drawn = gan.sample(2)
    assert drawn.shape == (2, *shape)
    assert gan.discriminate(drawn).shape == (2,)


def test_settled_statistics_are_those_of_the_batch():
    """In evaluation the settled batches give what they gave in training, one by one too."""
    torch.manual_seed(0)
    gan = DCGAN((1, 8, 8), context_shape=(2,), channels=(4, 6), latent_size=3).double()
    x, context = 2 * torch.rand(9, 1, 8, 8).double() - 1, torch.randn(9, 2).double()
    gan.eval().settle(x, context, torch.Generator().manual_seed(0))
    assert not gan.training
    z = torch.randn(9, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with torch.no_grad():
        alone = gan.generate(z[:1], context[:1])
        drawn = gan.generate(z, context)
        both, given = torch.cat([x, drawn]), torch.cat([context, context])
        values = gan.discriminate(both, given)
        gan.train()
        torch.testing.assert_close(gan.generate(z, context), drawn)
        torch.testing.assert_close(drawn[:1], alone)
        torch.testing.assert_close(gan.discriminate(both, given), values)
        assert (gan.discriminate(x, context) - values[:9]).abs().max() > 1e-6


@pytest.mark.parametrize(
    ("shape", "settings", "message"),
    [
        ((2,), {}, r"expected pictures of shape \(channels, height, width\) for DCGAN, got .*2,"),
        ((1, 8, 7), {"channels": (4, 4, 4)}, "expected pictures of at least 8 by 8"),
        ((1, 8, 8), {"channels": ()}, "expected channels of at least one halving"),
        ((1, 8, 8), {"loss": "hinge"}, "expected loss as one of"),
    ],
)
def test_mistakes(shape, settings, message, without_shape_checks):
    with pytest.raises(ValueError, match=message):
        DCGAN(shape, **settings)


def test_batches_of_one_need_maps_of_several_places():
    """Of 4 by 4 two halvings leave one place, of which one event is normalised to nothing."""
    x = 2 * torch.rand(4, 1, 8, 8) - 1
    small = DCGAN((1, 4, 4), channels=(4, 4), latent_size=3)
    with pytest.raises(ValueError, match="expected more than one number of each feature"):
        fit(small, x[:, :, :4, :4], num_updates=1, batch_size=1)
    fit(small, x[:, :, :4, :4], num_updates=1, batch_size=2)
    assert small.sample(1).shape == (1, 1, 4, 4)
    large = DCGAN((1, 8, 8), channels=(4, 4), latent_size=3)
    fit(large, x, num_updates=1, batch_size=1)
    assert large.sample(1).isfinite().all()
