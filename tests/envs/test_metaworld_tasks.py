"""Tasks of Meta-World against the library's own environments and scripted policies."""

import os
import subprocess
import sys
from ctypes.util import find_library

import gymnasium
import numpy as np
import pytest
from gymagine.envs.experts import expert_for, expert_named
from gymagine.envs.metaworld_tasks import MetaWorldTask, metaworld_names
from gymagine.envs.registration import register_environments
from gymagine.generative.data.collecting import collect
from gymnasium.utils.env_checker import check_env

metaworld = pytest.importorskip("metaworld")
pytestmark = pytest.mark.slow
register_environments()


@pytest.fixture(scope="module")
def reach():
    env = gymnasium.make("gymagine/MetaWorld-v3", task="reach")
    yield env
    env.close()


def goals(env, num=20):
    return {tuple(env.reset(seed=seed)[0][-3:]) for seed in range(num)}


def test_the_contract_holds(reach):
    check_env(reach, skip_render_check=True)


def test_seeds_say_which_goal_comes(reach):
    first = reach.reset(seed=3)[0]
    assert not np.array_equal(reach.reset(seed=4)[0], first)
    assert np.array_equal(reach.reset(seed=3)[0], first)
    assert len(goals(reach)) > 10


def test_goals_to_learn_on_and_to_be_tested_on_are_those_of_meta_world_and_differ(reach):
    test = MetaWorldTask("reach-v3", goals="test")
    own = {
        tuple(task)
        for task in (_goal(task) for task in metaworld.MT1("reach-v3", seed=0).train_tasks)
    }
    assert goals(reach) <= own
    assert not goals(test) & own


def _goal(task):
    import pickle

    return pickle.loads(task.data)["rand_vec"][-3:]


def test_the_goal_stays_in_sight(reach):
    first = reach.reset(seed=0)[0]
    after = reach.step(np.zeros(4, np.float32))[0]
    assert np.array_equal(first[-3:], after[-3:]) and np.abs(first[-3:]).max() > 0.5


def test_success_terminates_unless_that_is_not_wanted(reach):
    expert = expert_for(reach)
    ends = collect(reach, expert, 3, seed=0)
    assert ends.success.all() and ends.transitions.terminated.sum() == 3
    assert ends.lengths.max() < 100
    going_on = MetaWorldTask("reach", terminate_on_success=False)
    on = collect(going_on, expert_named("metaworld:reach"), 1, seed=0)
    assert on.success.all() and on.lengths[0] == 500 and on.transitions.truncated[-1]
    # until then it is the same episode
    shared = int(ends.lengths[0])
    assert np.array_equal(on.transitions.observation[:shared], ends.episode(0).observation)


@pytest.mark.parametrize("task", ["button-press", "drawer-close"])
def test_scripted_experts_succeed(task):
    env = gymnasium.make("gymagine/MetaWorld-v3", task=task, goals="test")
    assert collect(env, expert_for(env), 3, seed=1).success.all()


def test_random_actions_do_not(reach):
    data = collect(reach, None, 3, seed=0, max_steps=150)
    assert not data.success.any()


def test_demonstrations_of_one_task_are_refused_in_another(reach):
    data = collect(reach, expert_for(reach), 1, seed=0)
    data.check_fits(made("reach", "test"))
    with pytest.raises(ValueError, match=r"MetaWorld-v3@task=reach, as .* got .*@task=push"):
        data.check_fits(made("push", "train"))


def made(task, goals):
    return gymnasium.make("gymagine/MetaWorld-v3", task=task, goals=goals)


DRAWN = """
import gymnasium, gymagine
for _ in range(2):
    env = gymnasium.make(
        "gymagine/MetaWorld-v3", task="reach", render_mode="rgb_array", width=48, height=40
    )
    env.reset(seed=0)
    first = env.render()
    env.step(env.action_space.sample())
    assert env.render().shape == first.shape == (40, 48, 3) and first.std() > 10
"""


@pytest.mark.skipif(find_library("EGL") is None, reason="there is no EGL to draw with")
def test_two_environments_are_drawn_without_a_screen():
    """MuJoCo aborts a process that is not told how."""
    unset = {key: os.environ[key] for key in os.environ if key not in ("MUJOCO_GL", "DISPLAY")}
    subprocess.run([sys.executable, "-c", DRAWN], env=unset, check=True, timeout=120)


def test_mistakes_are_named(without_shape_checks):
    with pytest.raises(ValueError, match=r"task of Meta-World .*'raech'; did you mean reach\?"):
        MetaWorldTask("raech")
    with pytest.raises(ValueError, match=r"expected goals among .* got 'all'"):
        MetaWorldTask("reach", goals="all")
    assert {"reach", "push", "door-open"} <= set(metaworld_names())
