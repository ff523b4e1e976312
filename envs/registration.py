"""The ids under which ``gymnasium.make`` finds this package's environments.

Everything is registered by name, so that importing this module imports Gymnasium's registry and
nothing else; the environment's own module comes in when one is made.
"""

from __future__ import annotations

from gymnasium.envs.registration import register, registry

__all__ = ["ENVIRONMENT_IDS", "register_environments"]

# id without namespace: (module of gymagine.envs.textbook, name there, step cap)
_TEXTBOOK = {
    "GridWorld-v0": ("grid_world", "GridWorld", 200),
    "WindyGridworld-v0": ("windy_gridworld", "WindyGridworld", 500),
    "Cliff-v0": ("cliff", "Cliff", 500),
    "RandomWalk5-v0": ("random_walk", "RandomWalk5", 1000),
    "RandomWalk19-v0": ("random_walk", "RandomWalk19", 10000),
    "BookGrid4x4-v0": ("book_grids", "BookGrid4x4", 200),
    "BookGrid5x5-v0": ("book_grids", "BookGrid5x5", 200),
    "Gambler-v0": ("gambler", "Gambler", 1000),
    "JacksCarRental-v0": ("jacks_car_rental", "JacksCarRental", 100),
    "DynaMaze-v0": ("dyna_maze", "DynaMaze", 2000),
    "ShortCorridor-v0": ("short_corridor", "ShortCorridor", 1000),
    "MaximizationBias-v0": ("maximization_bias", "MaximizationBias", 100),
    "RiverSwim-v0": ("river_swim", "RiverSwim", 1000),
    "ForestManagement-v0": ("forest_management", "ForestManagement", 200),
}

# without a model, and without a vector environment of its own: (module, name there, step cap)
_CONTINUOUS = {
    "PointMaze-v0": ("point_maze", "PointMaze", 200),
    "TwoWays-v0": ("two_ways", "TwoWays", 60),
}

ENVIRONMENT_IDS = tuple(f"gymagine/{name}" for name in _TEXTBOOK)


_METAWORLD = "gymagine/MetaWorld-v3"  # made where metaworld is installed


def register_environments() -> None:
    """Register every environment of `ENVIRONMENT_IDS`; those already there are left alone.

    So are those without a known model: ``gymagine/PointMaze-v0``, ``gymagine/TwoWays-v0``, and
    Meta-World's tasks as ``gymagine/MetaWorld-v3`` (see `metaworld_tasks`).
    """
    if _METAWORLD not in registry:
        register(
            id=_METAWORLD,
            entry_point="gymagine.envs.metaworld_tasks:MetaWorldTask",
            max_episode_steps=500,
        )
    for name, (module, entry_point, max_episode_steps) in _TEXTBOOK.items():
        if f"gymagine/{name}" not in registry:
            register(
                id=f"gymagine/{name}",
                entry_point=f"gymagine.envs.textbook.{module}:{entry_point}",
                vector_entry_point=f"gymagine.envs.textbook.{module}:{entry_point}Vector",
                max_episode_steps=max_episode_steps,
            )
    for name, (module, entry_point, max_episode_steps) in _CONTINUOUS.items():
        if f"gymagine/{name}" not in registry:
            register(
                id=f"gymagine/{name}",
                entry_point=f"gymagine.envs.{module}:{entry_point}",
                max_episode_steps=max_episode_steps,
            )
