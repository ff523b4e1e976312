"""Steps against matrix exponentials, traces against their expectation, T17."""

import math

import pytest
import torch
from gymagine.generative.flows.ode import (
    exact_divergence,
    hutchinson_divergence,
    inverse_step,
    jacobians_of,
    log_det_by_trace,
    log_det_of,
    log_det_of_steps,
    random_signs,
    runge_kutta,
    runge_kutta_step,
)


def numbers(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


A = 0.7 * numbers(3, 3, seed=5)


def linear(t, x):
    return x @ A.T


def curved(t, x):
    return torch.tanh(x @ A.T) * math.cos(t) + x.flip(1).sin()


def test_a_linear_field_is_solved_by_the_matrix_exponential():
    x, time = numbers(4, 3), 1.5
    exact = x @ torch.matrix_exp(A * time).T
    errors = [
        float((runge_kutta(linear, x, 0.0, time, steps) - exact).abs().max()) for steps in (8, 16)
    ]
    assert errors[1] < 1e-4
    assert 12 < errors[0] / errors[1] < 20  # of fourth order: halving the step divides by 16


def test_a_step_of_a_linear_field_is_its_taylor_polynomial():
    x, h = numbers(4, 3), 0.3
    matrix = sum(torch.matrix_power(A * h, k) / math.factorial(k) for k in range(5))
    torch.testing.assert_close(runge_kutta_step(linear, x, 0.0, h), x @ matrix.T)
    _, log_det = log_det_of(lambda own: runge_kutta_step(linear, own, 0.0, h), x)
    torch.testing.assert_close(log_det, torch.linalg.slogdet(matrix).logabsdet.expand(4))


def test_time_is_passed_to_the_field():
    """dx/dt = 4 t^3 has the solution x + t^4, which the method finds exactly."""
    found = runge_kutta(lambda t, x: torch.full_like(x, 4 * t**3), numbers(2, 1), 1.0, 3.0, 2)
    torch.testing.assert_close(found, numbers(2, 1) + 80)


def test_the_volume_of_a_linear_field_changes_by_its_trace():
    def derivatives(t, state):
        velocity, trace = exact_divergence(lambda x: linear(t, x), state[:, :-1])
        return torch.cat([velocity, trace[:, None]], dim=1)

    state = torch.cat([numbers(4, 3), torch.zeros(4, 1).double()], dim=1)
    end = runge_kutta(derivatives, state, 0.0, 1.5, 4)[:, -1]
    torch.testing.assert_close(end, (1.5 * A.trace()).expand(4))
    exact = torch.linalg.slogdet(torch.matrix_exp(1.5 * A)).logabsdet
    torch.testing.assert_close(exact, 1.5 * A.trace())


def test_jacobians_are_autograds():
    x = numbers(4, 3)
    values, slopes = jacobians_of(lambda own: curved(0.3, own), x)
    torch.testing.assert_close(values, curved(0.3, x))
    for row in range(4):
        expected = torch.autograd.functional.jacobian(
            lambda own: curved(0.3, own[None])[0], x[row]
        )
        torch.testing.assert_close(slopes[row], expected)
    _, trace = exact_divergence(lambda own: curved(0.3, own), x)
    torch.testing.assert_close(trace, slopes.diagonal(dim1=1, dim2=2).sum(dim=1))


def test_hutchinsons_estimate_is_unbiased():
    """Over all signs, each as likely, the mean is the trace: no sampling error."""
    signs = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0]).double()] * 3)
    x = numbers(1, 3)
    _, trace = exact_divergence(lambda own: curved(0.3, own), x)
    values, estimates = hutchinson_divergence(lambda own: curved(0.3, own), x.repeat(8, 1), signs)
    torch.testing.assert_close(estimates.mean(), trace[0])
    assert float(estimates.std()) > 0.01
    torch.testing.assert_close(values, curved(0.3, x).expand(8, 3))


@pytest.mark.parametrize("num_corrections", [0, 1, 3])
def test_a_step_is_inverted(num_corrections):
    x = numbers(20, 3)
    y = runge_kutta_step(curved, x, 0.2, 0.1)
    back = inverse_step(curved, y, 0.2, 0.1, num_corrections=num_corrections)
    error = float((back - x).abs().max())
    assert error < 1e-5 * 0.3**num_corrections
    assert num_corrections or error > 1e-9  # a step back alone is no inverse


def test_log_dets_of_many_steps():
    """That of the steps is autograd's; that by the trace is of the flow that they follow."""
    x = numbers(4, 3)
    z, by_steps = log_det_of_steps(curved, x, 0.2, 1.0, 3)
    torch.testing.assert_close(z, runge_kutta(curved, x, 0.2, 1.0, 3))
    for row in range(4):
        slope = torch.autograd.functional.jacobian(
            lambda own: runge_kutta(curved, own[None], 0.2, 1.0, 3)[0], x[row]
        )
        torch.testing.assert_close(torch.linalg.slogdet(slope).logabsdet, by_steps[row])
    gaps = []
    for num_steps in (4, 8):
        place, by_steps = log_det_of_steps(curved, x, 0.2, 1.0, num_steps)
        same, by_trace = log_det_by_trace(curved, x, 0.2, 1.0, num_steps)
        torch.testing.assert_close(place, same)
        gaps.append(float((by_steps - by_trace).abs().max()))
    assert gaps[0] / gaps[1] > 10  # both err by the fourth power of the step
    probes = random_signs(x.repeat(2_000, 1), torch.Generator().manual_seed(0))
    assert set(probes.unique().tolist()) == {-1.0, 1.0}
    _, estimates = log_det_by_trace(curved, x.repeat(2_000, 1), 0.2, 1.0, 8, probes)
    estimates = estimates.view(2_000, 4)
    error = estimates.std(dim=0) / math.sqrt(2_000)
    assert ((estimates.mean(dim=0) - by_trace).abs() < 4 * error).all()
