"""Normal data, of which everything is known, and eight clouds of them in a ring."""

import math

import torch
from gymagine.generative.diffusion.denoising_network import DenoisingNetwork, NetworkSettings

__all__ = [
    "CLOUD",
    "CORRELATION",
    "MEAN",
    "SIGMA",
    "ExactNetwork",
    "denoise",
    "denoise_correlated",
    "distances_to_clouds",
    "eight_gaussians",
    "log_normal",
    "tilted_moments",
]

MEAN, SIGMA = 0.8, 0.6
CORRELATION = 0.95
RING, CLOUD = math.sqrt(2), 0.07  # radius of the ring, deviation of a cloud


def denoise(x, sigma, mean=MEAN, deviation=SIGMA):
    """E[x_0 | x] of data N(mean, deviation^2) with noise of deviation sigma."""
    return mean + deviation**2 / (deviation**2 + sigma**2) * (x - mean)


def denoise_correlated(x, sigma):
    """E[x_0 | x] of pairs of unit variance that correlate, with noise of deviation sigma."""
    rotation = torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=torch.float64) / math.sqrt(2)
    variances = torch.tensor([1 + CORRELATION, 1 - CORRELATION], dtype=torch.float64)
    return (x @ rotation * variances / (variances + sigma**2)) @ rotation


def log_normal(x, mean=MEAN, deviation=SIGMA):
    z = (x - mean) / deviation
    return (-(z**2) / 2 - math.log(2 * math.pi) / 2 - math.log(deviation)).flatten(1).sum(dim=1)


def tilted_moments(slope, mean=MEAN, deviation=SIGMA):
    """Mean and deviation of p(x) exp(slope x) / Z: completing the square."""
    return mean + deviation**2 * slope, deviation


def eight_gaussians(num, rng):
    """(N, 2) events around eight places of a ring, of about unit variance."""
    angles = torch.randint(0, 8, (num,), generator=rng) * math.pi / 4
    centres = torch.stack([angles.cos(), angles.sin()], dim=1) * RING
    return centres + CLOUD * torch.randn(num, 2, generator=rng)


def distances_to_clouds(x):
    """(N, 8) from events to the clouds' centres."""
    places = torch.arange(8) * math.pi / 4
    return torch.cdist(x, torch.stack([places.cos(), places.sin()], dim=1) * RING)


class ExactNetwork(DenoisingNetwork):
    """In a network's place: what a family's network should say of such data.

    Args:
        answer: From (B, *event) what the network is given and (B, 1) or (1, 1) the time, to what
            it should say.
    """

    def __init__(self, answer):
        super().__init__((1,), None, NetworkSettings(hidden_sizes=(1,)))
        self.answer = answer
        self.double()  # which tells a model's dtype

    def forward(self, x, time, context, present=None):
        return self.denoise(x, self.told(time))

    def told(self, time, context=None, present=None):
        return time[:, None]

    def denoise(self, x, told):
        return self.answer(x, told)
