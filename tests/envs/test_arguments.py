"""Numbers as arguments, and a law: whatever is wrong is refused with "expected ..., got ..."."""

import json
import subprocess
import sys

import numpy as np
import pytest
from gymagine.envs.arguments import real_array, real_number, whole_number


def test_whole_numbers_of_any_integer_type():
    for value in (3, np.int8(3), np.uint64(3), np.array(3)):
        assert whole_number(value, "n") == 3
        assert type(whole_number(value, "n")) is int
    with pytest.raises(TypeError, match=r"expected n as a whole number, got 3\.0"):
        whole_number(3.0, "n")
    with pytest.raises(ValueError, match="expected n of at least 4, got 3"):
        whole_number(3, "n", least=4)
    with pytest.raises(ValueError, match=r"expected n in \[1, 2\], got 3"):
        whole_number(3, "n", least=1, most=2)
    with pytest.raises(ValueError, match="expected n of at most 2, got 3"):
        whole_number(3, "n", most=2)


def test_real_numbers_are_finite():
    assert real_number(np.float32(0.5), "p", least=0, most=1) == 0.5
    for value in (np.nan, np.inf, -np.inf):
        with pytest.raises(ValueError, match="expected p as a finite number, got"):
            real_number(value, "p")
        with pytest.raises(ValueError, match=r"expected p in \[0, 1\], got"):
            real_number(value, "p", least=0, most=1)
    for value in (None, "0.5", [0.5], 0.5j):
        with pytest.raises(TypeError, match="expected p as a number, got"):
            real_number(value, "p")


def test_real_arrays():
    given = np.arange(3.0)
    assert real_array(given, "x") is given
    assert real_array([1, True], "x").dtype == np.float64
    for values in (["a"], [1j], [object()], [b"x"]):
        with pytest.raises(TypeError, match="expected x as an array of"):
            real_array(values, "x")
    with pytest.raises(ValueError, match="expected x as an array of numbers"):
        real_array([[1], [1, 2]], "x")


# expression -> a part of the message
WRONG = {
    "T.from_outcomes(None)": "states as a list or a dictionary, got None",
    "T.from_outcomes([None])": "actions as a list or a dictionary, got None",
    "T.from_outcomes([[5]])": "outcomes of state 0, action 0 as a list",
    "T.from_outcomes([iter([LOOP])])": "actions as a list",
    "T.from_outcomes({0: {'up': LOOP}})": "got none",
    "T.from_outcomes([[[(1.0, 0, 0.0, 'no')]]])": "'no' is neither True nor False",
    "T.from_outcomes([[[(1.0, 0, 0.0, nan)]]])": "nan is neither True nor False",
    "T.from_outcomes([[LOOP]], max_episode_steps=1.5)": "max_episode_steps as a whole number",
    "T.from_outcomes([[LOOP]], initial_distribution='a')": "real numbers, got <U1",
    "T.from_outcomes([[LOOP]], initial_distribution={0: 1.0})": "array of numbers, got",
    "T.from_outcomes([[LOOP]], layout='S')": "a GridLayout as layout, got str",
    "replace(T.from_outcomes([[LOOP]]), num_actions=1.0)": "num_actions as a whole number",
    "T.from_arrays(EYE * 1j, [0.0, 0.0])": "real numbers, got complex128",
    "T.from_arrays(sparse.csr_array(np.eye(2) * 1j), [0.0, 0.0])": "real numbers, got complex128",
    "T.from_arrays(EYE, 'ab')": "rewards as an array of real numbers",
    "T.from_arrays(EYE, [1j, 0])": "rewards as an array of real numbers",
    "T.from_arrays((np.eye(2) for _ in range(2)), [0.0, 0.0])": "transitions as an array",
    "T.from_arrays([np.eye(2), None], [0.0, 0.0])": "transitions as an array",
    "T.from_arrays(DAMAGED, [0.0, 0.0])": "column indices in [0, 2)",
    "T.from_arrays(sparse.coo_array((2**33, 2**33)), [0.0])": "at most 2^31 - 1 states",
    "TabularEnv('FrozenLake-v1')": "a TabularMDP, got str",
    "TabularEnv(M, model_changes=[M])": "as pairs (step, model)",
    "TabularEnv(M, model_changes=[(1, 'x')])": "a TabularMDP, got str",
    "TabularEnv(M, model_changes=[(nan, M)])": "as a whole number, got nan",
    "TabularEnv(M, model_changes=[(1.5, M)])": "as a whole number, got 1.5",
    "reset(TabularEnv(M), options={'state': 'a'})": "options['state'] as a whole number, got 'a'",
    "TabularVectorEnv(None, 2)": "a TabularMDP, got NoneType",
    "TabularVectorEnv(M, 1.5)": "num_envs as a whole number, got 1.5",
    "TabularVectorEnv(M, 2, max_episode_steps=nan)": "max_episode_steps as a whole number",
    "TabularVectorEnv(M, 2, max_episode_steps=1.5)": "max_episode_steps as a whole number",
    "TabularVectorEnv(M, 2, autoreset_mode='x')": "autoreset mode of ['NextStep'",
    "reset(TabularVectorEnv(M, 2), seed='ab')": "one seed or 2 of them, got 'ab'",
    "reset(TabularVectorEnv(M, 2), seed=[0, -1])": "each seed of at least 0, got -1",
    "reset(TabularVectorEnv(M, 2), options={'state': [0, 1]})": "as a whole number, got [0, 1]",
    "TabularEnv(M).set_values(['a'])": "state values as an array of real numbers",
    "TabularEnv(M).set_values(None, [7])": "actions in [0, 1), got [7]",
    "TabularEnv(M).set_values(None, [-1])": "actions in [0, 1), got [-1]",
    "TabularEnv(M).set_values(None, [0.5])": "actions in [0, 1), got [0.5]",
    "TabularEnv(M).set_values(None, [[nan]])": "probabilities of at least 0",
    "TabularVectorEnv(M, 2).set_values([1.0, 2.0])": "shape (1,), got (2,)",
    "garnet(3.0, 2, 2, seed=0)": "num_states as a whole number, got 3.0",
    "garnet(2**31, 1, 1, seed=0)": "num_states of at most 2147483647",
    "garnet(3, 1, 1, seed=None)": "seed as a whole number, got None",
    "garnet(3, 1, 1, seed=0, reward_sparsity='a')": "reward_sparsity as a number, got 'a'",
    "T.estimate('FrozenLake-v1', num_steps=1.5, seed=0)": "num_steps as a whole number",
    "discretize(None)": "an environment, its id or its spec, got NoneType",
    "discretize('CartPol-v1')": "did you mean CartPole-v1?",
    "discretize('CartPole-v1', bins=2.5)": "bins as a whole number, got 2.5",
    "discretize('CartPole-v1', bins=[1.5] * 4)": "bins as a whole number, got 1.5",
    "discretize('CartPole-v1', bins=10**6)": "at most 2^31 - 1 bins in all",
    "discretize('CartPole-v1', low=[1, 2], high=3)": "of shape (4,), got shape (2,)",
    "discretize('CartPole-v1', low='a', high='b')": "low as an array of real numbers",
    "discretize('CartPole-v1', low=-1e300, high=1e300)": "finite bounds with low < high",
    "grid_world(5)": "rows of characters, got 5",
    "grid_world([b'S'])": "row 0 as characters, got b'S'",
    "grid_world(moves=4.0)": "4, 8 or 9 moves, got 4.0",
    "grid_world(slip='a')": "slip as a number, got 'a'",
    "grid_world(step_reward=nan)": "step_reward as a finite number, got nan",
    "grid_world(goal_reward=None)": "goal_reward as a number, got None",
    "grid_world(cell_rewards=[1])": "cell_rewards as a dictionary",
    "grid_world(cell_rewards={1: 1.0})": "single characters other than",
    "grid_world(cell_rewards={' ': 1.0})": "single characters other than",
    "grid_world(teleports={'T': 'G'})": "as (target character, reward), got 'G'",
    "grid_world(['ST', '.G'], teleports={'T': ('SG', 1.0)})": "as (target character, reward)",
    "cliff(width=3.0)": "width as a whole number, got 3.0",
    "dyna_maze(variant='blocking', change_step=nan)": "change_step as a whole number, got nan",
    "dyna_maze(variant='blocking', change_step=0)": "change_step of at least 1, got 0",
    "forest_management(num_ages=2.5)": "num_ages as a whole number, got 2.5",
    "gambler(goal=2.5)": "goal as a whole number, got 2.5",
    "gambler(capital=1.5)": "capital as a whole number, got 1.5",
    "maximization_bias(num_actions=nan)": "num_actions as a whole number, got nan",
    "maximization_bias(deviation=nan)": "deviation of at least 0, got nan",
    "river_swim(num_states='a')": "num_states as a whole number, got 'a'",
}

# what the annotations do not name and users may give all the same
RIGHT = [
    # 100 * 4 * 5 overflows int8
    "garnet(np.int8(100), np.int8(4), np.int8(5), seed=np.int64(0)).num_outcomes == 2000",
    "len(TabularEnv(M, model_changes=((step, M) for step in (1, 2))).model_changes) == 2",
    "TabularVectorEnv(M, np.int64(3)).num_envs == 3",
    "reset(TabularVectorEnv(M, 3), seed=np.array([3, 1, 2]))[0].tolist() == [0, 0, 0]",
    "discretize('CartPole-v1', bins=np.int64(2)).observation_space.shape == (4,)",
    "T.from_outcomes([[LOOP]], initial_distribution=np.array(0)).num_states == 1",
    "grid_world(np.array([list('S.G')])).num_states == 3",
    "grid_world(line for line in ['S.G', '...']).num_states == 6",
]

SCRIPT = """
import json, sys
from dataclasses import replace
import numpy as np
from scipy import sparse
from gymagine.envs import *
T, nan, LOOP, EYE = TabularMDP, float("nan"), [(1.0, 0, 0.0, True)], np.eye(2).reshape(2, 1, 2)
M = T.from_outcomes([[LOOP]])
DAMAGED = sparse.csr_array(np.eye(2))
DAMAGED.indices[0] = 77
reset = lambda env, **options: env.reset(**options)
said = {}
for expression in json.load(sys.stdin):
    try:
        said[expression] = repr(eval(expression))
    except (TypeError, ValueError) as error:
        said[expression] = str(error)
    except BaseException as error:
        said[expression] = f"{type(error).__name__}: {error}"
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def said():
    """What each expression raised, in a process without the run-time type checks of the tests."""
    command = [sys.executable, "-W", "error::RuntimeWarning:gymagine", "-c", SCRIPT]
    process = subprocess.run(
        command, input=json.dumps([*WRONG, *RIGHT]), capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


@pytest.mark.parametrize("expression", WRONG)
def test_wrong_arguments_are_refused_in_words(said, expression):
    assert "expected" in said[expression]
    assert "got" in said[expression] or "is neither" in said[expression]
    assert WRONG[expression] in said[expression]


@pytest.mark.parametrize("expression", RIGHT)
def test_unusual_arguments_are_taken(said, expression):
    assert said[expression] == "True"
