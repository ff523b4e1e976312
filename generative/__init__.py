"""Generative models of every family on one contract, and what trains and measures them."""

from typing import TYPE_CHECKING

if __name__ == "generative":
    raise ImportError("import gymagine.generative, not generative: a bare name copies every class")

from ..lazy_exports import export_lazily

if TYPE_CHECKING:
    from .abstract_world_model import AbstractWorldModel as AbstractWorldModel
    from .adversarial.dcgan import DCGAN as DCGAN
    from .adversarial.gan import GAN as GAN
    from .adversarial.unrolled_gan import UnrolledGAN as UnrolledGAN
    from .adversarial.wgan_gp import WGANGP as WGANGP
    from .autoencoders.autoencoder import Autoencoder as Autoencoder
    from .autoencoders.beta_vae import BetaVAE as BetaVAE
    from .autoencoders.m2 import M2 as M2
    from .autoencoders.masked_autoencoder import MaskedAutoencoder as MaskedAutoencoder
    from .autoencoders.vae import VAE as VAE
    from .autoencoders.vq_vae import VQVAE as VQVAE
    from .autoregressive.gated_pixelcnn import GatedPixelCNN as GatedPixelCNN
    from .autoregressive.made import MADE as MADE
    from .autoregressive.transformer import Transformer as Transformer
    from .baselines.conditional_gaussian import ConditionalGaussian as ConditionalGaussian
    from .baselines.mixture_regression import MixtureRegression as MixtureRegression
    from .baselines.regression import Regression as Regression
    from .codec import Codec as Codec
    from .data.catalogue import dataset_named as dataset_named
    from .data.collecting import collect as collect
    from .data.dataset import Dataset as Dataset
    from .data.dataset import Events as Events
    from .data.demonstrations import Demonstrations as Demonstrations
    from .data.environments import frames as frames
    from .data.environments import transitions as transitions
    from .data.minari_files import read_minari as read_minari
    from .data.minari_files import write_minari as write_minari
    from .diffusion.ddpm import DDPM as DDPM
    from .diffusion.edm import EDM as EDM
    from .diffusion.vp_diffusion import VPDiffusion as VPDiffusion
    from .flows.flow_matching import FlowMatching as FlowMatching
    from .flows.maf import MAF as MAF
    from .flows.nice import NICE as NICE
    from .flows.real_nvp import RealNVP as RealNVP
    from .flows.spline_flow import SplineFlow as SplineFlow
    from .generator import AbstractBound as AbstractBound
    from .generator import AbstractDensity as AbstractDensity
    from .generator import AbstractGenerator as AbstractGenerator
    from .generator import AbstractLatent as AbstractLatent
    from .latent_world_model import LatentWorldModel as LatentWorldModel
    from .metrics.likelihood import negative_log_likelihood as negative_log_likelihood
    from .normalisers import Normaliser as Normaliser
    from .observation_encoder import ObservationEncoder as ObservationEncoder
    from .observation_encoder import train_encoder as train_encoder
    from .tabular_world_model import TabularWorldModel as TabularWorldModel
    from .testing import check_generator as check_generator
    from .training import FitResult as FitResult
    from .training import fit as fit
    from .world_model import WorldModel as WorldModel
    from .world_model_fitting import fit_world_model as fit_world_model

__all__ = [
    "DCGAN",
    "DDPM",
    "EDM",
    "GAN",
    "M2",
    "MADE",
    "MAF",
    "NICE",
    "VAE",
    "VQVAE",
    "WGANGP",
    "AbstractBound",
    "AbstractDensity",
    "AbstractGenerator",
    "AbstractLatent",
    "AbstractWorldModel",
    "Autoencoder",
    "BetaVAE",
    "Codec",
    "ConditionalGaussian",
    "Dataset",
    "Demonstrations",
    "Events",
    "FitResult",
    "FlowMatching",
    "GatedPixelCNN",
    "LatentWorldModel",
    "MaskedAutoencoder",
    "MixtureRegression",
    "Normaliser",
    "ObservationEncoder",
    "RealNVP",
    "Regression",
    "SplineFlow",
    "TabularWorldModel",
    "Transformer",
    "UnrolledGAN",
    "VPDiffusion",
    "WorldModel",
    "check_generator",
    "collect",
    "dataset_named",
    "fit",
    "fit_world_model",
    "frames",
    "negative_log_likelihood",
    "read_minari",
    "train_encoder",
    "transitions",
    "write_minari",
]

__getattr__, __dir__ = export_lazily(
    __name__,
    {
        "AbstractBound": ".generator",
        "AbstractDensity": ".generator",
        "AbstractGenerator": ".generator",
        "AbstractLatent": ".generator",
        "AbstractWorldModel": ".abstract_world_model",
        "Autoencoder": ".autoencoders.autoencoder",
        "BetaVAE": ".autoencoders.beta_vae",
        "Codec": ".codec",
        "ConditionalGaussian": ".baselines.conditional_gaussian",
        "DCGAN": ".adversarial.dcgan",
        "DDPM": ".diffusion.ddpm",
        "Dataset": ".data.dataset",
        "Demonstrations": ".data.demonstrations",
        "EDM": ".diffusion.edm",
        "Events": ".data.dataset",
        "FitResult": ".training",
        "FlowMatching": ".flows.flow_matching",
        "GAN": ".adversarial.gan",
        "GatedPixelCNN": ".autoregressive.gated_pixelcnn",
        "LatentWorldModel": ".latent_world_model",
        "M2": ".autoencoders.m2",
        "MADE": ".autoregressive.made",
        "MAF": ".flows.maf",
        "MaskedAutoencoder": ".autoencoders.masked_autoencoder",
        "MixtureRegression": ".baselines.mixture_regression",
        "NICE": ".flows.nice",
        "Normaliser": ".normalisers",
        "ObservationEncoder": ".observation_encoder",
        "RealNVP": ".flows.real_nvp",
        "Regression": ".baselines.regression",
        "SplineFlow": ".flows.spline_flow",
        "TabularWorldModel": ".tabular_world_model",
        "Transformer": ".autoregressive.transformer",
        "UnrolledGAN": ".adversarial.unrolled_gan",
        "VAE": ".autoencoders.vae",
        "VPDiffusion": ".diffusion.vp_diffusion",
        "VQVAE": ".autoencoders.vq_vae",
        "WGANGP": ".adversarial.wgan_gp",
        "WorldModel": ".world_model",
        "check_generator": ".testing",
        "collect": ".data.collecting",
        "dataset_named": ".data.catalogue",
        "fit": ".training",
        "fit_world_model": ".world_model_fitting",
        "frames": ".data.environments",
        "negative_log_likelihood": ".metrics.likelihood",
        "read_minari": ".data.minari_files",
        "train_encoder": ".observation_encoder",
        "transitions": ".data.environments",
        "write_minari": ".data.minari_files",
    },
)
