"""Environment steps per second of deep learners on CartPole-v1, against Stable-Baselines3.

    python benchmarks/deep_speed.py --rounds 5
    python benchmarks/deep_speed.py --quick              # one short round, for a look
    python benchmarks/deep_speed.py --only sb3-dqn ours-dqn-compiled

How that is done is in `paired_speed`. The clock starts when learning has started and, where the
update is compiled, compiled; what that took is shown apart. All contenders of a task get the same
hyper-parameters. Runs are kept in deep_speed.json, to which later rounds are added (``--fresh``
forgets them), and from which deep_speed.md beside this file is written.
"""

from pathlib import Path

from paired_speed import Benchmark, Clock, Contender, Task, result

HERE = Path(__file__).resolve()
ENVIRONMENT = "CartPole-v1"
MEMBERS, COPIES = 10, 8

DQN_SETTINGS = {
    "learning_rate": 2.5e-4,
    "discount": 0.99,
    "buffer_size": 10_000,
    "learning_starts": 1_000,
    "train_freq": 4,
    "gradient_steps": 1,
    "target_update_interval": 500,
    "hidden_sizes": (120, 84),
    "max_grad_norm": 10.0,
}
EXPLORATION = (1.0, 0.05, 3_200)  # from, to, over how many steps
A2C_SETTINGS = {
    "learning_rate": 7e-4,
    "discount": 0.99,
    "hidden_sizes": (64, 64),
    "max_grad_norm": 0.5,
}
# steps before the clock starts, steps on the clock; of one member
STEPS = {"dqn": (2_000, 14_000), "population": (2_000, 4_000), "on-policy": (8_000, 80_000)}

TASKS = {
    "dqn": Task("DQN, batches of 128", "sb3-dqn", {"ours-dqn": 2.2, "ours-dqn-compiled": 3.5}),
    "population": Task(
        f"A population of {MEMBERS} DQNs, batches of 128: member-steps",
        "sb3-dqn",
        {"ours-population": 8.0, "ours-population-compiled": 8.0},
    ),
    "population-32": Task(
        f"A population of {MEMBERS} DQNs, batches of 32: member-steps",
        "sb3-dqn-32",
        {"ours-population-32": 8.0, "ours-population-32-compiled": 8.0},
    ),
    "on-policy": Task(
        f"A2C and REINFORCE with {COPIES} environments",
        "sb3-a2c",
        {
            "ours-a2c": 3.0,
            "ours-a2c-compiled": 3.0,
            "ours-reinforce": 3.0,
            "ours-reinforce-compiled": 3.0,
        },
    ),
}
EARLIER = {  # steps per second, of the same DQN task, by hand on another day; not paired with ours
    "SB3": 1_661,
    "CleanRL": 2_118,
    "Tianshou 2.0.1": 799,
    "a minimal torch loop, fused Adam": 4_046,
    "the same, hand-derived gradients, torch.compile": 8_089,
    "a C loop with AVX-512": 25_789,
}


# ---- contenders: each returns what it measured -----------------------------------------------


def measure_sb3(make, total, before):
    """Learn once, as its schedules want, and read the clock on the way."""
    from stable_baselines3.common.callbacks import BaseCallback

    class Reader(BaseCallback):
        def __init__(self):
            super().__init__()
            self.clock, self.starting, self.at = Clock(), None, 0

        def _on_step(self):
            if self.starting is None and self.num_timesteps >= before:
                self.starting, self.at = self.clock.read(), self.num_timesteps
                self.clock = Clock()
            return True

    reader = Reader()
    model = make()
    model.learn(total, callback=reader)
    return result(reader.starting, reader.clock.read(), model.num_timesteps - reader.at)


def sb3_dqn(before, steps, batch_size):
    from stable_baselines3 import DQN

    first, last, over = EXPLORATION

    def make():
        return DQN(
            "MlpPolicy",
            ENVIRONMENT,
            seed=0,
            device="cpu",
            gamma=DQN_SETTINGS["discount"],
            batch_size=batch_size,
            exploration_initial_eps=first,
            exploration_final_eps=last,
            exploration_fraction=over / (before + steps),
            policy_kwargs={"net_arch": list(DQN_SETTINGS["hidden_sizes"])},
            **{k: v for k, v in DQN_SETTINGS.items() if k not in ("discount", "hidden_sizes")},
        )

    return measure_sb3(make, before + steps, before)


def sb3_a2c(before, steps):
    from stable_baselines3 import A2C
    from stable_baselines3.common.env_util import make_vec_env

    def make():
        return A2C(
            "MlpPolicy",
            make_vec_env(ENVIRONMENT, n_envs=COPIES, seed=0),
            seed=0,
            device="cpu",
            learning_rate=A2C_SETTINGS["learning_rate"],
            gamma=A2C_SETTINGS["discount"],
            max_grad_norm=A2C_SETTINGS["max_grad_norm"],
            policy_kwargs={"net_arch": list(A2C_SETTINGS["hidden_sizes"])},
        )

    return measure_sb3(make, before + steps, before)


def measure_ours(learner, before, steps, members=1):
    clock = Clock()
    learner.learn(before)
    starting = clock.read()
    at, clock = learner.num_timesteps, Clock()
    learner.learn(steps)
    running = clock.read()
    return result(starting, running, members * (learner.num_timesteps - at))


def dqn_settings(compiled, batch_size):
    from gymagine.schedules import Schedule

    first, last, over = EXPLORATION
    rate = Schedule("linear", first, last, over)
    return {
        **DQN_SETTINGS,
        "batch_size": batch_size,
        "exploration_rate": rate,
        "compile": compiled,
    }


def ours_dqn(before, steps, compiled, batch_size):
    from gymagine.agents.deep.dqn import DQN

    agent = DQN(ENVIRONMENT, seed=0, **dqn_settings(compiled, batch_size))
    return measure_ours(agent, before, steps)


def ours_population(before, steps, compiled, batch_size):
    from gymagine.agents.deep.dqn import DQN
    from gymagine.agents.deep.population import Population

    learner = Population(DQN, ENVIRONMENT, seeds=MEMBERS, **dqn_settings(compiled, batch_size))
    return measure_ours(learner, before, steps, MEMBERS)


def ours_a2c(before, steps, compiled):
    from gymagine.agents.deep.a2c import A2C

    settings = {**A2C_SETTINGS, "num_envs": COPIES, "compile": compiled}
    return measure_ours(A2C(ENVIRONMENT, seed=0, **settings), before, steps)


def ours_reinforce(before, steps, compiled):
    from gymagine.agents.deep.reinforce import REINFORCE

    settings = {**A2C_SETTINGS, "num_envs": COPIES, "compile": compiled}
    return measure_ours(REINFORCE(ENVIRONMENT, seed=0, **settings), before, steps)


def contender(label, kind, measure, *more):
    """A contender whose run has the steps of a kind."""

    def measured(share):
        before, steps = STEPS[kind]
        return measure(before, steps // share, *more)

    return Contender(label, measured)


CONTENDERS = {
    "sb3-dqn": contender("SB3 DQN", "dqn", sb3_dqn, 128),
    "ours-dqn": contender("gymagine DQN", "dqn", ours_dqn, False, 128),
    "ours-dqn-compiled": contender("gymagine DQN, compiled", "dqn", ours_dqn, True, 128),
    "ours-population": contender(
        f"gymagine, {MEMBERS} members", "population", ours_population, False, 128
    ),
    "ours-population-compiled": contender(
        f"gymagine, {MEMBERS} members, compiled", "population", ours_population, True, 128
    ),
    "sb3-dqn-32": contender("SB3 DQN", "dqn", sb3_dqn, 32),
    "ours-population-32": contender(
        f"gymagine, {MEMBERS} members", "population", ours_population, False, 32
    ),
    "ours-population-32-compiled": contender(
        f"gymagine, {MEMBERS} members, compiled", "population", ours_population, True, 32
    ),
    "sb3-a2c": contender("SB3 A2C", "on-policy", sb3_a2c),
    "ours-a2c": contender("gymagine A2C", "on-policy", ours_a2c, False),
    "ours-a2c-compiled": contender("gymagine A2C, compiled", "on-policy", ours_a2c, True),
    "ours-reinforce": contender("gymagine REINFORCE", "on-policy", ours_reinforce, False),
    "ours-reinforce-compiled": contender(
        "gymagine REINFORCE, compiled", "on-policy", ours_reinforce, True
    ),
}


def protocol():
    """What all contenders of a task share."""
    dqn, a2c, (first, last, over) = DQN_SETTINGS, A2C_SETTINGS, EXPLORATION
    layers, a2c_layers = ("x".join(map(str, s["hidden_sizes"])) for s in (dqn, a2c))
    return (
        f"DQN: network {layers}, one update per {dqn['train_freq']} steps, learning starts "
        f"{dqn['learning_starts']:,}, buffer {dqn['buffer_size']:,}, target copied every "
        f"{dqn['target_update_interval']} steps, Adam at {dqn['learning_rate']:g}, Huber loss, "
        f"gradients clipped at {dqn['max_grad_norm']:g}, exploration {first:g} to {last:g} over "
        f"{over:,} steps; the clock runs from step {STEPS['dqn'][0]:,} for {STEPS['dqn'][1]:,} "
        f"steps (populations: {STEPS['population'][1]:,} of each member). A2C and REINFORCE: "
        f"networks {a2c_layers}, step size {a2c['learning_rate']:g}, gradients clipped at "
        f"{a2c['max_grad_norm']:g}; A2C updates every 5 steps of {COPIES} environments, REINFORCE "
        f"after whole episodes. SB3's environments are its `DummyVecEnv` of {COPIES}; gymagine's "
        f"what `num_envs={COPIES}` makes of the same id."
    )


def closing(_):
    """What is not paired."""
    return (
        "## Others, measured on another day",
        "",
        "The same DQN task at batches of 128 on a machine of the same kind, not paired with the "
        "rounds above: only their ratios to each other say something.",
        "",
        "| | steps/s | times SB3 |",
        "|---|---:|---:|",
        *(f"| {k} | {v:,} | {v / EARLIER['SB3']:.1f}x |" for k, v in EARLIER.items()),
        "",
    )


if __name__ == "__main__":
    Benchmark(
        script=HERE,
        title="Deep learners: environment steps per second",
        about=f"{ENVIRONMENT}; from the moment at which learning had started and the update was "
        "compiled.",
        tasks=TASKS,
        contenders=CONTENDERS,
        packages=("torch", "stable_baselines3", "gymnasium", "numpy"),
        unit="steps/s",
        base_word="SB3",
        protocol=protocol(),
        closing=closing,
    ).main(__doc__.splitlines()[0])
