"""Figures 4.1, 3.2 and 3.5 of Sutton and Barto (2018)."""

import numpy as np
from gymagine.envs.textbook.book_grids import book_grid_4x4, book_grid_5x5


def test_grid_4x4_under_the_random_policy(values_of, truths):
    values = values_of(book_grid_4x4(), np.full((16, 4), 0.25), 1.0)
    printed = [0, -14, -20, -22, -14, -18, -20, -20, -20, -20, -18, -14, -22, -20, -14, 0]
    np.testing.assert_allclose(values, printed, atol=1e-9)
    np.testing.assert_allclose(values, truths["grid_4x4_random"], atol=1e-9)


def test_grid_4x4_optimum_is_the_distance(optimal_values):
    values, _ = optimal_values(book_grid_4x4(), 1.0)
    rows, columns = np.divmod(np.arange(16), 4)
    distance = np.minimum(rows + columns, 6 - rows - columns)
    np.testing.assert_array_equal(values, -distance)


def test_grid_5x5_under_the_random_policy(values_of, truths):
    values = values_of(book_grid_5x5(), np.full((25, 4), 0.25), 0.9).reshape(5, 5)
    printed = [
        [3.3, 8.8, 4.4, 5.3, 1.5],
        [1.5, 3.0, 2.3, 1.9, 0.5],
        [0.1, 0.7, 0.7, 0.4, -0.4],
        [-1.0, -0.4, -0.4, -0.6, -1.2],
        [-1.9, -1.3, -1.2, -1.4, -2.0],
    ]
    np.testing.assert_allclose(values, printed, atol=0.05)
    np.testing.assert_allclose(values, truths["grid_5x5_random"], atol=1e-9)


def test_grid_5x5_optimum(optimal_values, truths):
    values, _ = optimal_values(book_grid_5x5(), 0.9)
    printed = [22.0, 24.4, 22.0, 19.4, 17.5]
    np.testing.assert_allclose(values[:5], printed, atol=0.05)
    np.testing.assert_allclose(values.reshape(5, 5), truths["grid_5x5_optimal"], atol=1e-9)
    # from A five steps pay 10 once: 10 / (1 - 0.9^5)
    np.testing.assert_allclose(values[1], 10 / (1 - 0.9**5), atol=1e-9)
