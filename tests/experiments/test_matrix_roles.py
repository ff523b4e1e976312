"""The roles of the matrix: what is refused says why; what runs does what a control does not."""

import dataclasses

import gymnasium
import numpy as np
import pytest
from gymagine.experiments.matrix import Cell, run_cell
from gymagine.experiments.matrix_measures import random_success, success
from gymagine.experiments.matrix_roles import MATRIX_GENERATORS, MATRIX_ROLES
from gymagine.experiments.role_generators import ROLE_GENERATORS, role_generator

ROLES = {role.name: role for role in MATRIX_ROLES}
TINY = {
    "world-model": {"real_steps": 60, "updates": 2, "horizon": 2, "num_candidates": 20,
                    "longest": 5, "episodes": 1},
    "policy": {"demonstrated": 120, "updates": 2, "episodes": 2},
    "planner": {"demonstrated": 300, "updates": 2, "second_updates": 2, "episodes": 1},
    "encoder": {"frames": 100, "updates": 2, "steps": 80, "episodes": 1},
    "replay": {"steps": 320, "updates_to_data": 1, "first_fit": 250, "pool": 20, "updates": 2,
               "episodes": 1},
    "novelty": {"size": 3, "steps": 20},
    "reward": {"limit": 40, "trajectories": 2, "thinned": 2, "steps": 80,
               "clone_updates": 5, "episodes": 1},
}  # fmt: skip
REFUSED = {
    "encoder": {
        "regression",
        "gaussian",
        "gaussian-mixture",
        "autoregressive",
        "gan",
        "diffusion",
    },
    "reward": set(MATRIX_GENERATORS) - {"gan"},
}


def tiny(name):
    role = ROLES[name]
    assert set(TINY[name]) <= set(role.settings)
    return dataclasses.replace(role, settings={**role.settings, **TINY[name]})


def test_words_are_those_of_roles_and_two_with_latents():
    assert set(ROLE_GENERATORS) == set(MATRIX_GENERATORS) - {"autoencoder", "vq-vae"}
    assert set(ROLES) == set(TINY)


@pytest.mark.parametrize("name", ROLES)
def test_what_cannot_be_is_refused_when_it_is_made(name):
    role, refused = ROLES[name], set()
    # the others take all: one will do
    for word in MATRIX_GENERATORS if name in REFUSED else ("diffusion",):
        try:
            role.make(role_generator(word), role.settings)
        except TypeError:
            refused.add(word)
    assert refused == REFUSED.get(name, set())


@pytest.mark.parametrize("name", ROLES)
def test_protocols_name_their_settings(name):
    told = ROLES[name].about.format(**ROLES[name].settings)
    assert "{" not in told and any(character.isdigit() for character in told)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")  # of models that learnt next to nothing
@pytest.mark.parametrize("name", ROLES)
def test_cells_and_controls_run_from_end_to_end(name, tmp_path):
    role = tiny(name)
    cells = [Cell(name, "gan" if name == "reward" else "vae", False, 1)]
    cells += [Cell(name, control, True, 1) for control in role.controls]
    for cell in cells:
        result = run_cell(role, cell, tmp_path)
        assert result.status == "run", result.message
        assert np.isfinite(result.numbers[role.measure])


def test_success_is_what_ends_in_a_reward():
    class Through:
        """Goes by above the block, then to the right; or straight into it."""

        def __init__(self, height):
            self._height = height

        def predict(self, places, state=None, episode_start=None, deterministic=False):
            up = np.where(places[:, 0] < 0.3, np.sign(self._height - places[:, 1]), 0.0)
            far = np.abs(self._height - places[:, 1]) < 0.15
            return np.stack([np.where(far, 1.0, 0.0), np.where(far, 0.0, up)], axis=1), state

    assert success(Through(0.8), "gymagine/TwoWays-v0", 5, seed=0) == 1.0
    assert success(Through(0.0), "gymagine/TwoWays-v0", 5, seed=0) == 0.0
    found = random_success(0, {"episodes": 20}, env="gymagine/TwoWays-v0")
    assert found["success"] <= 0.2
    assert gymnasium.spec("gymagine/TwoWays-v0").max_episode_steps == 60


@pytest.mark.slow
def test_counting_beats_first_parameters():
    role = ROLES["novelty"]
    settings = {**role.settings, "size": 5, "steps": 300}
    found = role.score(role_generator("autoregressive"), 0, settings)
    assert found["rank correlation"] > 0.3
    assert found["rank correlation"] > found["before the walk"] + 0.2
