"""Models that are known exactly, to plan in."""

import numpy as np
from gymagine.agents.imagination.planning_model import MarkovState
from gymagine.generative.world_model_state import ImaginedStep
from gymnasium import spaces
from scipy import linalg


def step_of(observation, reward, terminated, disagreement=None):
    num = len(reward)
    return ImaginedStep(
        observation=observation,
        reward=np.asarray(reward, np.float64),
        terminated=np.asarray(terminated, bool),
        disagreement=np.zeros(num) if disagreement is None else disagreement,
        num_clipped=np.zeros(num, np.int64),
    )


class MarkovModel:
    """begin and observe of a model that needs the last observation only."""

    def begin(self, observations):
        return MarkovState(np.asarray(observations))

    def observe(self, state, actions, observations):
        return MarkovState(np.asarray(observations))


class LinearQuadratic(MarkovModel):
    """x' = A x + B u, reward -(x' Q x + u R u) of the state and action before the step."""

    A = np.array([[1.0, 0.2], [0.0, 1.0]])
    B = np.array([[0.0], [0.2]])
    Q = np.diag([1.0, 0.1])
    R = np.array([[0.05]])
    observation_space = spaces.Box(-100, 100, (2,), np.float64)
    action_space = spaces.Box(-10, 10, (1,), np.float64)

    def step(self, state, actions, *, temperature=1.0, rng=None):
        x, u = state.observations, actions
        cost = np.einsum("bi,ij,bj->b", x, self.Q, x) + np.einsum("bi,ij,bj->b", u, self.R, u)
        after = x @ self.A.T + u @ self.B.T
        return MarkovState(after), step_of(after, -cost, np.zeros(len(x)))

    def optimal_cost(self, x, horizon):
        """By the finite-horizon Riccati recursion, the first gain checked against scipy's."""
        value = np.zeros((2, 2))
        for _ in range(horizon):
            inner = self.R + self.B.T @ value @ self.B
            gain = linalg.solve(inner, self.B.T @ value @ self.A)
            value = self.Q + self.A.T @ value @ (self.A - self.B @ gain)
        return float(x @ value @ x)


class Table(MarkovModel):
    """A deterministic MDP: next states, rewards and ends by (state, action)."""

    def __init__(self, following, rewards, ends=None):
        self.following, self.rewards = np.asarray(following), np.asarray(rewards, np.float64)
        self.ends = np.zeros(self.following.shape, bool) if ends is None else np.asarray(ends)
        states, actions = self.following.shape
        self.observation_space = spaces.Discrete(states)
        self.action_space = spaces.Discrete(actions)

    def step(self, state, actions, *, temperature=1.0, rng=None):
        at = state.observations, actions
        after = self.following[at]
        return MarkovState(after), step_of(after, self.rewards[at], self.ends[at])

    def best_sequence(self, state, horizon, discount):
        """By walking through all of them."""
        from itertools import product

        def value(sequence):
            at, total, weight = state, 0.0, 1.0
            for action in sequence:
                total += weight * self.rewards[at, action]
                weight *= discount
                if self.ends[at, action]:
                    break
                at = self.following[at, action]
            return total

        every = {s: value(s) for s in product(range(self.action_space.n), repeat=horizon)}
        best = max(every, key=every.get)
        return best, every[best], sorted(every.values())[-2]
