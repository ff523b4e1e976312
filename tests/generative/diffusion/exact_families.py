"""The families with the network that normal data make the best, so that nothing need be learnt."""

from gymagine.generative.diffusion.ddpm import DDPM
from gymagine.generative.diffusion.edm import EDM, preconditioning
from gymagine.generative.diffusion.vp_diffusion import VPDiffusion

from .gaussian_data import ExactNetwork, denoise

__all__ = ["FAMILIES", "exact"]

FAMILIES = {"ddpm": DDPM, "edm": EDM, "vp-diffusion": VPDiffusion}


def exact(family, event=(2,), *, denoise=denoise, bias=0.0, **settings):
    """A family whose network predicts what a denoiser implies.

    Args:
        family: Its name.
        event: Shape of its events.
        denoise: From x = x_0 + sigma e and sigma, a number or one for each, to E[x_0 | x].
        bias: By which predicted noise is off, everywhere.
        settings: Hyper-parameters.
    """
    model = FAMILIES[family](event, hidden_sizes=(4,), **settings).double()
    answer = {"ddpm": _of_ddpm, "edm": _of_edm, "vp-diffusion": _of_vp}[family](model, denoise)
    model.network = ExactNetwork(lambda x, told: answer(x, told) + bias)
    return model


def _for_each(told, x):
    """(B, 1, ...) or (1, 1, ...): what a network is told, for each entry of x."""
    return told.view(-1, *[1] * (x.dim() - 1))


def _noise(z, gamma, denoise):
    """E[e | z] of z = alpha x_0 + sigma_z e, with gamma = 2 ln(sigma_z / alpha)."""
    sigma = (gamma / 2).exp()
    x = z * (1 + sigma**2).sqrt()
    return (x - denoise(x, sigma)) / sigma


def _of_ddpm(model, denoise):
    num_steps = model.config.num_steps

    def answer(z, told):
        shares = model.alpha_bars[(_for_each(told, z) * num_steps).round().long()]
        return _noise(z, -(shares / (1 - shares)).log(), denoise)

    return answer


def _of_vp(model, denoise):
    low, high = model.config.gamma_0, model.config.gamma_1

    def answer(z, told):
        return _noise(z, (_for_each(told, z) * (high - low) + low + high) / 2, denoise)

    return answer


def _of_edm(model, denoise):
    def answer(given, told):
        level = (4 * _for_each(told, given)).exp()
        deviation, centre = float(model.sigma_data), float(model.centre)
        factors = preconditioning(level, 1.0)
        y = given / factors.c_in  # (x - centre) / deviation
        wanted = (denoise(deviation * y + centre, deviation * level) - centre) / deviation
        return (wanted - factors.c_skip * y) / factors.c_out

    return answer
