"""Small generators that are right, and can be made wrong in one place each."""

import math

import torch
from gymagine.generative.generator import AbstractDensity
from torch import nn
from torch.distributions import constraints

__all__ = ["Coins", "Gaussian"]


class Gaussian(AbstractDensity):
    """A diagonal Gaussian whose mean is linear in the context."""

    def __init__(self, event_shape=(2,), context_shape=None):
        super().__init__(event_shape, context_shape=context_shape)
        self.mean = nn.Parameter(torch.zeros(event_shape))
        self.log_sigma = nn.Parameter(torch.zeros(event_shape))
        self.by_context = None
        if context_shape is not None:
            self.by_context = nn.Linear(math.prod(context_shape), self.num_entries)

    def _log_prob(self, x, context):
        normal = torch.distributions.Normal(
            self.mean_of(context), self.log_sigma.exp(), validate_args=False
        )
        return normal.log_prob(x).flatten(1).sum(dim=1)

    def _loss(self, x, context, rng):
        return -self._log_prob(x, context)

    def _sample(self, num, context, temperature, rng):
        mean = self.mean_of(context).expand(num, *self.event_shape)
        noise = torch.randn(mean.shape, generator=rng, dtype=mean.dtype)
        return mean + temperature * self.log_sigma.exp() * noise

    def mean_of(self, context):
        if self.by_context is None:
            return self.mean
        return self.mean + self.by_context(context.flatten(1)).view(-1, *self.event_shape)


class Coins(AbstractDensity):
    """Independent coins."""

    def __init__(self, num=3):
        super().__init__((num,), support=constraints.boolean)
        self.logits = nn.Parameter(torch.linspace(-1, 1, num))

    def _log_prob(self, x, context):
        log_p = nn.functional.logsigmoid(self.logits)
        log_q = nn.functional.logsigmoid(-self.logits)
        return (x * log_p + (1 - x) * log_q).sum(dim=1)

    def _loss(self, x, context, rng):
        return -self._log_prob(x, context)

    def _sample(self, num, context, temperature, rng):
        logits = self.logits / max(temperature, 1e-6)
        uniforms = torch.rand(num, len(logits), generator=rng, dtype=logits.dtype)
        return (uniforms < logits.sigmoid()).to(logits.dtype)
