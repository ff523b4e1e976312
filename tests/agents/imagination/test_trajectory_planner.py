import subprocess
import sys
from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch
from gymagine.agents.imagination.trajectory_planner import TrajectoryPlanner
from gymagine.generative.autoencoders.vae import VAE
from gymagine.generative.autoregressive.transformer import Transformer
from gymagine.generative.baselines.conditional_gaussian import ConditionalGaussian
from gymagine.generative.data.environments import transitions
from gymagine.generative.diffusion.ddpm import DDPM
from gymagine.generative.diffusion.edm import EDM
from gymagine.generative.flows.real_nvp import RealNVP
from gymnasium import spaces
from stable_baselines3.common.evaluation import evaluate_policy

torch.set_num_threads(1)

DIFFUSION = {"num_steps": 20, "hidden_sizes": (64, 64), "clip": 1.5}


class Pushes(gymnasium.Env):
    """Three pushes a in [-1, 1] move x to x + a and bring a: random ones bring 0, the best 3."""

    observation_space = spaces.Box(-4, 4, (1,))
    action_space = spaces.Box(-1, 1, (1,))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.x, self.t = self.np_random.uniform(-1, 1, 1).astype(np.float32), 0
        return self.x.copy(), {}

    def step(self, action):
        self.x = (self.x + action).astype(np.float32)
        self.t += 1
        return self.x.copy(), float(action[0]), self.t == 3, False, {}


@pytest.fixture(scope="module")
def data():
    return transitions(Pushes(), 4_500, seed=0)


def planner_of(family, hyperparameters, data, updates=700, **config):
    chosen = {"horizon": 4, "action_horizon": 3, "discount": 1.0, "hidden_sizes": (32,)}
    planner = TrajectoryPlanner(
        Pushes(), generator=family, hyperparameters=hyperparameters, **(chosen | config)
    )
    found = planner.fit(data, num_updates=updates, second_settings={"num_updates": 400})
    assert found.error < 0.5 * found.constant_error
    return planner


def returns(planner, num=60):
    """(E,) of episodes of which each is planned at once."""
    x = np.random.default_rng(0).uniform(-1, 1, (num, 1)).astype(np.float32)
    memory, total = None, np.zeros(num)
    for _ in range(3):
        actions, memory = planner.predict(x, memory)
        x, total = (x + actions).astype(np.float32), total + actions[:, 0]
    return total


def with_settings(planner, **changes):
    """The same planner, asked in another way."""
    planner.config = planner._model._config = replace(planner.config, **changes)
    return planner


@pytest.fixture(scope="module")
def diffuser(data):
    return planner_of(DDPM, DIFFUSION, data)


@pytest.mark.slow
def test_guidance_finds_better_plans_than_the_data_and_several_better_ones(diffuser):
    none = returns(with_settings(diffuser, guidance_scale=0.0, num_plans=1))
    some = returns(with_settings(diffuser, guidance_scale=1.0, num_plans=1))
    best = returns(with_settings(diffuser, guidance_scale=1.0, num_plans=16))
    assert abs(none.mean()) < 0.4  # as in the data
    assert none.mean() + 0.5 < some.mean()
    assert some.mean() + 0.3 < best.mean() <= 3


@pytest.mark.slow
def test_plans_begin_with_what_is_seen_and_say_what_comes(diffuser):
    """More rounds make the rest agree with the start; actions fit what is seen, not by chance."""
    x, off = np.linspace(-0.5, 0.5, 20, dtype=np.float32)[:, None], []
    for rounds in (1, 6):
        planner = with_settings(diffuser, guidance_scale=0.0, num_plans=1, rounds=rounds)
        found = planner.plan(x)
        seen = found.observations.reshape(20, 4)
        np.testing.assert_allclose(seen[:, 0], x[:, 0], atol=1e-5)
        reached = np.cumsum(found.actions.reshape(20, 3), axis=1) + x
        off.append(np.abs(seen[:, 1:] - reached).mean())
        chance = np.abs(seen[:, 1:] - reached[::-1]).mean()
        gained = reached[:, -1] - x[:, 0]
        assert np.corrcoef(found.predicted_return, gained)[0, 1] > 0.8
    assert off[1] < off[0]
    assert off[1] < 0.7 * chance


@pytest.mark.parametrize(
    ("family", "hyperparameters"),
    [
        pytest.param(RealNVP, {"hidden_sizes": (32,), "num_couplings": 4}, marks=pytest.mark.slow),
        (VAE, {"hidden_sizes": (32,)}),
    ],
)
def test_ranking_serves_every_family(family, hyperparameters, data):
    planner = planner_of(family, hyperparameters, data)
    assert planner.method == "ranking"
    one = returns(with_settings(planner, num_plans=1))
    assert abs(one.mean()) < 0.4
    assert one.mean() + 0.7 < returns(with_settings(planner, num_plans=32)).mean()
    with pytest.raises(ValueError, match="return-conditioned planner"):
        planner.ask_for(1.0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "hyperparameters"),
    [(DDPM, DIFFUSION | {"guidance": 0.5}), (ConditionalGaussian, {"hidden_sizes": (32,)})],
)
def test_the_return_that_is_asked_for_is_got(family, hyperparameters, data):
    """Inverse dynamics: a = x' - x, exactly what is drawn to be seen."""
    planner = planner_of(
        family, hyperparameters, data, method="return-conditioned", temperature=0.5
    )
    for asked in (-1.0, 0.0, 1.0):
        planner.ask_for(asked)
        assert returns(planner).mean() == pytest.approx(asked, abs=0.4)
    with pytest.raises(ValueError, match="finite return"):
        planner.ask_for(np.nan)


def test_many_environments_are_played_at_once_and_plans_are_kept():
    planner = TrajectoryPlanner(
        Pushes(), generator=RealNVP, hyperparameters={"num_couplings": 2}, horizon=4,
        action_horizon=3,
    )  # fmt: skip
    planner._model.eval()
    x = np.zeros((3, 1), np.float32)
    _, memory = planner.predict(x)
    assert memory.left.tolist() == [2, 2, 2]
    _, after = planner.predict(x, memory, np.array([False, True, False]))
    assert after.left.tolist() == [1, 2, 1]
    assert torch.equal(after.planned[0, 0], memory.planned[0, 1])
    single, _ = planner.predict(x[0])
    assert Pushes.action_space.contains(single)
    with pytest.raises(ValueError, match="3 observations"):
        planner.predict(x[:2], memory)
    with pytest.raises(ValueError, match="no action_mask"):
        planner.predict(x, action_mask=np.ones((3, 1), bool))


def test_categories_are_planned_too():
    planner = TrajectoryPlanner(
        "CartPole-v1", generator=EDM, hyperparameters={"hidden_sizes": (16,)}, horizon=4,
        action_horizon=2, num_plans=2, layout="vector",
    )  # fmt: skip
    planner.fit(transitions("CartPole-v1", 400), num_updates=5, second_settings={"num_updates": 5})
    mean, _ = evaluate_policy(
        planner, gymnasium.make("CartPole-v1", max_episode_steps=6), n_eval_episodes=2, warn=False
    )
    assert mean > 0
    assert planner.predict(np.zeros(4, np.float32))[0] in (0, 1)


@pytest.mark.slow
def test_another_process_plans_alike(data, tmp_path):
    planner = planner_of(DDPM, DIFFUSION, data, updates=50)
    planner.save(tmp_path / "planner")
    code = (
        "import sys, numpy as np, torch; torch.set_num_threads(1)\n"
        "from gymagine.agents.imagination.trajectory_planner import TrajectoryPlanner\n"
        "planner = TrajectoryPlanner.load(sys.argv[1])\n"
        "print(planner.predict(np.ones((4, 1), 'f4'))[0].tolist())"
    )
    path = str(tmp_path / "planner")
    told = subprocess.run([sys.executable, "-c", code, path], capture_output=True, check=True)
    own = planner.predict(np.ones((4, 1), np.float32))[0]
    assert told.stdout.decode().strip() == str(own.tolist())


def test_files_bring_everything_back(tmp_path):
    planner = TrajectoryPlanner(
        Pushes(), generator=VAE, hyperparameters={"hidden_sizes": (8,)}, seed=3, horizon=4,
        action_horizon=1, method="return-conditioned",
    )  # fmt: skip
    planner.fit(transitions(Pushes(), 300), num_updates=5, second_settings={"num_updates": 5})
    planner.save(tmp_path / "planner")
    again = TrajectoryPlanner.load(tmp_path / "planner", Pushes())
    again.save(tmp_path / "again")
    assert (tmp_path / "planner").read_bytes() == (tmp_path / "again").read_bytes()
    x = np.zeros((5, 1), np.float32)
    np.testing.assert_array_equal(planner.predict(x)[0], again.predict(x)[0])
    with pytest.raises(ValueError, match="observation space"):
        TrajectoryPlanner.load(tmp_path / "planner", "CartPole-v1")


def test_learning_takes_random_steps():
    planner = TrajectoryPlanner(
        Pushes(),
        generator=VAE,
        hyperparameters={"hidden_sizes": (8,)},
        horizon=3,
        action_horizon=1,
    )
    with pytest.raises(ValueError, match="no callback"):
        planner.learn(10, callback=lambda *_: True)
    with pytest.raises(ValueError, match="at least 1 step"):
        planner.learn(0)


def test_families_that_cannot_are_refused_at_once(without_shape_checks):
    with pytest.raises(ValueError, match=r"diffusion family for guidance.*ranking serves it"):
        TrajectoryPlanner(Pushes(), generator=VAE, method="guidance")
    with pytest.raises(ValueError, match="real events"):
        TrajectoryPlanner(
            Pushes(), generator=Transformer, hyperparameters={"num_levels": 4}, horizon=4,
            action_horizon=1,
        )  # fmt: skip
    with pytest.raises(ValueError, match="action_horizon below the horizon"):
        TrajectoryPlanner(Pushes(), generator=VAE, horizon=4, action_horizon=4)
    with pytest.raises(ValueError, match="method as one of"):
        TrajectoryPlanner(Pushes(), generator=VAE, method="luck")
