import torch
from gymagine.generative.proposals import drawn_around, log_density_around
from torch.distributions import Normal

CENTRES = torch.randn(200, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_weighted_points_integrate_a_density():
    """Of the samples' own scale, and of three times that: the far half is for it."""
    y = drawn_around(CENTRES.repeat(50, 1), torch.Generator().manual_seed(1))
    assert y.shape == (20_000, 2)
    for scale in (1.0, 3.0):
        log_p = Normal(0.0, scale).log_prob(y).sum(dim=1)
        weights = (log_p - log_density_around(y, CENTRES.repeat(50, 1))).exp()
        assert abs(float(weights.mean()) - 1) < 5 * float(weights.std()) / len(y) ** 0.5
        assert float(weights.std()) / len(y) ** 0.5 < 0.03


def test_half_is_near_and_half_is_far():
    y = drawn_around(CENTRES, torch.Generator().manual_seed(1))
    distances = torch.cdist(y, CENTRES).amin(dim=1)
    near, far = distances.tensor_split(2)
    assert float(near.amax()) < 2
    assert float(far.median()) > float(near.median())
    assert float(far.amax()) > 10
