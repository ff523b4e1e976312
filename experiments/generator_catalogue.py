"""The families of generators that the command line knows by name.

An entry holds the place of a class, not the class: nothing is imported before it is asked for. It
also says what the family is given of data that have several forms, and whether pictures come as
vectors.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from .catalogue import suggestion

if TYPE_CHECKING:
    from ..generative.family import AbstractFamily

__all__ = ["GENERATORS", "GeneratorEntry", "find_generator", "generator_class"]


@dataclass(frozen=True)
class GeneratorEntry:
    """One family.

    Attributes:
        name: What the command line calls it.
        kind: The room that it is in, such as ``flows``.
        target: ``module:Class`` within `gymagine.generative`.
        summary: One line.
        forms: The forms of pictures that it takes, the usual one first.
        takes_vectors: Whether pictures and sequences are flattened for it.
    """

    name: str
    kind: str
    target: str
    summary: str
    forms: tuple[str, ...]
    takes_vectors: bool = False


_BINARY = ("thresholded", "drawn-once", "redrawn")
_REAL = ("centred", "scaled", "dequantised")
_CENTRED = ("centred", "dequantised-centred", "dequantised")  # of about unit variance first

GENERATORS: dict[str, GeneratorEntry] = {
    entry.name: entry
    for entry in (
        GeneratorEntry(
            "autoencoder",
            "autoencoders",
            "autoencoder:Autoencoder",
            "encoder and decoder, denoising too; draws from a Gaussian over its latents",
            (*_REAL, *_BINARY),
        ),
        GeneratorEntry(
            "masked-autoencoder",
            "autoencoders",
            "masked_autoencoder:MaskedAutoencoder",
            "what is hidden from what is seen, in any order",
            (*_BINARY, *_REAL, "levels"),
        ),
        GeneratorEntry(
            "vae",
            "autoencoders",
            "vae:VAE",
            "variational autoencoder",
            (*_BINARY, *_REAL, "levels"),
        ),
        GeneratorEntry(
            "beta-vae",
            "autoencoders",
            "beta_vae:BetaVAE",
            "with a weight on the rate, given or found",
            (*_BINARY, *_REAL, "levels"),
        ),
        GeneratorEntry(
            "vq-vae",
            "autoencoders",
            "vq_vae:VQVAE",
            "latents from a code book",
            (*_BINARY, *_REAL, "levels"),
        ),
        GeneratorEntry(
            "made",
            "autoregressive",
            "made:MADE",
            "masked dense layers, all conditionals at once",
            (*_BINARY, "levels", *_REAL),
            takes_vectors=True,
        ),
        GeneratorEntry(
            "transformer",
            "autoregressive",
            "transformer:Transformer",
            "causal attention over entries",
            ("levels", *_BINARY, *_REAL),
        ),
        GeneratorEntry(
            "gated-pixelcnn",
            "autoregressive",
            "gated_pixelcnn:GatedPixelCNN",
            "masked convolutions, a vertical and a horizontal stack",
            (*_BINARY, "levels", *_REAL),
        ),
        GeneratorEntry(
            "nice",
            "flows",
            "nice:NICE",
            "additive couplings",
            ("dequantised",),
            takes_vectors=True,
        ),
        GeneratorEntry(
            "real-nvp",
            "flows",
            "real_nvp:RealNVP",
            "affine couplings",
            ("dequantised",),
            takes_vectors=True,
        ),
        GeneratorEntry(
            "maf",
            "flows",
            "maf:MAF",
            "masked autoregressive flow",
            ("dequantised",),
            takes_vectors=True,
        ),
        GeneratorEntry(
            "spline-flow",
            "flows",
            "spline_flow:SplineFlow",
            "rational-quadratic spline couplings",
            ("dequantised",),
            takes_vectors=True,
        ),
        GeneratorEntry(
            "flow-matching",
            "flows",
            "flow_matching:FlowMatching",
            "a continuous flow along straight paths",
            _CENTRED,
            takes_vectors=True,
        ),
        GeneratorEntry(
            "gan",
            "adversarial",
            "gan:GAN",
            "what a discriminator cannot tell from data",
            _REAL,
        ),
        GeneratorEntry(
            "dcgan",
            "adversarial",
            "dcgan:DCGAN",
            "with strided convolutions and batch normalisation",
            _REAL,
        ),
        GeneratorEntry(
            "wgan-gp",
            "adversarial",
            "wgan_gp:WGANGP",
            "with a critic of bounded slope instead of a discriminator",
            _REAL,
        ),
        GeneratorEntry(
            "unrolled-gan",
            "adversarial",
            "unrolled_gan:UnrolledGAN",
            "with a discriminator whose answer is looked ahead to",
            _REAL,
        ),
        GeneratorEntry(
            "ddpm",
            "diffusion",
            "ddpm:DDPM",
            "denoising diffusion in discrete time",
            _CENTRED,
        ),
        GeneratorEntry(
            "edm",
            "diffusion",
            "edm:EDM",
            "diffusion over noise levels, with a flow's density",
            _CENTRED,
        ),
        GeneratorEntry(
            "vp-diffusion",
            "diffusion",
            "vp_diffusion:VPDiffusion",
            "denoising diffusion in continuous time, trained on its bound",
            _CENTRED,
        ),
    )
}


def find_generator(name: str) -> GeneratorEntry:
    """The family of a name.

    Raises:
        ValueError: There is none; the message suggests the nearest.
    """
    if name not in GENERATORS:
        raise ValueError(
            f"unknown generator {name!r}{suggestion(name, GENERATORS)}; gymagine list generators "
            "shows them"
        )
    return GENERATORS[name]


def generator_class(name: str) -> type[AbstractFamily]:
    """The class of a family.

    Raises:
        ValueError: There is none of that name.
    """
    entry = find_generator(name)
    module, _, attribute = entry.target.partition(":")
    found: type[AbstractFamily] = getattr(
        import_module(f"gymagine.generative.{entry.kind}.{module}"), attribute
    )
    return found
