"""Layers of a population compute, and start, as PyTorch's own do for each member."""

import math

import numpy as np
import pytest
import torch
from gymagine.agents.deep.layers import (
    MemberConv2d,
    MemberLinear,
    MemberMLP,
    NoisyMemberLinear,
    activation_function,
    layer_noise,
    orthogonal_matrix,
)
from scipy import stats
from torch import nn


def generators(*seeds):
    return [np.random.default_rng(seed) for seed in seeds]


def normals(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape)).float()


LAYERS = {
    "linear": lambda rngs: MemberLinear(7, 5, rngs=rngs),
    "orthogonal linear": lambda rngs: MemberLinear(7, 5, rngs=rngs, gain=2.0),
    "noisy": lambda rngs: NoisyMemberLinear(7, 5, rngs=rngs),
    "convolution": lambda rngs: MemberConv2d(3, 4, kernel_size=3, rngs=rngs),
    "orthogonal convolution": lambda rngs: MemberConv2d(3, 4, kernel_size=2, rngs=rngs, gain=1.0),
}


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_a_member_starts_as_it_would_alone(layer):
    five, alone = layer(generators(0, 1, 2, 3, 4)), layer(generators(3))
    for one, many in zip(alone.parameters(), five.parameters(), strict=True):
        assert torch.equal(one[0], many[3])
        assert one.dtype == torch.float32
    varied = [p for name, p in five.named_parameters() if name == "weight"]
    assert all(len({p[i].sum().item() for i in range(5)}) == 5 for p in varied)


def test_linear_is_torchs_for_each_member():
    layer, x = MemberLinear(7, 5, rngs=generators(0, 1, 2)), normals(3, 11, 7)
    for i in range(3):
        own = nn.Linear(7, 5)
        own.load_state_dict({"weight": layer.weight[i].T, "bias": layer.bias[i, 0]})
        torch.testing.assert_close(layer(x)[i], own(x[i]))


@pytest.mark.parametrize("members", [1, 4])
@pytest.mark.parametrize("stride", [1, 3])
def test_convolution_is_torchs_for_each_member(members, stride):
    layer = MemberConv2d(3, 6, kernel_size=4, stride=stride, rngs=generators(*range(members)))
    x = normals(members, 5, 3, 13, 10)
    for i in range(members):
        own = nn.Conv2d(3, 6, 4, stride)
        own.load_state_dict({"weight": layer.weight[i], "bias": layer.bias[i]})
        torch.testing.assert_close(layer(x)[i], own(x[i]), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("layer", "inputs"),
    [
        (lambda rngs: MemberLinear(50, 400, rngs=rngs), 50),
        (lambda rngs: NoisyMemberLinear(50, 400, rngs=rngs), 50),
        (lambda rngs: MemberConv2d(4, 400, kernel_size=5, rngs=rngs), 100),
    ],
)
def test_the_first_distribution_is_torchs(layer, inputs):
    """Uniform within one over the root of the inputs, of each member on its own."""
    built = layer(generators(0, 1))
    width = 2 / math.sqrt(inputs)
    uniform = stats.uniform(-width / 2, width)
    for member in range(2):
        for p in (built.weight, built.bias):
            draws = p[member].detach().double().numpy().ravel()
            assert stats.kstest(draws, uniform.cdf).pvalue > 1e-3
    with torch.random.fork_rng():
        torch.manual_seed(0)
        own = nn.Linear(inputs, 400)
    assert max(own.weight.abs().max(), built.weight.abs().max()) <= width / 2
    same = stats.ks_2samp(built.weight[0].detach().ravel(), own.weight.detach().ravel())
    assert same.pvalue > 1e-3


@pytest.mark.parametrize(("rows", "columns"), [(6, 3), (3, 6), (4, 4)])
def test_orthogonal_matrices_are_orthonormal(rows, columns):
    q = orthogonal_matrix(np.random.default_rng(1), rows, columns)
    gram = q @ q.T if rows < columns else q.T @ q
    np.testing.assert_allclose(gram, np.eye(min(rows, columns)), atol=1e-12)


@pytest.fixture
def one_thread():
    """Small matrices take a thousand times longer where two threads wait for one another."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_orthogonal_matrices_are_uniform(one_thread):
    """Haar's measure: in the plane the angle of a column is uniform, and both signs are as likely.

    One number of an n x n matrix, squared, follows a beta distribution with 1/2 and (n - 1)/2.
    """
    rng = np.random.default_rng(2)
    plane = [orthogonal_matrix(rng, 2, 2) for _ in range(2000)]
    angles = [math.atan2(q[1, 0], q[0, 0]) for q in plane]
    assert stats.kstest(angles, stats.uniform(-math.pi, 2 * math.pi).cdf).pvalue > 1e-3
    assert stats.binomtest(sum(np.linalg.det(q) > 0 for q in plane), 2000).pvalue > 1e-3
    squares = [orthogonal_matrix(rng, 5, 5)[0, 0] ** 2 for _ in range(2000)]
    assert stats.kstest(squares, stats.beta(0.5, 2).cdf).pvalue > 1e-3


def test_gains_scale_orthogonal_weights_and_leave_no_biases():
    dense = MemberLinear(4, 9, rngs=generators(0, 1), gain=3.0)
    torch.testing.assert_close(
        dense.weight @ dense.weight.mT, 9 * torch.eye(4).expand(2, 4, 4), atol=1e-5, rtol=0
    )
    filters = MemberConv2d(8, 5, kernel_size=3, rngs=generators(0, 1), gain=0.5)
    flat = filters.weight.flatten(2)
    torch.testing.assert_close(
        flat @ flat.mT, 0.25 * torch.eye(5).expand(2, 5, 5), atol=1e-6, rtol=0
    )
    assert not dense.bias.any() and not filters.bias.any()


def test_noisy_layer_is_equation_nine_number_by_number():
    layer, x = NoisyMemberLinear(3, 2, rngs=generators(0, 1)), normals(2, 4, 3)
    with torch.no_grad():  # scales that differ
        for scale in (layer.weight_sigma, layer.bias_sigma):
            scale.copy_(normals(*scale.shape, seed=5))
    inputs, outputs = noise = normals(2, 3, seed=1), normals(2, 2, seed=2)

    def f(e):
        return math.copysign(math.sqrt(abs(e)), e)

    found = layer(x, noise)
    for m in range(2):
        for b in range(4):
            for j in range(2):
                e_j = f(outputs[m, j].item())
                y = layer.bias[m, 0, j] + layer.bias_sigma[m, 0, j] * e_j
                for i in range(3):
                    e_ij = f(inputs[m, i].item()) * e_j
                    w = layer.weight[m, i, j] + layer.weight_sigma[m, i, j] * e_ij
                    y = y + w * x[m, b, i]
                assert found[m, b, j].item() == pytest.approx(y.item(), abs=1e-5)


def test_noisy_scales_start_as_the_paper_says_and_no_noise_is_the_mean():
    layer = NoisyMemberLinear(16, 4, rngs=generators(0))
    assert {s.item() for s in layer.weight_sigma.unique()} == {0.5 / 4}
    assert {s.item() for s in layer.bias_sigma.unique()} == {0.5 / 4}
    x = normals(1, 6, 16)
    torch.testing.assert_close(layer(x), x @ layer.weight + layer.bias)
    silent = torch.zeros(1, 16), torch.zeros(1, 4)
    torch.testing.assert_close(layer(x, silent), layer(x))


def test_noise_has_the_moments_of_factorised_noise():
    """f(e)^2 = |e|: a weight's variance is sigma^2 (2 / pi), a bias's sigma^2 sqrt(2 / pi)."""
    members = 20_000
    layer = NoisyMemberLinear(1, 1, rngs=generators(0))
    with torch.no_grad():
        layer.weight.zero_(), layer.bias.zero_()
    many = {name: p.expand(members, 1, 1) for name, p in layer.named_parameters()}
    noise = layer_noise([(members, 1), (members, 1)], generators(*range(members)))

    def outputs(x):
        return torch.func.functional_call(layer, many, (x.expand(members, 1, 1), noise)).flatten()

    biases = outputs(torch.zeros(()))
    weights = outputs(torch.ones(())) - biases
    assert weights.var().item() == pytest.approx(0.25 * 2 / math.pi, rel=0.05)
    assert biases.var().item() == pytest.approx(0.25 * math.sqrt(2 / math.pi), rel=0.05)


def test_noise_is_each_members_own():
    shapes = [(3, 4), (3, 2)]
    first, second = layer_noise(shapes, generators(7, 8, 9))
    assert first.shape == (3, 4) and second.shape == (3, 2)
    alone = layer_noise([(1, 4), (1, 2)], generators(8))
    assert torch.equal(alone[0][0], first[1]) and torch.equal(alone[1][0], second[1])
    assert first.dtype == torch.float32
    drawn = layer_noise([(1, 5000)], generators(0))[0].double().numpy()
    assert stats.kstest(drawn.ravel(), "norm").pvalue > 1e-3


@pytest.mark.parametrize(
    ("name", "own"), [("relu", nn.ReLU()), ("tanh", nn.Tanh()), ("silu", nn.SiLU())]
)
@pytest.mark.parametrize("activate_last", [True, False])
def test_mlp_is_torchs_sequence(name, own, activate_last):
    sizes = (6, 5, 4, 3)
    mlp = MemberMLP(sizes, name, rngs=generators(0, 1), activate_last=activate_last)
    x = normals(2, 9, 6)
    for m in range(2):
        expected = x[m]
        for i, layer in enumerate(mlp.layers):
            expected = nn.functional.linear(expected, layer.weight[m].T, layer.bias[m, 0])
            expected = own(expected) if activate_last or i < 2 else expected
        torch.testing.assert_close(mlp(x)[m], expected)


def test_mlp_hands_each_layer_its_own_noise():
    mlp = MemberMLP((3, 4, 2), "tanh", rngs=generators(0, 1), activate_last=False, noisy=True)
    assert mlp.noise_shapes == ((2, 3), (2, 4), (2, 4), (2, 2))
    noise, x = layer_noise(mlp.noise_shapes, generators(5, 6)), normals(2, 8, 3)
    hidden = mlp.layers[0](x, noise[:2]).tanh()
    torch.testing.assert_close(mlp(x, noise), mlp.layers[1](hidden, noise[2:]))
    assert not torch.allclose(mlp(x, noise), mlp(x))


def test_mlp_without_layers_is_the_identity():
    mlp, x = MemberMLP((3,), "relu", rngs=generators(0), activate_last=True), normals(1, 2, 3)
    assert mlp(x) is x and not list(mlp.parameters()) and mlp.noise_shapes == ()


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_double_precision(layer):
    built = layer(generators(0, 1)).double()
    x = normals(2, 3, 3, 6, 6) if isinstance(built, MemberConv2d) else normals(2, 3, 7)
    assert built(x.double()).dtype == torch.float64
    torch.testing.assert_close(built(x.double()).float(), built.float()(x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: MemberLinear(3, 2, rngs=[]), "random generator for each member, got none"),
        (lambda: MemberLinear(0, 2, rngs=generators(0)), "in_features of at least 1, got 0"),
        (lambda: NoisyMemberLinear(2, -1, rngs=generators(0)), "out_features of at least 1"),
        (
            lambda: NoisyMemberLinear(2, 1, rngs=generators(0), initial_sigma=math.nan),
            "initial_sigma of at least 0, got nan",
        ),
        (lambda: MemberConv2d(3, 2, kernel_size=0, rngs=generators(0)), "kernel_size of at least"),
        (
            lambda: activation_function("sigmoid"),
            "activation among relu, tanh, silu, got 'sigmoid'",
        ),
        (
            lambda: MemberMLP(
                (2, 3), "relu", rngs=generators(0), activate_last=True, noisy=True, gain=1.0
            ),
            "without a gain",
        ),
    ],
)
def test_mistakes(build, message):
    with pytest.raises(ValueError, match=message):
        build()
