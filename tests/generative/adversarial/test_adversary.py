"""What all adversaries do: turns, rewards, averages, files, and what they refuse."""

import copy

import pytest
import torch
from gymagine.generative.adversarial.dcgan import DCGAN
from gymagine.generative.adversarial.gan import GAN
from gymagine.generative.adversarial.unrolled_gan import UnrolledGAN
from gymagine.generative.adversarial.wgan_gp import WGANGP
from gymagine.generative.data.dataset import Dataset, Events
from gymagine.generative.training import fit

torch.set_num_threads(1)

SMALL = {"hidden_sizes": (8,), "latent_size": 2}
FAMILIES = {
    "gan": (GAN, (1, 4, 4), SMALL | {"critic_steps": 2}),
    "dcgan": (DCGAN, (1, 4, 4), {"channels": (4, 6), "latent_size": 2}),
    "wgan-gp": (WGANGP, (1, 4, 4), SMALL | {"critic_steps": 2}),
    "unrolled-gan": (UnrolledGAN, (1, 4, 4), SMALL | {"num_unrolled": 2}),
}
FEW = {"batch_size": 16, "log_interval": 3, "evaluation_interval": 6}


def made(name, seed=0, **more):
    family, event_shape, hyperparameters = FAMILIES[name]
    torch.manual_seed(seed)
    return family(event_shape, context_shape=(3,), **hyperparameters, **more)


def pictures(num=60, seed=0):
    rng = torch.Generator().manual_seed(seed)
    classes = torch.randint(3, (num,), generator=rng)
    x = torch.full((num, 1, 4, 4), -0.9)
    x[torch.arange(num), 0, classes] = 0.9
    noise = 0.05 * torch.randn(x.shape, generator=rng)
    return Events((x + noise).clamp(-1, 1), torch.eye(3)[classes])


class CutError(Exception):
    pass


class CutAt:
    def __init__(self, update):
        self.update = update

    def logged(self, update, scalars):
        if update >= self.update:
            raise CutError

    def evaluated(self, update, generator):
        pass


@pytest.mark.parametrize("decay", [None, 0.8])
@pytest.mark.parametrize("name", FAMILIES)
def test_cut_and_gone_on_leaves_the_same_bytes(name, decay, tmp_path):
    data = Dataset(pictures(), held_out=pictures(20, seed=1))
    settings = FEW | {"num_updates": 20, "average_decay": decay, "checkpoint_interval": 4}
    first = made(name)
    whole = fit(first, data, checkpoint=tmp_path / "whole", **settings)
    for cut in (5, 11):
        with pytest.raises(CutError):
            fit(made(name), data, watcher=CutAt(cut), checkpoint=tmp_path / "cut", **settings)
    second = made(name)
    resumed = fit(second, data, checkpoint=tmp_path / "cut", **settings)
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "cut").read_bytes()
    for key, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[key]), key
    assert (whole.losses, whole.held_out_loss) == (resumed.losses, resumed.held_out_loss)
    assert set(whole.losses) == {"discriminator", "generator"}


@pytest.mark.parametrize("name", FAMILIES)
def test_losses_change_nothing(name):
    generator, data = made(name), pictures(12)
    before = copy.deepcopy(generator.state_dict())
    for training in (True, False):
        generator.train(training)
        for phase in generator.phases():
            phase.loss(data.x, data.context, torch.Generator().manual_seed(0)).mean().backward()
    for key, value in generator.state_dict().items():
        assert torch.equal(value, before[key]), key


@pytest.mark.parametrize("name", FAMILIES)
def test_turns(name):
    """A turn moves its own network alone, with steps of its own size."""
    generator = made(name, critic_step_factor=0.25)
    discriminator, maker = generator.phases()
    assert discriminator.updates == FAMILIES[name][2].get("critic_steps", 1)
    assert (discriminator.step_factor, maker.step_factor) == (0.25, 1.0)
    owned = [{id(p) for p in phase.parameters} for phase in (discriminator, maker)]
    assert owned[0] == {id(p) for p in generator.discriminator.parameters()}
    assert owned[1] == {id(p) for p in generator.generator.parameters()}
    data = pictures(12)
    loss = discriminator.loss(data.x, data.context, None).sum()
    slopes = torch.autograd.grad(loss, maker.parameters, allow_unused=True)
    assert all(slope is None for slope in slopes)  # not even computed


@pytest.mark.parametrize("name", FAMILIES)
def test_the_discriminator_is_a_reward(name, tmp_path):
    """One that learns faster than its generator prefers data to samples; files keep it."""
    generator, data = made(name, critic_step_factor=20.0), pictures(200)
    fit(generator, Dataset(data), num_updates=80, batch_size=32, learning_rate=2e-4)
    assert not generator.training
    with torch.no_grad():
        drawn = generator.sample(1, data.context, rng=torch.Generator().manual_seed(1))[0]
        of_data = generator.discriminate(data.x, data.context)
        of_samples = generator.discriminate(drawn, data.context)
    assert of_data.shape == (200,)
    assert float((of_data > of_samples).float().mean()) > 0.75
    alone = generator.discriminate(data.x[:1], data.context[:1])
    torch.testing.assert_close(alone[0].detach(), of_data[0], rtol=1e-4, atol=1e-5)
    generator.save(tmp_path / "file")
    loaded = type(generator).load(tmp_path / "file")
    assert torch.equal(loaded.discriminate(data.x, data.context).detach(), of_data)
    x = data.x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(generator.discriminate(x, data.context).sum(), x)
    assert float(slope.abs().max()) > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_samples_follow_their_context(name):
    """The row of a picture that is bright is its class."""
    family, event_shape, hyperparameters = FAMILIES[name]
    wider = {} if name == "dcgan" else {"hidden_sizes": (32,)}
    torch.manual_seed(0)
    generator = family(
        event_shape, context_shape=(3,), critic_step_factor=0.5, **hyperparameters | wider
    )

    def share():
        drawn = generator.sample(50, torch.eye(3), rng=torch.Generator().manual_seed(0))
        rows = drawn.mean(dim=(2, 4)).argmax(dim=2)
        return float((rows == torch.arange(3)).float().mean())

    control = share()
    settings = {"batch_size": 64, "learning_rate": 1e-3, "average_decay": 0.98}
    fit(generator, Dataset(pictures(300)), num_updates=800, **settings)
    assert share() > control + 0.3


def test_the_generator_is_averaged_with_statistics_of_its_own():
    generator = made("dcgan")
    data = Dataset(pictures(100))
    fit(generator, data, num_updates=40, batch_size=32, learning_rate=5e-3, average_decay=0.9)
    z = torch.randn(1_000, 2, generator=torch.Generator().manual_seed(0))
    classes = data.train.context.repeat(10, 1)
    with torch.no_grad():
        settled = generator.generate(z, classes)
        by_batch = generator.train().generate(z, classes)
        for module in generator.generator.modules():
            if hasattr(module, "variance"):
                module.mean.zero_()
                module.variance.fill_(1.0)
        control = generator.eval().generate(z, classes)
    error = float((settled - by_batch).abs().mean())
    assert error < 0.1 * float((control - by_batch).abs().mean())


@pytest.mark.parametrize("name", FAMILIES)
def test_temperature_scales_the_noise(name):
    generator = made(name).eval()
    context = torch.eye(3)
    cold = generator.sample(4, context, temperature=0.0)
    assert torch.equal(cold[0], cold[1])
    torch.testing.assert_close(cold[0], generator.generate(torch.zeros(3, 2), context).detach())
    rng = torch.Generator().manual_seed(0)
    expected = generator.generate(0.5 * torch.randn(3, 2, generator=rng), context).detach()
    rng = torch.Generator().manual_seed(0)
    drawn = generator.sample(1, context, temperature=0.5, rng=rng)[0]
    torch.testing.assert_close(drawn, expected)


@pytest.mark.parametrize("name", FAMILIES)
def test_mistakes(name, without_shape_checks):
    generator = made(name)
    x, context = torch.zeros(5, 1, 4, 4), torch.zeros(5, 3)
    with pytest.raises(ValueError, match=r"expected events of shape \(B, 1, 4, 4\)"):
        generator.discriminate(torch.zeros(5, 1, 4, 5), context)
    with pytest.raises(ValueError, match="a context of shape"):
        generator.discriminate(x)
    with pytest.raises(ValueError, match=r"expected noise of shape \(B, 2\), got \(5, 3\)"):
        generator.generate(torch.zeros(5, 3), context)
    with pytest.raises(ValueError, match=r"expected noise of shape \(B, 2\), got \(2,\)"):
        generator.generate(torch.zeros(2), context)
    with pytest.raises(ValueError, match=r"in its support, Interval\(.*got 1.5 at \(0, 0, 0, 0\)"):
        fit(generator, Dataset(Events(x + 1.5, context)), num_updates=1)
    with pytest.raises(ValueError, match=r"expected no patience for a .*, whose loss is measured"):
        fit(generator, Dataset(Events(x, context)), patience=2)
    with pytest.raises(ValueError, match="expected critic_steps"):
        FAMILIES[name][0]((1, 4, 4), critic_steps=0)
    with pytest.raises(ValueError, match="expected channels of at least one halving, got none"):
        FAMILIES[name][0]((1, 16, 16), channels=())
    with pytest.raises(TypeError, match="no hyper-parameter 'noise_size'"):
        FAMILIES[name][0]((1, 4, 4), noise_size=3)
