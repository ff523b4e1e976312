"""Optimal values in rational arithmetic, by trying every policy: for models of a few states.

Every float is a rational number, so this is the truth of the model as it is stored, free of any
rounding: what a bound that claims 1e-13 can be held to.
"""

from fractions import Fraction
from itertools import product

import numpy as np


def solve_rationally(matrix, right):
    """Gaussian elimination without rounding; None where the matrix is singular."""
    size = len(right)
    rows = [[*matrix[i], right[i]] for i in range(size)]
    for column in range(size):
        pivot = next((i for i in range(column, size) if rows[i][column] != 0), None)
        if pivot is None:
            return None
        rows[column], rows[pivot] = rows[pivot], rows[column]
        scale = rows[column][column]
        rows[column] = [value / scale for value in rows[column]]
        for i in range(size):
            if i != column and rows[i][column] != 0:
                factor = rows[i][column]
                rows[i] = [a - factor * b for a, b in zip(rows[i], rows[column], strict=True)]
    return [row[-1] for row in rows]


def policy_values(mdp, policy, discount):
    """The exact values of one policy as fractions."""
    size = mdp.num_states
    matrix = [[Fraction(int(i == j)) for j in range(size)] for i in range(size)]
    right = [Fraction(0)] * size
    for state in range(size):
        for probability, ahead, reward, terminated in mdp.outcomes(state, int(policy[state])):
            right[state] += Fraction(probability) * Fraction(reward)
            if not terminated:
                matrix[state][ahead] -= Fraction(discount) * Fraction(probability)
    return solve_rationally(matrix, right)


def optimal_values(mdp, discount):
    """The exact optimal values as fractions: the best of all policies in every state."""
    choices = [np.flatnonzero(row) for row in mdp.allowed]
    best = None
    for policy in product(*choices):
        values = policy_values(mdp, policy, discount)
        if values is not None:
            best = (
                values if best is None else [max(a, b) for a, b in zip(best, values, strict=True)]
            )
    return best


def largest_error(values, truth):
    """The largest distance of floats from fractions, rounded up to a float."""
    error = max(abs(Fraction(float(a)) - b) for a, b in zip(values, truth, strict=True))
    nearest = float(error)
    return nearest if Fraction(nearest) >= error else float(np.nextafter(nearest, np.inf))
