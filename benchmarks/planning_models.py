"""The models of the planning benchmark: compressed rows, and what each case asks of whom."""

import numpy as np


def garnet(num_states, num_actions, branching):
    from gymagine.envs.garnet import garnet as draw

    mdp = draw(num_states, num_actions, branching, seed=0)
    return {
        "row_starts": mdp.row_starts,
        "next_states": mdp.next_states,
        "probabilities": mdp.probabilities,
        "rewards": mdp.rewards,
        "terminated": mdp.terminated,
    }


def sorted_rows(next_states, probabilities, rewards, terminated):
    """Rows (S, A, b) with equal next states summed, as compressed rows."""
    branching = next_states.shape[2]
    order = np.argsort(next_states, axis=2, kind="stable")
    pick = [
        np.take_along_axis(x, order, axis=2).reshape(-1, branching)
        for x in (next_states, probabilities, rewards, terminated)
    ]
    following, weights, gains, ends = pick
    first = np.ones(following.shape, dtype=bool)
    first[:, 1:] = following[:, 1:] != following[:, :-1]
    starts = np.flatnonzero(first.ravel())
    counts = first.sum(axis=1)
    return {
        "row_starts": np.concatenate(([0], np.cumsum(counts))).astype(np.int64),
        "next_states": following.ravel()[starts].astype(np.int32),
        "probabilities": np.add.reduceat(weights.ravel(), starts),
        "rewards": gains.ravel()[starts],
        "terminated": ends.ravel()[starts],
    }


def with_goal(ahead, weights):
    """Moves (S, A, b) at a cost of 1 until the last state, which ends the episode."""
    goal = len(ahead) - 1
    ends = ahead == goal
    rewards = np.full(ahead.shape, -1.0)
    ahead[goal], ends[goal], rewards[goal] = goal, True, 0.0
    return sorted_rows(ahead, np.broadcast_to(weights, ahead.shape).copy(), rewards, ends)


def slippery_grid(side, slip):
    """Four moves on an open square, each to one of its sides with probability ``slip`` (twice)."""
    row, column = np.divmod(np.arange(side * side), side)
    moves = ((0, -1), (1, 0), (0, 1), (-1, 0))
    ahead = np.stack(
        [
            np.clip(row + down, 0, side - 1) * side + np.clip(column + right, 0, side - 1)
            for down, right in moves
        ],
        axis=1,
    )
    turned = np.stack([np.roll(ahead, turn, axis=1) for turn in (1, 0, -1)], axis=2)
    return with_goal(turned, np.array([slip, 1 - 2 * slip, slip]))


def slippery_maze(rooms, slip=0.2, seed=0):
    """A perfect maze: one way between any two cells. A move goes anywhere with ``slip``."""
    random = np.random.default_rng(seed)
    size = 2 * rooms + 1
    free = np.zeros((size, size), dtype=bool)
    free[1, 1] = True
    stack = [(1, 1)]
    while stack:
        row, column = stack[-1]
        options = [
            (down, right)
            for down, right in ((0, 2), (2, 0), (0, -2), (-2, 0))
            if 0 < row + down < size
            and 0 < column + right < size
            and not free[row + down, column + right]
        ]
        if not options:
            stack.pop()
            continue
        down, right = options[random.integers(len(options))]
        free[row + down // 2, column + right // 2] = free[row + down, column + right] = True
        stack.append((row + down, column + right))
    number = np.full((size, size), -1)
    number[free] = np.arange(free.sum())
    cells = np.argwhere(free)
    near = [
        number[cells[:, 0] + d, cells[:, 1] + r] for d, r in ((0, -1), (1, 0), (0, 1), (-1, 0))
    ]
    near = np.stack([np.where(x < 0, np.arange(len(cells)), x) for x in near], axis=1)
    ahead = np.concatenate(
        [near[:, :, None], np.broadcast_to(near[:, None, :], (len(cells), 4, 4))], axis=2
    )
    return with_goal(ahead, np.array([1 - slip] + [slip / 4] * 4))


def chain(length, slip=0.3):
    """Left or right, the other way with ``slip``; 0.01 a step at the left end, 1 at the right."""
    states = np.arange(length)
    sides = np.stack([np.maximum(states - 1, 0), np.minimum(states + 1, length - 1)], axis=1)
    ahead = np.broadcast_to(sides[:, None, :], (length, 2, 2)).copy()
    weights = np.broadcast_to(np.array([[1 - slip, slip], [slip, 1 - slip]]), ahead.shape).copy()
    rewards = np.zeros(ahead.shape)
    rewards[0], rewards[-1] = 0.01, 1.0
    return sorted_rows(ahead, weights, rewards, np.zeros(ahead.shape, dtype=bool))


def frozen_lake():
    from gymagine.envs.mdp import TabularMDP

    mdp = TabularMDP.from_env("FrozenLake8x8-v1")
    names = ("row_starts", "next_states", "probabilities", "rewards", "terminated")
    return {name: getattr(mdp, name) for name in names}


OURS = ("solve", "modified-policy-iteration", "value-iteration")
CASES = {  # name: (what it is, builder, discount, contenders)
    "lake": (
        "FrozenLake8x8",
        frozen_lake,
        0.99,
        (*OURS, "quantecon-mpi", "mdpsolver-mpi", "bettermdptools", "pymdptoolbox"),
    ),
    "garnet-1e3": (
        "Garnet, 10^3 states, 4 actions, 5 successors",
        lambda: garnet(10**3, 4, 5),
        0.99,
        (
            *OURS,
            "quantecon-mpi",
            "mdpsolver-vi",
            "mdpsolver-mpi",
            "pymdptoolbox",
        ),
    ),
    "garnet-1e4": (
        "Garnet, 10^4 states, 4 actions, 5 successors",
        lambda: garnet(10**4, 4, 5),
        0.99,
        (*OURS, "quantecon-mpi", "mdpsolver-vi", "mdpsolver-mpi"),
    ),
    "garnet-1e5": (
        "Garnet, 10^5 states, 4 actions, 5 successors",
        lambda: garnet(10**5, 4, 5),
        0.99,
        (*OURS, "quantecon-mpi", "mdpsolver-vi"),
    ),
    "garnet-1e5-10": (
        "Garnet, 10^5 states, 10 actions, 10 successors",
        lambda: garnet(10**5, 10, 10),
        0.99,
        (*OURS, "quantecon-mpi", "mdpsolver-vi"),
    ),
    "garnet-1e6": (
        "Garnet, 10^6 states, 4 actions, 5 successors",
        lambda: garnet(10**6, 4, 5),
        0.99,
        ("solve", "modified-policy-iteration", "quantecon-mpi"),
    ),
    "grid-316": (
        "slippery grid, 316 x 316, a third to each side",
        lambda: slippery_grid(316, 1 / 3),
        0.99,
        ("solve", "modified-policy-iteration", "quantecon-mpi", "mdpsolver-vi"),
    ),
    "grid-316-drift": (
        "slippery grid, 316 x 316, a tenth to each side",
        lambda: slippery_grid(316, 0.1),
        0.99,
        ("solve", "modified-policy-iteration", "quantecon-mpi", "mdpsolver-vi"),
    ),
    "grid-1000-drift": (
        "slippery grid, 1000 x 1000, a tenth to each side",
        lambda: slippery_grid(1000, 0.1),
        0.99,
        ("solve", "modified-policy-iteration", "quantecon-mpi"),
    ),
    "grid-1000": (
        "slippery grid, 1000 x 1000, a third to each side",
        lambda: slippery_grid(1000, 1 / 3),
        0.99,
        ("solve", "modified-policy-iteration", "quantecon-mpi"),
    ),
}
for _discount in (0.999, 0.9999):
    CASES[f"maze-{_discount}"] = (
        "perfect maze of 50 x 50 rooms",
        lambda: slippery_maze(50),
        _discount,
        (
            "solve",
            "modified-policy-iteration",
            "policy-iteration",
            "value-iteration",
            "quantecon-mpi",
            "quantecon-pi",
        ),
    )
    CASES[f"chain-{_discount}"] = (
        "chain of 10^4 states",
        lambda: chain(10**4),
        _discount,
        (
            "solve",
            "modified-policy-iteration",
            "policy-iteration",
            "value-iteration",
            "quantecon-mpi",
            "quantecon-pi",
        ),
    )
QUICK = ("lake", "garnet-1e3", "garnet-1e4", "garnet-1e5", "grid-316")
