"""The generators that fill roles in agents, by short names: ``diffusion``, ``flow``, ``gan`` ...

A word stands for a family with hyper-parameters that suit small vectors, such as actions or the
change of a state, given a vector of context: it learns in minutes on a CPU and answers in
milliseconds. Whoever gives a generator a role by name finds it here, so that one word is one
generator everywhere. All of a family's settings can be chosen still: the catalogue's own names
(`generator_catalogue`) mean families with their defaults.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from .catalogue import suggestion
from .generator_catalogue import GENERATORS

if TYPE_CHECKING:
    from ..generative.family import AbstractFamily

__all__ = ["ROLE_GENERATORS", "RoleGenerator", "role_generator", "role_generators"]


@dataclass(frozen=True)
class RoleGenerator:
    """A family, and how it is made and trained where it has a role.

    Attributes:
        name: The word.
        target: ``module:Class`` within `gymagine.generative`.
        summary: One line.
        hyperparameters: Of the family, where they are not its defaults.
        fit: Settings of `fit`, where they are not the family's.
    """

    name: str
    target: str
    summary: str
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    fit: Mapping[str, Any] = field(default_factory=dict)

    @property
    def family(self) -> type[AbstractFamily]:
        """The class, which is imported when it is asked for."""
        module, _, attribute = self.target.partition(":")
        found: type[AbstractFamily] = getattr(
            import_module(f"gymagine.generative.{module}"), attribute
        )
        return found

    def made(
        self, event_shape: Iterable[int], context_shape: Iterable[int] | None = None
    ) -> AbstractFamily:
        """An untrained generator of these shapes.

        Example:
            >>> role_generator("flow").made((2,), (3,)).name
            'real-nvp'
        """
        make: Any = self.family
        shape = None if context_shape is None else tuple(context_shape)
        made: AbstractFamily = make(
            tuple(event_shape), context_shape=shape, **self.hyperparameters
        )
        return made


def _entry(
    name: str, target: str, summary: str, fit: Mapping[str, Any] | None = None, **hyper: Any
) -> RoleGenerator:
    return RoleGenerator(
        name, target, summary, MappingProxyType(hyper), MappingProxyType({**_FIT, **(fit or {})})
    )


_FIT = {"batch_size": 256, "step_sizes": "cosine"}
_WIDE = (256, 256)

ROLE_GENERATORS: Mapping[str, RoleGenerator] = MappingProxyType(
    {
        entry.name: entry
        for entry in (
            _entry(
                "regression",
                "baselines.regression:Regression",
                "the mean, by least squares: the control that averages over what differs",
                hidden_sizes=_WIDE,
            ),
            _entry(
                "gaussian",
                "baselines.conditional_gaussian:ConditionalGaussian",
                "a Gaussian whose mean and deviations depend on the context",
                hidden_sizes=_WIDE,
                lowest_deviation=0.01,
            ),
            _entry(
                "gaussian-mixture",
                "baselines.mixture_regression:MixtureRegression",
                "5 Gaussians with weights, means and deviations that depend on the context",
                hidden_sizes=_WIDE,
            ),
            _entry(
                "vae",
                "autoencoders.vae:VAE",
                "conditional variational autoencoder",
                hidden_sizes=_WIDE,
            ),
            _entry(
                "autoregressive",
                "autoregressive.made:MADE",
                "entry by entry, each from a mixture of Gaussians",
                conditional="gaussian-mixture",
                num_components=8,
                hidden_sizes=_WIDE,
            ),
            _entry(
                "flow",
                "flows.real_nvp:RealNVP",
                "affine couplings, with an exact density; spline-flow is closer, and five times "
                "as slow on whole chunks of actions",
                num_couplings=6,
                hidden_sizes=(128, 128),
            ),
            _entry(
                "flow-matching",
                "flows.flow_matching:FlowMatching",
                "a continuous flow along straight paths",
                hidden_sizes=(256, 256, 256),
                num_steps=4,
            ),
            _entry(
                "gan",
                "adversarial.wgan_gp:WGANGP",
                "what a critic cannot tell from data, in one pass",
                {"batch_size": 128, "step_sizes": "constant"},
                hidden_sizes=_WIDE,
                latent_size=16,
            ),
            _entry(
                "diffusion",
                "diffusion.edm:EDM",
                "denoising over noise levels, in 10 steps",
                {"batch_size": 128},
                # vectors need no levels as high as pictures, and so fewer steps
                highest=10.0,
                lowest=0.01,
                sampling_steps=10,
                solver="euler",
                drop_context=0.0,
            ),
        )
    }
)
"""By word; the first three are controls of the others."""


def role_generator(name: str) -> RoleGenerator:
    """What a word means: one of `ROLE_GENERATORS`, or a family of the catalogue as it is.

    Raises:
        ValueError: It means nothing; the message suggests the nearest.

    Example:
        >>> role_generator("diffusion").hyperparameters["sampling_steps"]
        10
        >>> role_generator("spline-flow").target
        'flows.spline_flow:SplineFlow'
    """
    if name in ROLE_GENERATORS:
        return ROLE_GENERATORS[name]
    if name in GENERATORS:
        entry = GENERATORS[name]
        return RoleGenerator(name, f"{entry.kind}.{entry.target}", entry.summary)
    hint = suggestion(name, [*ROLE_GENERATORS, *GENERATORS])
    raise ValueError(
        f"unknown generator {name!r}{hint or '; known: ' + ', '.join(ROLE_GENERATORS)}"
    )


def role_generators(names: Iterable[str]) -> list[RoleGenerator]:
    """What several words mean, each once, in their order.

    Raises:
        ValueError: As `role_generator`.
    """
    return [role_generator(name) for name in dict.fromkeys(names)]
