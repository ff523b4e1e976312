"""Speeds of generators against zuko, normflows, pythae, diffusers and loops without caches.

    python benchmarks/generation_speed.py --rounds 5
    python benchmarks/generation_speed.py --quick            # one short round, for a look
    python benchmarks/generation_speed.py --only zuko-nsf ours-nsf

How that is done is in `paired_speed`. The peers are trained by the loop that their documents show,
with torch's Adam as it comes, and once more with Adam's fused kernel, which our `fit` uses.
pythae is installed for this only, beside the others: `benchmarks/run` says how.
"""

from pathlib import Path

from paired_speed import Benchmark, Clock, Contender, Task, result

HERE = Path(__file__).resolve()
FLOW_BATCH, VAE_BATCH, DIFFUSION_BATCH, PICTURES = 256, 128, 256, 16
WARM_UP = 60  # updates before the clock starts
DIFFUSION_STEPS, HIDDEN = 1_000, (64, 64)
NAIVE_POSITIONS = 28  # of 784, evenly spaced; every position costs a loop without caches the same


# ---- training ---------------------------------------------------------------------------------


def toy():
    import torch

    return torch.randn(10_000, 2, generator=torch.Generator().manual_seed(0))


def pictures():
    import torch

    rng = torch.Generator().manual_seed(0)
    return (torch.rand(10_000, 1, 28, 28, generator=rng) < 0.2).float()


def measure_fit(generator, data, batch_size, num_updates, **settings):
    """Our `fit`, from the first report to the last."""
    from gymagine.generative.training import fit

    class Reader:
        def __init__(self):
            self.clock, self.starting, self.running = Clock(), None, None

        def logged(self, update, scalars):
            if self.starting is None:
                self.starting, self.clock = self.clock.read(), Clock()
            elif update == WARM_UP + num_updates and self.running is None:
                self.running = self.clock.read()

        def evaluated(self, update, generator):
            pass

    reader = Reader()
    fit(
        generator,
        data,
        watcher=reader,
        batch_size=batch_size,
        num_updates=WARM_UP + num_updates,
        log_interval=WARM_UP,
        evaluation_interval=10**6,
        **settings,
    )
    return result(reader.starting, reader.running, num_updates)


def measure_loop(loss_of, parameters, data, batch_size, num_updates, fused):
    """The loop of a peer's documents: a shuffled batch, a loss, backwards, Adam."""
    import torch

    optimiser = torch.optim.Adam(parameters, lr=1e-3, fused=fused)
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(data), batch_size=batch_size, shuffle=True, drop_last=True
    )

    def batches():
        while True:
            yield from loader

    found, clock = batches(), Clock()
    for number in range(WARM_UP + num_updates):
        if number == WARM_UP:
            starting, clock = clock.read(), Clock()
        (x,) = next(found)
        loss = loss_of(x)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return result(starting, clock.read(), num_updates)


def updates(number):
    """How many updates, given by how much to shorten."""
    return lambda share: max(number // share, 20)


def trained(label, number, make, *more):
    """A contender that trains."""
    return Contender(label, lambda share: make(updates(number)(share), *more))


def zuko_flow(num_updates, name, fused):
    import zuko

    flow = getattr(zuko.flows, name)(2, 0, transforms=3, hidden_features=HIDDEN)
    return measure_loop(
        lambda x: -flow().log_prob(x).mean(),
        flow.parameters(),
        toy(),
        FLOW_BATCH,
        num_updates,
        fused,
    )


def normflows_real_nvp(num_updates, fused):
    import normflows as nf

    layers = []
    for _ in range(8):
        network = nf.nets.MLP([1, *HIDDEN, 2], init_zeros=True)
        layers += [nf.flows.AffineCouplingBlock(network), nf.flows.Permute(2, mode="swap")]
    flow = nf.NormalizingFlow(nf.distributions.DiagGaussian(2, trainable=False), layers)
    return measure_loop(flow.forward_kld, flow.parameters(), toy(), FLOW_BATCH, num_updates, fused)


def our_flow(num_updates, name, compiled, **settings):
    from gymagine import generative

    flow = getattr(generative, name)((2,), hidden_sizes=HIDDEN, **settings)
    return measure_fit(flow, toy(), FLOW_BATCH, num_updates, compile=compiled)


def pythae_vae(num_updates, fused):
    from pythae.models import VAE, VAEConfig

    config = VAEConfig(input_dim=(1, 28, 28), latent_dim=16, reconstruction_loss="bce")
    vae = VAE(config)
    return measure_loop(
        lambda x: vae({"data": x}).loss,
        vae.parameters(),
        pictures(),
        VAE_BATCH,
        num_updates,
        fused,
    )


def our_vae(num_updates, **settings):
    from gymagine.generative import VAE

    vae = VAE((1, 28, 28), decoder="bernoulli", latent_size=16, hidden_sizes=(512,), network="mlp")
    return measure_fit(vae, pictures(), VAE_BATCH, num_updates, **settings)


# ---- sampling: steps of one sampler, or entries of one picture ---------------------------------


def our_ddpm():
    import torch
    from gymagine.generative import DDPM

    torch.manual_seed(0)
    return DDPM((2,), num_steps=DIFFUSION_STEPS, schedule="linear", hidden_sizes=HIDDEN).eval()


def timed_samples(sample, num_steps, repetitions):
    """The second and later calls."""
    import torch

    with torch.no_grad():
        clock = Clock()
        sample()
        starting, clock = clock.read(), Clock()
        for _ in range(repetitions):
            sample()
    return result(starting, clock.read(), num_steps * repetitions)


def our_sampler(share, **settings):
    import torch
    from gymagine.generative import DDPM

    model = our_ddpm()
    if settings:
        changed = DDPM((2,), **{**vars(model.config), **settings}).eval()
        changed.load_state_dict(model.state_dict())
        model = changed
    rng = torch.Generator().manual_seed(0)
    steps = model.config.sampling_steps or DIFFUSION_STEPS
    repetitions = max(10 * DIFFUSION_STEPS // steps // share, 1)
    return timed_samples(lambda: model.sample(DIFFUSION_BATCH, rng=rng), steps, repetitions)


def diffusers_sampler(share, scheduler, steps):
    import diffusers
    import torch

    model = our_ddpm()
    found = getattr(diffusers, scheduler)(
        num_train_timesteps=DIFFUSION_STEPS,
        beta_start=1e-4,
        beta_end=0.02,
        beta_schedule="linear",
        clip_sample=False,
    )
    found.set_timesteps(steps)
    times = torch.arange(1, DIFFUSION_STEPS + 1) / DIFFUSION_STEPS
    with torch.no_grad():
        told = torch.split(model.network.told(times), 1)  # beforehand, as ours does

    def sample():
        rng = torch.Generator().manual_seed(0)
        x = torch.randn(DIFFUSION_BATCH, 2, generator=rng)
        for t in found.timesteps:
            predicted = model.network.denoise(x, told[int(t)])
            x = found.step(predicted, t, x, generator=rng).prev_sample
        return x

    repetitions = max(10 * DIFFUSION_STEPS // steps // share, 1)
    return timed_samples(sample, steps, repetitions)


def network_alone(share):
    """What no sampler can do without: the network, told the time beforehand."""
    import torch

    network = our_ddpm().network
    x, told = torch.randn(DIFFUSION_BATCH, 2), network.told(torch.full((1,), 0.5))

    def evaluate():
        for _ in range(DIFFUSION_STEPS):
            network.denoise(x, told)

    return timed_samples(evaluate, DIFFUSION_STEPS, max(10 // share, 1))


def autoregressive(name):
    import torch
    from gymagine import generative

    torch.manual_seed(0)
    return getattr(generative, name)((1, 28, 28), conditional="bernoulli").eval()


def cached(share, name):
    import torch

    model = autoregressive(name)
    rng = torch.Generator().manual_seed(0)
    return timed_samples(lambda: model.sample(PICTURES, rng=rng), 784, max(3 // share, 1))


def naive(share, name):
    """Every conditional from a pass over the whole picture."""
    import torch

    model = autoregressive(name)
    rng = torch.Generator().manual_seed(0)

    def sample():
        x = torch.zeros(PICTURES, 1, 28, 28)
        for place in range(0, 784, 784 // NAIVE_POSITIONS):
            row, column = divmod(place, 28)
            parameters = model.conditional_parameters(x)[:, 0, row, column]
            x[:, 0, row, column] = model.conditional.sample(parameters, 1.0, rng)
        return x

    return timed_samples(sample, NAIVE_POSITIONS, max(3 // share, 1))


# ---- the tables ---------------------------------------------------------------------------------


CONTENDERS = {
    "zuko-nsf": trained("zuko NSF", 400, zuko_flow, "NSF", False),
    "zuko-nsf-fused": trained("zuko NSF, fused Adam", 400, zuko_flow, "NSF", True),
    "ours-nsf": Contender(
        "gymagine SplineFlow, 3 couplings",
        lambda share: our_flow(400 // share, "SplineFlow", False, num_couplings=3),
    ),
    "ours-nsf-compiled": Contender(
        "gymagine SplineFlow, 3 couplings, compiled",
        lambda share: our_flow(400 // share, "SplineFlow", True, num_couplings=3),
    ),
    "ours-nsf-ar": Contender(
        "gymagine MAF of splines, 3 transforms",
        lambda share: our_flow(400 // share, "MAF", False, num_transforms=3, elementwise="spline"),
    ),
    "ours-nsf-ar-compiled": Contender(
        "gymagine MAF of splines, 3 transforms, compiled",
        lambda share: our_flow(400 // share, "MAF", True, num_transforms=3, elementwise="spline"),
    ),
    "zuko-maf": trained("zuko MAF", 800, zuko_flow, "MAF", False),
    "zuko-maf-fused": trained("zuko MAF, fused Adam", 800, zuko_flow, "MAF", True),
    "ours-maf": Contender(
        "gymagine MAF", lambda share: our_flow(800 // share, "MAF", False, num_transforms=3)
    ),
    "ours-maf-compiled": Contender(
        "gymagine MAF, compiled",
        lambda share: our_flow(800 // share, "MAF", True, num_transforms=3),
    ),
    "normflows-real-nvp": trained("normflows RealNVP", 400, normflows_real_nvp, False),
    "normflows-real-nvp-fused": trained(
        "normflows RealNVP, fused Adam", 400, normflows_real_nvp, True
    ),
    "ours-real-nvp": Contender(
        "gymagine RealNVP", lambda share: our_flow(800 // share, "RealNVP", False, num_couplings=8)
    ),
    "ours-real-nvp-compiled": Contender(
        "gymagine RealNVP, compiled",
        lambda share: our_flow(800 // share, "RealNVP", True, num_couplings=8),
    ),
    "pythae-vae": trained("pythae VAE", 300, pythae_vae, False),
    "pythae-vae-fused": trained("pythae VAE, fused Adam", 300, pythae_vae, True),
    "ours-vae": trained("gymagine VAE", 300, our_vae),
    "ours-vae-compiled": Contender(
        "gymagine VAE, compiled", lambda share: our_vae(300 // share, compile=True)
    ),
    "ours-vae-bf16": Contender(
        "gymagine VAE, bfloat16", lambda share: our_vae(300 // share, mixed_precision=True)
    ),
    "diffusers-ddpm": Contender(
        "diffusers DDPMScheduler, 1,000 steps",
        lambda share: diffusers_sampler(share, "DDPMScheduler", DIFFUSION_STEPS),
    ),
    "ours-ddpm": Contender("gymagine DDPM, 1,000 steps", our_sampler),
    "diffusers-ddim": Contender(
        "diffusers DDIMScheduler, 50 steps",
        lambda share: diffusers_sampler(share, "DDIMScheduler", 50),
    ),
    "ours-ddim": Contender(
        "gymagine DDIM, 50 steps",
        lambda share: our_sampler(share, sampling_steps=50, eta=0.0),
    ),
    "network-alone": Contender("the network alone", network_alone),
    "naive-transformer": Contender(
        "a pass over everything for each entry", lambda share: naive(share, "Transformer")
    ),
    "ours-transformer": Contender(
        "gymagine Transformer, keys and values kept", lambda share: cached(share, "Transformer")
    ),
    "naive-pixelcnn": Contender(
        "a pass over everything for each entry", lambda share: naive(share, "GatedPixelCNN")
    ),
    "ours-pixelcnn": Contender(
        "gymagine GatedPixelCNN, features kept", lambda share: cached(share, "GatedPixelCNN")
    ),
}

TASKS = {
    "nsf": Task(
        "Neural spline flow, 3 transforms: updates",
        "zuko-nsf",
        {
            "zuko-nsf-fused": None,
            "ours-nsf-ar": 1.3,
            "ours-nsf-ar-compiled": 2.0,
            "ours-nsf": 1.3,
            "ours-nsf-compiled": 2.0,
        },
    ),
    "maf": Task(
        "Masked autoregressive flow, 3 transforms: updates",
        "zuko-maf",
        {"zuko-maf-fused": None, "ours-maf": 1.3, "ours-maf-compiled": 2.0},
    ),
    "real-nvp": Task(
        "RealNVP, 8 couplings: updates",
        "normflows-real-nvp",
        {"normflows-real-nvp-fused": None, "ours-real-nvp": 1.3, "ours-real-nvp-compiled": 2.0},
    ),
    "vae": Task(
        "Variational autoencoder, 784-512-16: updates",
        "pythae-vae",
        {
            "pythae-vae-fused": None,
            "ours-vae": 1.4,
            "ours-vae-compiled": None,
            "ours-vae-bf16": None,
        },
    ),
    "ddpm": Task(
        "Ancestral sampling in 1,000 steps: denoising steps",
        "diffusers-ddpm",
        {"ours-ddpm": None, "network-alone": None},
    ),
    "ddim": Task(
        "DDIM in 50 steps: denoising steps",
        "diffusers-ddim",
        {"ours-ddim": None, "network-alone": None},
    ),
    "transformer": Task(
        "Transformer: entries of pictures of 28 x 28",
        "naive-transformer",
        {"ours-transformer": 5.0},
    ),
    "pixelcnn": Task(
        "Gated PixelCNN: entries of pictures of 28 x 28", "naive-pixelcnn", {"ours-pixelcnn": 5.0}
    ),
}

PROTOCOL = (
    f"Flows: 2 entries, networks of {HIDDEN[0]}x{HIDDEN[1]}, batches of {FLOW_BATCH}, splines of "
    f"8 bins, Adam at 0.001; zuko's NSF is autoregressive, as our MAF of splines, which in 2 "
    f"dimensions costs what couplings cost. VAE: binary pictures of 28 x 28, Bernoulli decoder, "
    f"batches of {VAE_BATCH}, one hidden layer of 512. Our updates are those of `fit`, with its "
    "order of batches, checks and reports; the peers' those of a loop over torch's DataLoader. "
    f"Diffusion: the same network for all, {HIDDEN[0]}x{HIDDEN[1]}, told all times beforehand, "
    f"{DIFFUSION_BATCH} samples of 2 entries. Pictures: {PICTURES} at a time, networks of the "
    f"default size, untrained; the loop without caches is measured at {NAIVE_POSITIONS} of the "
    "784 entries, evenly spaced, as each costs it the same."
)


def overheads(stored):
    """What samplers cost besides the network, in a table of its own."""
    import statistics

    lines = [
        "## What a denoising step costs besides the network",
        "",
        "Microseconds of a step less those of the network alone, medians over the rounds; asked "
        "is at most half of diffusers'.",
        "",
        "| | diffusers | gymagine | share | asked |",
        "|---|---:|---:|---:|---|",
    ]
    for label, peer, ours in (
        ("DDPM, 1,000 steps", "diffusers-ddpm", "ours-ddpm"),
        ("DDIM, 50 steps", "diffusers-ddim", "ours-ddim"),
    ):
        found = [
            [1e6 / one[name]["steps_per_second"] for name in (peer, ours, "network-alone")]
            for one in stored["rounds"]
            if all(one.get(name) for name in (peer, ours, "network-alone"))
        ]
        if not found:
            continue
        theirs = statistics.median(peer - alone for peer, _, alone in found)
        own = statistics.median(ours - alone for _, ours, alone in found)
        share = statistics.median((o - alone) / (p - alone) for p, o, alone in found)
        reached = "yes" if share <= 0.5 else "**no**"
        lines.append(f"| {label} | {theirs:.0f} | {own:.0f} | {share:.2f} | 0.5: {reached} |")
    return [*lines, ""]


if __name__ == "__main__":
    Benchmark(
        script=HERE,
        title="Generators: updates and samples per second",
        about="After a warm-up, and compilation where there is one, which is told apart.",
        tasks=TASKS,
        contenders=CONTENDERS,
        packages=("torch", "zuko", "normflows", "pythae", "diffusers"),
        unit="steps/s",
        base_word="the first",
        protocol=PROTOCOL,
        closing=overheads,
    ).main(__doc__.splitlines()[0])
