"""Tabular models, Gymnasium environments and wrappers."""

from typing import TYPE_CHECKING

if __name__ == "envs":
    raise ImportError("import gymagine.envs, not envs: a bare name would copy every class")

from ..lazy_exports import export_lazily

if TYPE_CHECKING:
    from .adversarial_reward import AdversarialReward as AdversarialReward
    from .discretize import discretize as discretize
    from .encoder_fitting import fit_encoder as fit_encoder
    from .experts import expert_named as expert_named
    from .garnet import garnet as garnet
    from .grid_drawing import draw_grid as draw_grid
    from .grid_layout import GridLayout as GridLayout
    from .imagined import ImaginedEnv as ImaginedEnv
    from .imagined import ImaginedVectorEnv as ImaginedVectorEnv
    from .latent_observation import LatentObservation as LatentObservation
    from .mdp import TabularMDP as TabularMDP
    from .novelty_bonus import NoveltyBonus as NoveltyBonus
    from .sb3_vec_env import SB3VecEnv as SB3VecEnv
    from .state_index import StateIndex as StateIndex
    from .tabular_env import TabularEnv as TabularEnv
    from .tabular_vector_env import TabularVectorEnv as TabularVectorEnv
    from .textbook.cliff import cliff as cliff
    from .textbook.dyna_maze import dyna_maze as dyna_maze
    from .textbook.forest_management import forest_management as forest_management
    from .textbook.gambler import gambler as gambler
    from .textbook.grid_world import grid_world as grid_world
    from .textbook.jacks_car_rental import jacks_car_rental as jacks_car_rental
    from .textbook.maximization_bias import maximization_bias as maximization_bias
    from .textbook.river_swim import river_swim as river_swim
    from .textbook.short_corridor import short_corridor as short_corridor
    from .textbook.windy_gridworld import windy_gridworld as windy_gridworld
    from .transition_discriminator import TransitionDiscriminator as TransitionDiscriminator

__all__ = [
    "AdversarialReward",
    "GridLayout",
    "ImaginedEnv",
    "ImaginedVectorEnv",
    "LatentObservation",
    "NoveltyBonus",
    "SB3VecEnv",
    "StateIndex",
    "TabularEnv",
    "TabularMDP",
    "TabularVectorEnv",
    "TransitionDiscriminator",
    "cliff",
    "discretize",
    "draw_grid",
    "dyna_maze",
    "expert_named",
    "fit_encoder",
    "forest_management",
    "gambler",
    "garnet",
    "grid_world",
    "jacks_car_rental",
    "maximization_bias",
    "river_swim",
    "short_corridor",
    "windy_gridworld",
]

__getattr__, __dir__ = export_lazily(
    __name__,
    {
        "AdversarialReward": ".adversarial_reward",
        "GridLayout": ".grid_layout",
        "ImaginedEnv": ".imagined",
        "ImaginedVectorEnv": ".imagined",
        "LatentObservation": ".latent_observation",
        "NoveltyBonus": ".novelty_bonus",
        "SB3VecEnv": ".sb3_vec_env",
        "StateIndex": ".state_index",
        "TabularEnv": ".tabular_env",
        "TabularMDP": ".mdp",
        "TabularVectorEnv": ".tabular_vector_env",
        "TransitionDiscriminator": ".transition_discriminator",
        "cliff": ".textbook.cliff",
        "discretize": ".discretize",
        "draw_grid": ".grid_drawing",
        "dyna_maze": ".textbook.dyna_maze",
        "expert_named": ".experts",
        "fit_encoder": ".encoder_fitting",
        "forest_management": ".textbook.forest_management",
        "gambler": ".textbook.gambler",
        "garnet": ".garnet",
        "grid_world": ".textbook.grid_world",
        "jacks_car_rental": ".textbook.jacks_car_rental",
        "maximization_bias": ".textbook.maximization_bias",
        "river_swim": ".textbook.river_swim",
        "short_corridor": ".textbook.short_corridor",
        "windy_gridworld": ".textbook.windy_gridworld",
    },
)
