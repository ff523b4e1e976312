"""Probabilistic principal components: the variational autoencoder of which all is known.

x = W z + mu + sigma e with standard normal z and e, so that x is normal with covariance
W W' + sigma^2 I, and z given x with M^-1 W' (x - mu) and sigma^2 M^-1, where M = W' W + sigma^2 I.
Columns of W at right angles make M diagonal, so that an encoder with independent entries is exact.
(Tipping & Bishop 1999, equations 4 to 8.)
"""

import numpy as np
import torch
from scipy import stats

__all__ = ["LinearGaussian"]


class LinearGaussian:
    """The model with D = 5 and L = 2."""

    def __init__(self, sigma=0.5, seed=0):
        rng = np.random.default_rng(seed)
        axes, _ = np.linalg.qr(rng.normal(size=(5, 2)))
        self.weights = axes * [2.0, 1.0]  # principal variances 4 and 1, and sigma^2
        self.mean, self.sigma = rng.normal(size=5), sigma
        self.covariance = self.weights @ self.weights.T + sigma**2 * np.eye(5)
        self.precisions = (self.weights**2).sum(axis=0) + sigma**2  # M's diagonal

    def draw(self, num, seed=0):
        """(num, 5) events."""
        drawn = np.random.default_rng(seed).multivariate_normal(self.mean, self.covariance, num)
        return torch.from_numpy(drawn)

    def log_prob(self, x):
        """(B,) exact."""
        return torch.from_numpy(stats.multivariate_normal(self.mean, self.covariance).logpdf(x))

    def write_into(self, model, by_label=None):
        """Give a linear model in 64 bits these parameters and the exact posterior.

        Args:
            model: A `LatentGaussian` without a context, or with a label as its context.
            by_label: (K, 5) what a label adds to the mean.
        """
        offsets = torch.zeros(0, 5) if by_label is None else torch.as_tensor(by_label)
        offsets = offsets.double()
        gain = torch.from_numpy(self.weights.T / self.precisions[:, None])  # M^-1 W'
        weights, mean = torch.from_numpy(self.weights), torch.from_numpy(self.mean)
        encoder, decoder = model.encoder.dense.layers[0], model.decoder.dense.layers[0]
        with torch.no_grad():
            encoder.weight.zero_()
            encoder.weight[:2] = torch.cat([gain, -gain @ offsets.T], dim=1)
            log_variance = np.log(self.sigma**2 / self.precisions)
            encoder.bias.copy_(torch.cat([-gain @ mean, torch.from_numpy(log_variance)]))
            decoder.weight.copy_(torch.cat([weights, offsets.T], dim=1))
            decoder.bias.copy_(mean)
        model.likelihood.set_sigma(self.sigma)
