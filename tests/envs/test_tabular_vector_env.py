"""`TabularVectorEnv` is `SyncVectorEnv` over `TabularEnv`, number for number."""

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
from gymagine.envs.mdp import TabularMDP
from gymagine.envs.registration import ENVIRONMENT_IDS, register_environments
from gymagine.envs.tabular_env import TabularEnv
from gymagine.envs.tabular_vector_env import TabularVectorEnv
from gymagine.envs.textbook.dyna_maze import dyna_maze, dyna_maze_changes
from gymagine.envs.textbook.gambler import gambler
from gymagine.envs.textbook.short_corridor import short_corridor
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import TimeLimit

register_environments()

MODES = list(AutoresetMode)


def random_model(*, seed=0, num_states=9, num_actions=3, masked=True):
    """A model with rows of every length from 1 to 7, ends, masks, shared observations."""
    rng = np.random.default_rng(seed)
    outcomes = []
    for _ in range(num_states):
        row = []
        for _ in range(num_actions):
            size = int(rng.integers(1, 8))
            to = rng.choice(num_states, size=size, replace=False)
            shares = rng.dirichlet(np.full(size, 0.5))
            row.append(
                [
                    (
                        float(share),
                        int(state),
                        float(rng.integers(-3, 4)),
                        bool(rng.random() < 0.1),
                    )
                    for share, state in zip(shares, to, strict=True)
                ]
            )
        if masked and rng.random() < 0.5:
            row[int(rng.integers(num_actions))] = []
        outcomes.append(row)
    mdp = TabularMDP.from_outcomes(
        outcomes, initial_distribution=rng.dirichlet(np.ones(num_states))
    )
    return replace(mdp, observation_index=np.arange(num_states) // 2)


MODELS = {
    "random": (random_model(), ()),
    "random-unmasked": (random_model(masked=False, seed=3), ()),
    "gambler": (gambler(goal=10, masked=True), ()),
    "corridor": (short_corridor(), ()),
    "changing": (
        dyna_maze(variant="blocking"),
        dyna_maze_changes(variant="blocking", change_step=20),
    ),
    "changing-random": (random_model(seed=1), [(5, random_model(seed=2)), (50, random_model())]),
}


def assert_same(left, right):
    assert type(left) is type(right)
    if isinstance(left, dict):
        assert left.keys() == right.keys()
        for key in left:
            assert_same(left[key], right[key])
    elif isinstance(left, tuple):
        for one, other in zip(left, right, strict=True):
            assert_same(one, other)
    else:
        assert left.dtype == right.dtype
        assert np.array_equal(left, right)


def legal_actions(envs, rng):
    """Actions that each copy allows; the reference tells the models in force."""
    actions = []
    for env in envs.envs:
        base = env.unwrapped
        actions.append(int(rng.choice(np.flatnonzero(base.mdp.allowed[base.s]))))
    return np.array(actions)


def pair(name, mode, num_envs, cap):
    mdp, changes = MODELS[name]

    def make():
        env = TabularEnv(mdp, model_changes=changes)
        return env if cap is None else TimeLimit(env, cap)

    reference = SyncVectorEnv([make] * num_envs, autoreset_mode=mode)
    ours = TabularVectorEnv(
        mdp, num_envs, autoreset_mode=mode, max_episode_steps=cap, model_changes=changes
    )
    return reference, ours


@pytest.mark.parametrize("cap", [None, 6])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", MODELS)
def test_same_as_sync_vector_env(name, mode, cap):
    num_envs = 5
    reference, ours = pair(name, mode, num_envs, cap)
    rng = np.random.default_rng(0)
    assert_same(reference.reset(seed=11), ours.reset(seed=11))
    endings = 0
    for _ in range(200):  # numbers are drawn 128 at a time
        actions = legal_actions(reference, rng)
        expected = reference.step(actions)
        assert_same(expected, ours.step(actions))
        ended = expected[2] | expected[3]
        endings += int(ended.sum())
        if mode is AutoresetMode.DISABLED and ended.any():
            assert_same(
                reference.reset(options={"reset_mask": ended.copy()}),
                ours.reset(options={"reset_mask": ended}),
            )
    if name != "changing" or cap is not None:
        assert endings > 20


@pytest.mark.parametrize("mode", MODES)
def test_every_way_of_resetting(mode):
    reference, ours = pair("random", mode, 4, 6)
    mask = np.array([True, False, True, False])
    rng = np.random.default_rng(0)
    for seed, options in (
        (3, None),
        ([7, 7, 9, None], None),
        (None, None),
        (5, {"reset_mask": mask}),
        (None, {"reset_mask": mask, "state": 4}),
        (None, {"state": 2}),
    ):
        assert_same(
            reference.reset(seed=seed, options=dict(options) if options else None),
            ours.reset(seed=seed, options=options),
        )
        for _ in range(3):
            if mode is AutoresetMode.DISABLED and reference._autoreset_envs.any():
                break
            actions = legal_actions(reference, rng)
            assert_same(reference.step(actions), ours.step(actions))
    assert_same(np.array(reference.np_random_seed), np.array(ours.np_random_seed))


def test_options_are_left_as_they_were():
    _, ours = pair("random", AutoresetMode.DISABLED, 2, None)
    ours.reset(seed=0)
    options = {"reset_mask": np.array([True, False])}
    ours.reset(options=options)
    assert list(options) == ["reset_mask"]


@pytest.mark.parametrize("env_id", ENVIRONMENT_IDS)
def test_made_by_id(env_id):
    envs = gymnasium.make_vec(env_id, 3)
    reference = gymnasium.make_vec(env_id, 3, vectorization_mode="sync")
    assert isinstance(envs.unwrapped, TabularVectorEnv)
    assert envs.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    assert envs.observation_space == reference.observation_space
    assert envs.action_space == reference.action_space
    assert_same(reference.reset(seed=2), envs.reset(seed=2))
    reference.action_space.seed(0)
    for _ in range(60):
        actions = reference.action_space.sample()
        assert_same(reference.step(actions), envs.step(actions))


def test_modes_by_name_and_class_metadata_stays():
    mdp = short_corridor()
    envs = TabularVectorEnv(mdp, 2, autoreset_mode="SameStep")
    assert envs.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert TabularVectorEnv.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP


def test_actions_of_resetting_copies_are_ignored():
    envs = TabularVectorEnv(gambler(goal=4, capital=2, masked=True), 1)
    envs.reset(seed=0)
    ended = False
    while not ended:
        _, _, terminations, _, _ = envs.step([1] if envs.states[0] == 2 else [0])
        ended = bool(terminations[0])
    observations, rewards, terminations, truncations, _ = envs.step([99])
    assert observations.tolist() == [2]
    assert (rewards[0], terminations[0], truncations[0]) == (0.0, False, False)


def test_illegal_actions():
    envs = TabularVectorEnv(gambler(goal=6, capital=2, masked=True), 2)
    with pytest.raises(ResetNeeded):
        envs.step([0, 0])
    envs.reset(seed=0)
    with pytest.raises(ValueError, match="allowed in state 2, got 2 in environment 1"):
        envs.step([0, 2])
    with pytest.raises(ValueError, match="got 3 in environment 0"):
        envs.step([3, 0])
    with pytest.raises(ValueError, match="expected 2 whole numbers"):
        envs.step([0.0, 1.0])
    with pytest.raises(ValueError, match="expected 2 whole numbers"):
        envs.step([0, 1, 0])


def test_disabled_mode_insists_on_resets():
    envs = TabularVectorEnv(short_corridor(), 2, autoreset_mode="Disabled", max_episode_steps=1)
    envs.reset(seed=0)
    envs.step([0, 0])
    with pytest.raises(ResetNeeded, match=r"\[0, 1\]"):
        envs.step([0, 0])


def test_bad_options():
    mdp = short_corridor()
    for options, message in (
        ({"num_envs": 0}, "num_envs of at least 1, got 0"),
        ({"num_envs": 1, "max_episode_steps": 0}, "max_episode_steps of at least 1, got 0"),
        ({"num_envs": 1, "render_mode": "human"}, "render mode of .* got 'human'"),
        ({"num_envs": 1, "autoreset_mode": "never"}, "never"),
    ):
        with pytest.raises(ValueError, match=message):
            TabularVectorEnv(mdp, **options)
    envs = TabularVectorEnv(mdp, 2)
    with pytest.raises(ValueError, match="expected 2 seeds, got 3"):
        envs.reset(seed=[1, 2, 3])
    with pytest.raises(TypeError, match="boolean array"):
        envs.reset(options={"reset_mask": [True, False]})
    with pytest.raises(ValueError, match=r"shape \(2,\), got \(3,\)"):
        envs.reset(options={"reset_mask": np.ones(3, dtype=bool)})
    with pytest.raises(ValueError, match="at least one True"):
        envs.reset(options={"reset_mask": np.zeros(2, dtype=bool)})
    with pytest.raises(ValueError, match=r"in \[0, 4\), got 9"):
        envs.reset(options={"state": 9})


def test_a_refused_reset_changes_nothing():
    envs = TabularVectorEnv(short_corridor(), 2, autoreset_mode="Disabled", max_episode_steps=1)
    envs.reset(seed=0)
    envs.step([0, 0])
    for wrong in ({"seed": [1, -1]}, {"options": {"state": 9}}):
        with pytest.raises(ValueError, match="expected"):
            envs.reset(**wrong)
        assert envs.np_random_seed == (0, 1)
        with pytest.raises(ResetNeeded):  # the episodes are as ended as they were
            envs.step([0, 0])


def test_rendering_every_copy():
    envs = gymnasium.make_vec("gymagine/GridWorld-v0", 3, render_mode="rgb_array")
    envs.reset(seed=0)
    envs.step([0, 1, 2])
    frames = envs.render()
    assert len(frames) == 3
    assert (frames[0] != frames[1]).any()
    texts = gymnasium.make_vec("gymagine/GridWorld-v0", 2, render_mode="ansi")
    texts.reset(seed=0)
    assert texts.render()[1].splitlines()[2] == "[S] .  .  . "
