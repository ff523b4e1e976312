"""A population's optimiser is torch's Adam, member by member."""

import subprocess
import sys

import pytest
import torch
from gymagine.agents.deep.adam import adam_step, clip_by_member, new_adam_state

RATES = [1e-3, 0.1, 3e-4]
SHAPES = [(4, 5), (1, 5), (5, 2, 3)]


def gradients_of(step, dtype=torch.float64):
    generator = torch.Generator().manual_seed(step)
    scales = 10.0 ** (step % 5 - 2)
    return [torch.randn(3, *shape, generator=generator, dtype=dtype) * scales for shape in SHAPES]


@pytest.mark.parametrize(
    ("dtype", "rtol", "atol"),
    [(torch.float64, 1e-9, 1e-12), (torch.float32, 1e-4, 1e-6)],  # as tensors, and compiled
)
def test_every_member_is_torchs_adam(dtype, rtol, atol):
    generator = torch.Generator().manual_seed(99)
    values = [torch.randn(3, *s, generator=generator, dtype=dtype) for s in SHAPES]
    peers = [[value[i].clone().requires_grad_() for value in values] for i in range(3)]
    optimisers = [
        torch.optim.Adam(own, lr=rate, eps=1e-5) for own, rate in zip(peers, RATES, strict=True)
    ]
    state = new_adam_state(values)
    rates = torch.tensor(RATES, dtype=dtype)
    for step in range(50):
        gradients = gradients_of(step, dtype)
        adam_step(values, gradients, state, rates, epsilon=1e-5)
        for i, optimiser in enumerate(optimisers):
            for parameter, gradient in zip(peers[i], gradients, strict=True):
                parameter.grad = gradient[i].clone()
            optimiser.step()
    for i, own in enumerate(peers):
        for value, parameter in zip(values, own, strict=True):
            torch.testing.assert_close(value[i], parameter.detach(), rtol=rtol, atol=atol)


@pytest.mark.parametrize("max_norm", [0.5, 10.0, 1e6])
def test_every_member_is_clipped_as_torch_clips(max_norm):
    gradients = gradients_of(2)
    clipped, norms = clip_by_member(gradients, max_norm)
    for i in range(3):
        own = [torch.zeros(shape).double().requires_grad_() for shape in SHAPES]
        for parameter, gradient in zip(own, gradients, strict=True):
            parameter.grad = gradient[i].clone()
        norm = torch.nn.utils.clip_grad_norm_(own, max_norm)
        assert norms[i].item() == pytest.approx(norm.item())
        for parameter, gradient in zip(own, clipped, strict=True):
            torch.testing.assert_close(gradient[i], parameter.grad)


@pytest.mark.parametrize("max_norm", [0.5, 10.0, 1e6])
@pytest.mark.parametrize("compiled_code", [True, False])
def test_a_step_clips_what_it_is_given(max_norm, compiled_code):
    shape, dtype = (3, 103), torch.float32 if compiled_code else torch.float64
    one, other = torch.zeros(2, *shape, dtype=dtype)
    states = [new_adam_state([value]) for value in (one, other)]
    rates = torch.tensor(RATES, dtype=dtype)
    for step in range(4):
        generator = torch.Generator().manual_seed(step)
        gradient = torch.randn(shape, generator=generator, dtype=dtype) * 10.0 ** (step - 2)
        clipped, _ = clip_by_member([gradient], max_norm)
        adam_step([one], clipped, states[0], rates)
        adam_step([other], [gradient], states[1], rates, max_norm=max_norm)
    torch.testing.assert_close(one, other)


def test_members_do_not_touch_each_other():
    """A member whose gradient is not a number spoils itself alone."""
    values = [torch.zeros(3, *shape) for shape in SHAPES]
    gradients = gradients_of(1, torch.float32)
    gradients[0][1, 2, 2] = float("nan")
    clipped, _ = clip_by_member(gradients, 1.0)
    adam_step(values, clipped, new_adam_state(values), torch.tensor(RATES))
    for value in values:
        assert value[[0, 2]].isfinite().all()
        assert value[1].isnan().all()


COMPILED = """
import torch
from gymagine.agents.deep.adam import adam_step, new_adam_state

values = [torch.zeros(3, 4, 5), torch.zeros(3, 1, 5)]
others = [value.clone() for value in values]
state, other_state = new_adam_state(values), new_adam_state(others)
compiled = torch.compile(adam_step, fullgraph=True)
for step in range(3):
    generator = torch.Generator().manual_seed(step)
    gradients = [torch.randn(value.shape, generator=generator) for value in values]
    adam_step(values, gradients, state, torch.tensor([1e-3, 0.1, 3e-4]))
    compiled(others, gradients, other_state, torch.tensor([1e-3, 0.1, 3e-4]))
for value, other in zip(values, others, strict=True):
    torch.testing.assert_close(value, other, rtol=1e-5, atol=1e-7)
"""


@pytest.mark.slow  # it compiles
def test_it_compiles_into_one_graph():
    # in a process of its own: the shape checks of the tests cannot be traced
    subprocess.run([sys.executable, "-c", COMPILED], check=True)
