"""Modules away from their start."""

import torch

__all__ = ["shaken"]


def shaken(module, by=0.3):
    """The module in 64 bits with noise on its parameters: small weights hide what follows."""
    rng = torch.Generator().manual_seed(0)
    module = module.double().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(by * torch.randn(parameter.shape, generator=rng).double())
    return module
