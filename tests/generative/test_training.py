"""Training: closed forms, the same bytes after a cut, several processes, and what is refused."""

import copy
import dataclasses
import os
import signal
import socket
import subprocess
import sys
import textwrap
from contextlib import suppress

import numpy as np
import pytest
import torch
from gymagine.generative.data.dataset import Dataset, Events
from gymagine.generative.data.preparation import Dequantisation, Scaling
from gymagine.generative.diffusion.edm import EDM
from gymagine.generative.generator import AbstractGenerator
from gymagine.generative.trainable import (
    AbstractAdjusted,
    AbstractGame,
    AbstractInitialised,
    AbstractPhased,
    AbstractSettled,
    Phase,
)
from gymagine.generative.training import fit
from torch import nn

from .examples import Coins, Gaussian


def normals(num, mean=3.0, sigma=2.0, seed=0):
    return mean + sigma * torch.randn(num, 2, generator=torch.Generator().manual_seed(seed))


def test_the_maximum_of_the_likelihood_is_found():
    x = normals(1_000)
    gaussian = Gaussian()
    result = fit(gaussian, x, num_updates=600, learning_rate=0.05, step_sizes="cosine")
    torch.testing.assert_close(gaussian.mean, x.mean(dim=0), atol=0.1, rtol=0)
    torch.testing.assert_close(gaussian.log_sigma.exp(), x.std(dim=0), atol=0.1, rtol=0)
    assert result.num_updates == 600
    entropy = 1 + torch.log(2 * torch.pi * x.var(dim=0)).sum() / 2
    assert result.losses["loss"] == pytest.approx(float(entropy), abs=0.2)
    assert not gaussian.training


def test_a_context_is_learnt():
    context = torch.randn(500, 3, generator=torch.Generator().manual_seed(0))
    weight = torch.tensor([[1.0, 0.0], [0.0, 2.0], [-1.0, 1.0]])
    gaussian = Gaussian(context_shape=(3,))
    data = Dataset(Events(context @ weight + 0.1 * normals(500, 0, 1), context))
    fit(gaussian, data, num_updates=800, learning_rate=0.02)
    torch.testing.assert_close(gaussian.by_context.weight.T, weight, atol=0.05, rtol=0)


class Pair(AbstractGenerator, AbstractPhased, AbstractAdjusted, AbstractInitialised):
    """Everything that training can be asked for, with noise and dropout in it."""

    def __init__(self):
        super().__init__((2,))
        self.critic, self.maker = nn.Linear(2, 1), nn.Linear(2, 2)
        self.dropout = nn.Dropout(0.2)
        self.register_buffer("seen", torch.zeros(2))
        self.register_buffer("start", torch.zeros(2))

    def phases(self):
        return [
            Phase("critic", self._critic_loss, list(self.critic.parameters()), updates=2),
            Phase("maker", self._loss, list(self.maker.parameters())),
        ]

    def initialise(self, x, context):
        self.start.copy_(x.mean(dim=0))

    def adjust(self, x, context, rng):
        self.seen.lerp_(x.mean(dim=0) + 0.1 * torch.randn(2, generator=rng), 0.1)

    def _made(self, num, rng):
        return self.dropout(self.maker(torch.randn(num, 2, generator=rng))) + self.start

    def _critic_loss(self, x, context, rng):
        fake = self.critic(self._made(len(x), rng).detach())[:, 0]
        return (fake - 1) ** 2 + (self.critic(x)[:, 0] + 1) ** 2

    def _loss(self, x, context, rng):
        return (self.critic(self._made(len(x), rng))[:, 0] + 1) ** 2

    def _sample(self, num, context, temperature, rng):
        return self._made(num, rng)


class Paced(Gaussian, AbstractPhased):
    """Its two parameters learn in turns of different length and step size."""

    def __init__(self, factor=0.25):
        super().__init__()
        self.factor = factor

    def phases(self):
        return [
            Phase("mean", self._loss, [self.mean], updates=3, step_factor=self.factor),
            Phase("sigma", self._loss, [self.log_sigma]),
        ]


class Game(Paced, AbstractGame):
    pass


class Settled(Gaussian, AbstractSettled):
    """Keeps what its mean was when it was last evaluated, and how many events it then saw."""

    def __init__(self):
        super().__init__()
        self.register_buffer("settled", torch.zeros(2))
        self.register_buffer("noise", torch.zeros(1))
        self.register_buffer("num_seen", torch.zeros((), dtype=torch.int64))

    def settle(self, x, context, rng):
        self.settled.copy_(self.mean)
        self.noise.copy_(torch.randn(1, generator=rng))
        self.num_seen.fill_(len(x))


class CutError(Exception):
    pass


class CutAt:
    """A watcher that ends training like a killed process does: at once."""

    def __init__(self, update):
        self.update = update

    def logged(self, update, scalars):
        if update >= self.update:
            raise CutError

    def evaluated(self, update, generator):
        pass


CUTS = {
    "plain": (Gaussian, {}),
    "averaged": (Gaussian, {"average_decay": 0.9, "step_sizes": "cosine", "warm_up": 5}),
    "patient": (Gaussian, {"patience": 2, "evaluation_interval": 4, "learning_rate": 0.3}),
    "clipped": (Gaussian, {"max_grad_norm": 0.1, "weight_decay": 0.1, "step_sizes": "linear"}),
    "phases": (Pair, {"average_decay": 0.9}),
    "paces": (Paced, {"step_sizes": "cosine"}),
    "settled": (Settled, {"evaluation_interval": 4}),
    "settled averages": (Settled, {"evaluation_interval": 4, "average_decay": 0.9}),
}


def noisy(x, rng):
    return x + 0.01 * torch.randn(x.shape, generator=rng)


@pytest.mark.parametrize("name", CUTS)
def test_cut_and_gone_on_leaves_the_same_bytes(name, tmp_path):
    make, settings = CUTS[name]
    data = Dataset(Events(normals(100)), held_out=Events(normals(30, seed=1)), prepare=noisy)
    settings = {"num_updates": 60, "batch_size": 16, "log_interval": 3} | settings
    torch.manual_seed(7)
    first = make()
    start = copy.deepcopy(first.state_dict())
    whole = fit(first, data, checkpoint=tmp_path / "whole", checkpoint_interval=7, **settings)
    for cut in (5, 20, 45):
        second = make()
        second.load_state_dict(start)
        # one that is patient may end before the last cut
        with suppress(CutError) if name == "patient" else pytest.raises(CutError):
            fit(
                second,
                data,
                watcher=CutAt(cut),
                checkpoint=tmp_path / "cut",
                checkpoint_interval=7,
                **settings,
            )
    third = make()  # nothing but the file is left
    third.load_state_dict(start)
    resumed = fit(third, data, checkpoint=tmp_path / "cut", checkpoint_interval=7, **settings)
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "cut").read_bytes()
    for key, value in first.state_dict().items():
        assert torch.equal(value, third.state_dict()[key]), key
    assert (whole.losses, whole.held_out_loss) == (resumed.losses, resumed.held_out_loss)
    assert (whole.best_update, whole.stopped_early) == (
        resumed.best_update,
        resumed.stopped_early,
    )


def test_what_is_there_is_not_trained_again(tmp_path):
    path, x = tmp_path / "file", normals(50)
    gaussian = Gaussian()
    fit(gaussian, x, num_updates=20, checkpoint=path)
    again = Gaussian()
    result = fit(again, x, num_updates=20, checkpoint=path)
    assert torch.equal(again.mean, gaussian.mean)
    assert result.num_updates == 20


def test_another_seed_is_another_order():
    means = []
    for seed in (0, 0, 1):
        gaussian = Gaussian()
        fit(gaussian, normals(100), seed=seed, num_updates=30, batch_size=8)
        means.append(gaussian.mean.detach())
    assert torch.equal(means[0], means[1])
    assert not torch.equal(means[0], means[2])


def test_the_callers_noise_is_as_it_was():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    fit(Pair(), normals(50), num_updates=3)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    fit(Gaussian(), normals(50), num_updates=3)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(torch.rand(2), expected)


def test_the_best_is_kept():
    """Held-out events from elsewhere are fitted best on the way to the others."""
    data = Dataset(Events(normals(200, mean=6, sigma=1)), held_out=Events(normals(200, 3, 1)))
    gaussian = Gaussian()
    gaussian.log_sigma.requires_grad_(False)
    result = fit(
        gaussian,
        data,
        num_updates=2_000,
        learning_rate=0.05,
        patience=3,
        evaluation_interval=5,
    )
    assert result.stopped_early
    assert result.best_update == result.num_updates - 15
    assert float(gaussian.mean.mean()) == pytest.approx(3, abs=0.7)
    held_out = float(gaussian.loss(data.held_out.x).mean())
    assert result.held_out_loss == pytest.approx(held_out, rel=1e-5)


def test_averages_are_what_is_left():
    decay, steps, means = 0.8, 12, []
    for num in range(1, steps + 1):
        gaussian = Gaussian()
        fit(gaussian, normals(64), num_updates=num, batch_size=64, learning_rate=0.1)
        means.append(gaussian.mean.detach().clone())
    averaged = Gaussian()
    fit(
        averaged,
        normals(64),
        num_updates=steps,
        batch_size=64,
        learning_rate=0.1,
        average_decay=decay,
    )
    expected = means[0]  # the first average is the first parameters
    for mean in means[1:]:
        expected = decay * expected + (1 - decay) * mean
    torch.testing.assert_close(averaged.mean.detach(), expected)


def test_steps_of_phases():
    """Adam's first steps are as long as the learning rate, whatever the gradient."""
    paced = Paced(0.25)
    fit(paced, normals(64), num_updates=1, batch_size=64, learning_rate=0.01)
    steps = [float(p.detach().abs().mean()) for p in (paced.mean, paced.log_sigma)]
    assert steps == pytest.approx([3 * 0.25 * 0.01, 0.01], rel=1e-3)


def test_mistaken_phases(tmp_path):
    for factor in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="expected a positive step_factor of mean, got"):
            Paced(factor).phases()
    settings = {"num_updates": 4, "checkpoint": tmp_path / "file"}
    fit(Paced(0.5), normals(20), **settings)
    with pytest.raises(ValueError, match=r"expected phases of \[\['mean', 3, 0.5\], \['sigma'"):
        fit(Paced(0.25), normals(20), **settings)


def test_games_have_no_patience():
    with pytest.raises(ValueError, match=r"expected no patience for a Game.*opponent.*got 3"):
        fit(Game(), normals(20), patience=3)
    data = Dataset(Events(normals(20)), held_out=Events(normals(10)))
    result = fit(Game(), data, num_updates=2)
    assert result.held_out_loss is not None
    assert result.best_update is None


@pytest.mark.parametrize("decay", [None, 0.8])
def test_statistics_are_those_of_what_is_left(decay):
    generator = Settled()
    fit(generator, normals(1_500), num_updates=5, learning_rate=0.1, average_decay=decay)
    assert torch.equal(generator.settled, generator.mean.detach())
    assert int(generator.num_seen) == 1_000
    again = Settled()
    fit(again, normals(1_500), num_updates=5, learning_rate=0.1, average_decay=decay)
    assert torch.equal(again.noise, generator.noise)
    assert float(generator.noise) != 0


class Told:
    def __init__(self):
        self.scalars, self.seen = [], []

    def logged(self, update, scalars):
        self.scalars.append((update, dict(scalars)))

    def evaluated(self, update, generator):
        self.seen.append((update, generator.training))


def test_a_watcher_is_told():
    watcher = Told()
    data = Dataset(Events(normals(40)), held_out=Events(normals(10)))
    fit(Pair(), data, watcher=watcher, num_updates=10, log_interval=4, evaluation_interval=5)
    assert [update for update, _ in watcher.scalars] == [4, 5, 8, 10, 10]
    assert set(watcher.scalars[0][1]) == {
        "train/critic",
        "train/maker",
        "train/learning_rate",
    }
    assert set(watcher.scalars[1][1]) == {"eval/loss"}
    assert watcher.seen == [(5, False), (10, False)]


def test_mixed_precision_learns_the_same_roughly():
    found = []
    for mixed in (False, True):
        gaussian = Gaussian(context_shape=(3,))
        context = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
        data = Dataset(Events(context[:, :2], context))
        torch.manual_seed(0)
        gaussian.by_context.reset_parameters()
        fit(gaussian, data, num_updates=100, learning_rate=0.02, mixed_precision=mixed)
        found.append(gaussian.by_context.weight.detach())
    assert found[1].dtype == torch.float32
    torch.testing.assert_close(*found, atol=0.05, rtol=0)
    assert not torch.equal(*found)


@pytest.mark.slow
def test_compiled_is_the_same(without_shape_checks):
    found = []
    for compiled in (False, True):
        torch.manual_seed(0)
        pair = Pair()
        pair.dropout.p = 0.0
        fit(pair, normals(64), num_updates=5, compile=compiled)
        found.append(pair.critic.weight.detach())
    torch.testing.assert_close(*found, atol=0.05, rtol=0)  # the noise is another
    gaussians = [Gaussian(), Gaussian()]
    for compiled, gaussian in enumerate(gaussians):
        fit(gaussian, normals(64), num_updates=20, compile=bool(compiled))
    torch.testing.assert_close(gaussians[0].mean, gaussians[1].mean)


class Exploding(Gaussian):
    def _loss(self, x, context, rng):
        return (x * self.mean * self.log_sigma).sum(dim=1) * torch.inf


@pytest.mark.parametrize(
    ("generator", "data", "settings", "message"),
    [
        (Gaussian(), torch.full((5, 2), torch.nan), {}, "expected finite numbers"),
        (Gaussian(), torch.zeros(5, 3), {}, r"expected events of shape \(B, 2\), got \(5, 3\)"),
        (Coins(2), torch.full((5, 2), 0.5), {}, r"in its support, Boolean.*got 0.5 at \(0, 0\)"),
        (Gaussian(context_shape=(3,)), torch.zeros(5, 2), {}, "expected a context of shape"),
        (Gaussian(), torch.zeros(5, 2), {"num_updates": 0}, "expected num_updates"),
        (Gaussian(), torch.zeros(5, 2), {"warm_up": 2_000}, "warm_up of fewer than 2000"),
        (Gaussian(), torch.zeros(5, 2), {"num_threads": 0}, "expected num_threads"),
        (Gaussian(), torch.zeros(5, 2), {"device": "cuda:9"}, "expected a device that is there"),
        (Gaussian(), torch.zeros(5, 2).long(), {}, "expected floating-point.*got torch.int64"),
        (Gaussian(), torch.zeros(5, 2), {"seed": -1}, "expected a seed of at least 0"),
        (Gaussian(), torch.zeros(5, 2), {"checkpoint_interval": 0}, "between checkpoints, got 0"),
        (Gaussian(), torch.zeros(5, 2), {"patience": 3}, "held-out events for a patience of 3"),
        (Exploding(), torch.zeros(5, 2), {}, "expected finite losses, got .*learning rate"),
    ],
)
def test_mistakes(generator, data, settings, message):
    with pytest.raises(ValueError, match=message):
        fit(generator, data, **settings)


def test_mistaken_data():
    with pytest.raises(ValueError, match="expected at least one event"):
        Events(torch.zeros(0, 2))
    with pytest.raises(ValueError, match="a context for each of 3 events"):
        Events(torch.zeros(3, 2), torch.zeros(2, 1))
    with pytest.raises(ValueError, match="expected held-out events and contexts of shapes"):
        Dataset(Events(torch.zeros(3, 2)), held_out=Events(torch.zeros(3, 1)))
    data = Dataset(Events(torch.zeros(3, 2), torch.full((3, 3), torch.nan)))
    with pytest.raises(ValueError, match="expected finite contexts"):
        fit(Gaussian(context_shape=(3,)), data)
    data = Dataset(Events(torch.zeros(3, 2), torch.zeros(3, 3, dtype=torch.float64)))
    with pytest.raises(ValueError, match=r"contexts of torch.float32.*got torch.float64"):
        fit(Gaussian(context_shape=(3,)), data)
    with pytest.raises(TypeError, match="FitSettings has no hyper-parameter 'epochs'"):
        fit(Gaussian(), torch.zeros(3, 2), epochs=3)


def test_mistaken_types(without_shape_checks):
    with pytest.raises(TypeError, match="expected a Dataset or a Tensor to fit to, got ndarray"):
        fit(Gaussian(), np.zeros((3, 2)))
    with pytest.raises(TypeError, match="expected an AbstractGenerator to fit, got Linear"):
        fit(torch.nn.Linear(2, 2), torch.zeros(3, 2))
    with pytest.raises(TypeError, match=r"expected seed as an integer, got 1\.5"):
        fit(Gaussian(), torch.zeros(3, 2), seed=1.5)


def test_files_that_do_not_fit(tmp_path):
    path, x = tmp_path / "file", normals(50)
    fit(Gaussian(), x, num_updates=10, checkpoint=path)
    for settings, message in (
        ({"learning_rate": 0.1}, "expected learning_rate of 0.001, with which"),
        ({"seed": 1}, "expected seed of 0"),
    ):
        with pytest.raises(ValueError, match=message):
            fit(Gaussian(), x, checkpoint=path, **{"num_updates": 10, **settings})
    with pytest.raises(ValueError, match="expected data of"):
        fit(Gaussian(), x + 1, num_updates=10, checkpoint=path)
    with pytest.raises(
        ValueError, match=r"expected data of '50 events of shape \(2,\) .*got '25 ev"
    ):
        fit(Gaussian(), x[:25], num_updates=10, checkpoint=path)
    with pytest.raises(ValueError, match="expected generator of 'Gaussian'"):
        fit(Pair(), x, num_updates=10, checkpoint=path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match="damaged"):
        fit(Gaussian(), x, num_updates=10, checkpoint=path)


def doubled(x, rng):
    return 2 * x


def test_held_out_events_and_preparations_that_do_not_fit(tmp_path):
    """They decide what is kept, and what is learnt: going on with others would mix two runs."""
    path, x = tmp_path / "file", Events(normals(50).round().clamp(0, 16))
    other = Events(x.x + 1)
    made = Dataset(x, held_out=x, prepare=Scaling(17))

    def go_on(data):
        return fit(Gaussian(), data, num_updates=4, checkpoint=path)

    go_on(made)
    go_on(Dataset(Events(x.x.clone()), held_out=x, prepare=Scaling(17)))  # what is equal goes on
    for data, message in (
        (Dataset(x, held_out=other, prepare=Scaling(17)), "expected held-out data of '50 events"),
        (Dataset(x, prepare=Scaling(17)), r"expected held-out data of '50 events .* got 'none'"),
        (Dataset(x, x, prepare=Scaling(17, low=-1.0)), r"low=0.0.* got .*Scaling\(.*low=-1.0"),
        (Dataset(x, x, prepare=Dequantisation(17)), r"expected preparation of data of .*Dequant"),
        (Dataset(x, x, prepare=doubled), r"preparation of data .* got '.*test_training.doubled'"),
        (Dataset(x, x), "preparation of data .* got 'None'"),
    ):
        with pytest.raises(ValueError, match=message):
            go_on(data)
    data = Dataset(x, x, None, Scaling(17))
    assert go_on(dataclasses.replace(data, test=other)).num_updates == 4  # nothing comes of those


def test_hyperparameters_that_do_not_fit(tmp_path):
    """Those of a family, which need not show in any shape; a tuple is the same after a file."""
    path, x = tmp_path / "file", normals(50)
    settings = {"num_updates": 4, "checkpoint": path}
    fit(EDM((2,), hidden_sizes=(8,), noise_mean=-1.0), x, **settings)
    fit(EDM((2,), hidden_sizes=(8,), noise_mean=-1.0), x, **settings)
    with pytest.raises(ValueError, match=r"noise_mean of -1.0, .*got -0.5: .*hyperparameters"):
        fit(EDM((2,), hidden_sizes=(8,)), x, **settings)


def test_a_loss_that_is_not_finite_leaves_the_last_good_file(tmp_path):
    path = tmp_path / "file"
    x = normals(50)
    with pytest.raises(ValueError, match="expected finite losses"):
        fit(
            Gaussian(),
            x * 1e18,
            num_updates=500,
            learning_rate=1e3,
            checkpoint=path,
            checkpoint_interval=1,
        )
    if path.exists():
        from gymagine.storage import read_arrays

        arrays, _ = read_arrays(path, expected_format="gymagine-fit-1")
        assert all(np.isfinite(array).all() for array in arrays.values())


class Root(Gaussian):
    """Without a slope where an event is the mean."""

    def _loss(self, x, context, rng):
        return (x - self.mean).abs().sqrt().sum(dim=1) + self.log_sigma.square().sum()


def test_a_gradient_that_is_not_finite_is_seen_although_losses_are(tmp_path):
    path = tmp_path / "file"
    with pytest.raises(
        ValueError, match=r"expected finite parameters, got NaN .* in mean after 1"
    ):
        fit(Root(), torch.zeros(5, 2), num_updates=1, checkpoint=path)
    assert not path.exists()


class Blinking(Gaussian):
    """The second evaluation finds no number."""

    num_evaluations = 0

    def _loss(self, x, context, rng):
        loss = super()._loss(x, context, rng)
        if not self.training:
            self.num_evaluations += 1
        return loss * torch.nan if self.num_evaluations == 2 and not self.training else loss


def test_no_number_is_no_better_loss():
    """The best, at the first evaluation, is not forgotten for it."""
    data = Dataset(Events(normals(50, mean=6)), held_out=Events(normals(50, mean=0)))
    gaussian = Blinking()
    gaussian.log_sigma.requires_grad_(False)
    result = fit(
        gaussian, data, num_updates=20, evaluation_interval=2, learning_rate=0.1, patience=4
    )
    assert (result.best_update, result.num_updates) == (2, 10)


# ---- processes ----------------------------------------------------------------------------------

SCRIPT = textwrap.dedent(
    """
    import os, sys
    sys.path.insert(0, sys.argv[1])
    import torch, torch.distributed as dist
    torch.set_num_threads(1)
    from gymagine.generative.training import fit
    from gymagine.generative.module_state import save_state
    from examples import Gaussian
    if "WORLD_SIZE" in os.environ:
        dist.init_process_group("gloo")
    x = 3 + 2 * torch.randn(64, 2, generator=torch.Generator().manual_seed(0))
    losses = []
    class Watcher:
        def logged(self, update, scalars):
            losses.append(scalars["train/loss"])
        def evaluated(self, update, generator):
            pass
    gaussian = Gaussian()
    with torch.no_grad():  # processes that start apart
        gaussian.mean += float(os.environ.get("RANK", 0))
    fit(gaussian, x, num_updates=int(sys.argv[3]), batch_size=16, learning_rate=0.05,
        log_interval=1, max_grad_norm=1.0, watcher=Watcher(), checkpoint=sys.argv[2] + ".fit",
        checkpoint_interval=1)
    if int(os.environ.get("RANK", 0)) == 0:
        save_state(gaussian, sys.argv[2])
        print(*losses)
    if dist.is_initialized():
        dist.destroy_process_group()
    """
)


def started(folder, path, num_updates, **environment):
    here = os.path.dirname(__file__)
    script = folder / "script.py"
    script.write_text(SCRIPT)
    return subprocess.Popen(
        [sys.executable, script, here, path, str(num_updates)],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_two_processes_are_one(tmp_path):
    alone = started(tmp_path, tmp_path / "alone", 40)
    expected = [float(loss) for loss in alone.communicate(timeout=120)[0].split()]
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = str(free.getsockname()[1])
    place = {"WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": port}
    both = [started(tmp_path, tmp_path / "both", 40, RANK=str(i), **place) for i in range(2)]
    outputs = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    found = [float(loss) for loss in outputs[0].split()]
    assert len(found) == 40
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.slow
def test_killed_at_any_moment(tmp_path):
    whole = started(tmp_path, tmp_path / "whole", 300)
    assert whole.wait(120) == 0
    rng = np.random.default_rng(0)
    for _ in range(4):
        process = started(tmp_path, tmp_path / "killed", 300)
        try:
            process.wait(float(rng.uniform(3, 8)))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
    assert started(tmp_path, tmp_path / "killed", 300).wait(120) == 0
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "killed").read_bytes()
    whole_file, killed_file = (tmp_path / f"{name}.fit" for name in ("whole", "killed"))
    assert whole_file.read_bytes() == killed_file.read_bytes()
