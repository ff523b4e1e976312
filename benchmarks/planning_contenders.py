"""The contenders of the planning benchmark: each builds its model and returns what solves it."""

import time

import numpy as np

ACCURACY = 1e-6
"""Largest error of a value that all are asked for."""


def build_ours(arrays, discount, method):
    import warnings

    from gymagine.agents import planning
    from gymagine.envs.mdp import TabularMDP

    warnings.simplefilter("ignore", RuntimeWarning)  # what falls short shows in the table
    size = int(arrays["num_states"])
    mdp = TabularMDP(
        **{
            key: arrays[key]
            for key in ("row_starts", "next_states", "probabilities", "rewards", "terminated")
        },
        initial_distribution=np.full(size, 1 / size),
        num_actions=int(arrays["num_actions"]),
    )
    planner = getattr(planning, method.replace("-", "_"))
    caps = {"policy-iteration": 1_000, "value-iteration": 50_000}
    options = {"max_sweeps": caps[method]} if method in caps else {"max_sweeps": 100_000}
    chosen = []

    def run():
        solution = planner(mdp, discount=discount, tolerance=ACCURACY, **options)
        chosen[:] = [solution.method, solution.sweeps, solution.error_bound]
        return solution.state_values

    return run, chosen


def expected_rewards(arrays):
    weights = arrays["probabilities"] * arrays["rewards"]
    return np.add.reduceat(weights, arrays["row_starts"][:-1])


def build_quantecon(arrays, discount, method):
    from quantecon.markov import DiscreteDP
    from scipy.sparse import csr_matrix

    size, num_actions = int(arrays["num_states"]), int(arrays["num_actions"])
    matrix = csr_matrix(
        (arrays["probabilities"], arrays["next_states"], arrays["row_starts"]),
        shape=(size * num_actions, size),
    )
    states = np.repeat(np.arange(size), num_actions)
    actions = np.tile(np.arange(num_actions), size)
    problem = DiscreteDP(expected_rewards(arrays), matrix, discount, states, actions)
    # its values are within half of epsilon of the truth
    options = {"method": method, "epsilon": 2 * ACCURACY, "max_iter": 20_000}
    return (lambda: problem.solve(**options).v), []


def build_mdpsolver(arrays, discount, algorithm):
    import mdpsolver

    size, num_actions = int(arrays["num_states"]), int(arrays["num_actions"])
    starts = arrays["row_starts"].tolist()
    weights, columns = arrays["probabilities"].tolist(), arrays["next_states"].tolist()
    rows = [range(s * num_actions, (s + 1) * num_actions) for s in range(size)]
    probabilities = [[weights[starts[r] : starts[r + 1]] for r in row] for row in rows]
    following = [[columns[starts[r] : starts[r + 1]] for r in row] for row in rows]
    rewards = expected_rewards(arrays).reshape(size, num_actions).tolist()

    def run():
        model = mdpsolver.model()  # a used one starts from its last solution
        model.mdp(
            discount=discount,
            rewards=rewards,
            tranMatProbs=probabilities,
            tranMatColumns=following,
        )
        begun = time.process_time()
        model.solve(algorithm=algorithm, tolerance=ACCURACY, parallel=False)
        run.seconds = time.process_time() - begun
        return np.array(model.getValueVector())

    return run, []


def build_pymdptoolbox(arrays, discount, _):
    from mdptoolbox.mdp import ValueIteration
    from scipy.sparse import csr_matrix

    size, num_actions = int(arrays["num_states"]), int(arrays["num_actions"])
    matrix = csr_matrix(
        (arrays["probabilities"], arrays["next_states"], arrays["row_starts"]),
        shape=(size * num_actions, size),
    )
    transitions = [matrix[action::num_actions] for action in range(num_actions)]
    rewards = expected_rewards(arrays).reshape(size, num_actions)

    def run():
        problem = ValueIteration(transitions, rewards, discount, epsilon=ACCURACY)
        begun = time.process_time()
        problem.run()
        run.seconds = time.process_time() - begun
        return np.array(problem.V)

    return run, []


def build_bettermdptools(arrays, discount, _):
    import contextlib
    import io

    from algorithms.planner import Planner

    size, num_actions = int(arrays["num_states"]), int(arrays["num_actions"])
    starts = arrays["row_starts"].tolist()
    columns = [
        arrays[key].tolist() for key in ("probabilities", "next_states", "rewards", "terminated")
    ]
    outcomes = list(zip(*columns, strict=True))
    table = {
        s: {
            a: outcomes[starts[s * num_actions + a] : starts[s * num_actions + a + 1]]
            for a in range(num_actions)
        }
        for s in range(size)
    }
    theta = ACCURACY * (1 - discount) / discount

    def run():
        with contextlib.redirect_stdout(io.StringIO()):
            values, _, _ = Planner(table).value_iteration(
                gamma=discount, n_iters=5_000, theta=theta
            )
        return values

    return run, []


BUILDERS = {
    "quantecon-mpi": (build_quantecon, "mpi"),
    "quantecon-pi": (build_quantecon, "pi"),
    "mdpsolver-vi": (build_mdpsolver, "vi"),
    "mdpsolver-mpi": (build_mdpsolver, "mpi"),
    "pymdptoolbox": (build_pymdptoolbox, ""),
    "bettermdptools": (build_bettermdptools, ""),
}


IMPORTS = {
    build_ours: ("gymagine.envs.mdp", "gymagine.agents.planning.planner", "scipy.sparse.linalg"),
    build_quantecon: ("quantecon.markov", "scipy.sparse"),
    build_mdpsolver: ("mdpsolver",),
    build_pymdptoolbox: ("mdptoolbox.mdp", "scipy.sparse"),
    build_bettermdptools: ("algorithms.planner",),
}
