"""Stable-Baselines3's own callbacks are the judges: they must run as on its own models."""

import warnings

import gymnasium
import numpy as np
import pytest
from gymagine.agents.deep.a2c import A2C
from gymagine.agents.deep.dqn import DQN
from gymagine.agents.deep.population import Population
from gymagine.agents.deep.reinforce import REINFORCE
from gymagine.agents.learning_environments import LearningEnvironments
from gymagine.agents.tabular.q_learning import QLearning
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.callbacks import (
    BaseCallback,
    CheckpointCallback,
    EvalCallback,
    StopTrainingOnRewardThreshold,
)
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor

COPIES = 3
SMALL = {
    DQN: {"learning_starts": 30, "buffer_size": 500, "hidden_sizes": (8,)},
    A2C: {"n_steps": 4, "hidden_sizes": (8,)},
    REINFORCE: {"episodes_per_update": 2, "hidden_sizes": (8,)},
}
SOURCES = ["num_envs", "sync", "async", "vector_entry_point"]


def build(agent_type, source):
    if source == "num_envs":
        return agent_type("CartPole-v1", seed=0, num_envs=COPIES, **SMALL[agent_type])
    env = gymnasium.make_vec("CartPole-v1", COPIES, vectorization_mode=source)
    return agent_type(env, seed=0, **SMALL[agent_type])


class Notes(BaseCallback):
    """What a callback finds in the environment that learns, and when it is called."""

    def _on_training_start(self):
        self.taken, self.times = 0, {}

    def _on_step(self):
        self.num_envs = self.training_env.num_envs
        self.spaces = self.training_env.observation_space, self.training_env.action_space
        self.taken += len(self.locals["rewards"])  # copies that only began an episode took none
        self.times[self.n_calls] = self.num_timesteps
        assert self.taken == self.num_timesteps == self.model.num_timesteps
        return True


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("agent_type", [DQN, A2C, REINFORCE])
def test_callbacks_run_on_agents_of_several_environments(agent_type, source, tmp_path):
    agent, notes = build(agent_type, source), Notes()
    evaluation = EvalCallback(
        Monitor(gymnasium.make("CartPole-v1")),
        eval_freq=20,
        n_eval_episodes=2,
        best_model_save_path=str(tmp_path / "best"),
        log_path=str(tmp_path),
        verbose=0,
    )
    checkpoints = CheckpointCallback(25, str(tmp_path / "all"), name_prefix="agent")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        agent.learn(60 * COPIES, callback=[notes, evaluation, checkpoints])
    assert 0 <= agent.num_timesteps - 60 * COPIES < COPIES
    evaluations = np.load(tmp_path / "evaluations.npz")
    assert evaluations["timesteps"].tolist() == [notes.times[calls] for calls in (20, 40, 60)]
    assert (evaluations["results"] == evaluations["ep_lengths"]).all()  # CartPole pays 1 a step
    assert notes.num_envs == COPIES
    assert notes.spaces == (agent.observation_space, agent.action_space)
    best = agent_type.load(tmp_path / "best" / "best_model")
    means = evaluations["results"].mean(axis=1)
    assert best.num_timesteps == evaluations["timesteps"][means.argmax()]
    names = {path.name for path in (tmp_path / "all").iterdir()}
    assert names == {f"agent_{notes.times[calls]}_steps.zip" for calls in (25, 50)}


@pytest.mark.parametrize("mode", AutoresetMode)
def test_looking_on_changes_nothing_of_what_is_learnt(mode):
    agents = []
    for callback in (None, EvalCallback(gymnasium.make("CartPole-v1"), eval_freq=7, warn=False)):
        kwargs = {"autoreset_mode": mode}
        env = gymnasium.make_vec("CartPole-v1", COPIES, vectorization_mode="sync",
                                 vector_kwargs=kwargs)  # fmt: skip
        agents.append(DQN(env, seed=0, **SMALL[DQN]).learn(120, callback=callback))
    observations = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    values = [agent.learners.choose(0, (observations,), None, True) for agent in agents]
    assert np.array_equal(*values)
    assert np.array_equal(agents[0].episode_returns, agents[1].episode_returns)


@pytest.mark.parametrize("source", SOURCES)
def test_a_reached_threshold_ends_learning(source):
    agent = build(A2C, source)
    stop = StopTrainingOnRewardThreshold(1.0)  # every episode of CartPole's reaches it
    env = Monitor(gymnasium.make("CartPole-v1"))
    agent.learn(
        100 * COPIES, EvalCallback(env, callback_on_new_best=stop, eval_freq=10, verbose=0)
    )
    assert agent.num_timesteps == 10 * COPIES


def test_tabular_agents_of_vector_environments():
    env = gymnasium.make_vec("FrozenLake-v1", COPIES, vectorization_mode="sync")
    agent, evaluation = QLearning(env, seed=0), EvalCallback(
        Monitor(gymnasium.make("FrozenLake-v1")), eval_freq=50, n_eval_episodes=2, verbose=0
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        agent.learn(100, evaluation)
    assert evaluation.last_mean_reward >= 0.0


def test_copies_by_id_are_shared():
    agent = DQN("CartPole-v1", seed=0, num_envs=COPIES, **SMALL[DQN])
    assert agent.get_env().envs[0].unwrapped is agent.env.unwrapped
    assert len({id(env.unwrapped) for env in agent.get_env().envs}) == COPIES
    mean, _ = evaluate_policy(agent, agent.get_env(), n_eval_episodes=3, warn=False)
    assert mean >= 1.0


def test_members_of_a_population_have_environments_of_their_own():
    population = Population(DQN, "CartPole-v1", seeds=[0, 1], num_envs=2, **SMALL[DQN])
    envs = [env.unwrapped for member in population.members for env in member.get_env().envs]
    assert len(envs) == len({id(env) for env in envs}) == 4


@pytest.mark.parametrize("mode", ["sync", "async", "vector_entry_point"])
def test_attributes_of_vector_environments_can_be_read(mode):
    env = gymnasium.make_vec("CartPole-v1", COPIES, vectorization_mode=mode)
    view = LearningEnvironments(env)
    assert view.get_attr("gravity") == [9.8] * COPIES
    assert view.get_attr("gravity", 1) == [9.8] and view.get_attr("gravity", [0, 2]) == [9.8] * 2
    assert view.get_attr("render_mode") == [None] * COPIES
    view.close()
    assert env.closed or mode == "vector_entry_point"  # CartPole's own closes nothing


class Counting(gymnasium.Wrapper):
    """Counts the calls of a method."""

    calls = 0

    def count(self):
        self.calls += 1


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_asking_calls_nothing_and_closes_nothing(mode):
    env = gymnasium.make_vec("FrozenLake-v1", COPIES, vectorization_mode=mode, wrappers=[Counting])
    agent = QLearning(env, seed=0).learn(9)
    view = agent.get_env()
    assert not view.has_attr("no_such_thing") and view.has_attr("count")
    assert all(callable(count) for count in view.get_attr("count"))
    assert view.get_attr("calls") == [0] * COPIES
    assert agent.learn(9).num_timesteps == 18
    env.close()


def test_attributes_behind_wrappers_of_vector_environments():
    env = gymnasium.make_vec("CartPole-v1", COPIES, vectorization_mode="vector_entry_point")
    view = LearningEnvironments(gymnasium.wrappers.vector.RecordEpisodeStatistics(env))
    assert view.get_attr("gravity") == [9.8] * COPIES
    assert view.get_attr("episode_count") == [0] * COPIES
    assert not view.has_attr("no_such_thing")


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("reset", ()),
        ("step", ([0] * COPIES,)),
        ("step_wait", ()),
        ("set_attr", ("gravity", 1.0)),
        ("env_method", ("reset",)),
        ("env_is_wrapped", (Monitor,)),
        ("get_images", ()),
        ("render", ()),
    ],
)
def test_what_would_disturb_learning_is_refused(name, arguments):
    view = LearningEnvironments(gymnasium.make_vec("CartPole-v1", COPIES))
    with pytest.raises(NotImplementedError, match="got the 3 copies that an agent is learning"):
        getattr(view, name)(*arguments)


def test_evaluating_in_the_environments_that_learn_is_refused():
    agent = QLearning(gymnasium.make_vec("FrozenLake-v1", COPIES), seed=0)
    with pytest.raises(NotImplementedError, match="an environment of its own to act in"):
        evaluate_policy(agent, agent.get_env(), n_eval_episodes=1, warn=False)


def test_without_an_environment_there_is_none(tmp_path):
    QLearning("FrozenLake-v1", seed=0).save(tmp_path / "agent")
    assert QLearning.load(tmp_path / "agent").get_env() is None
