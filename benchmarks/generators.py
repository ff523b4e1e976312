"""What the generators learn: likelihoods beside baselines, samples beside controls, over seeds.

    python benchmarks/generators.py                     # everything that is not there yet
    python benchmarks/generators.py --tasks digits-binary --entries vae made
    python benchmarks/generators.py --table             # only write the table again
    python benchmarks/generators.py --quick             # a few updates, one seed; no row is kept

Every row is a family of ``gymagine list generators`` on a task, trained and measured by
`gymagine.experiments.generation.generate`, three seeds. When a row is there it is written to
generators.json, with the settings that it was made with, and generators.md is written again; the
same command goes on with what is missing, or was made with other settings. Runs, and the samples
that each of them draws (samples.png), are kept in ``--folder``.

Settings are the families' defaults with what `Task` and `OVERRIDES` say besides. They were not
tuned. What training stops by is the loss of held-out events; what is reported is of test events.
"""

import argparse
import json
import logging
import os
import platform
import sys
import time
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path

from gymagine.configuration import config_to_json
from gymagine.experiments.generation import generate
from gymagine.experiments.generation_likelihood import OWN_LAW
from gymagine.experiments.generation_measuring import unbeaten_baselines, unbeaten_controls
from gymagine.experiments.generation_results import GenerationResults, Measuring
from gymagine.experiments.generation_samples import GAUSSIAN, TRAINING, UNTRAINED
from gymagine.experiments.generator_catalogue import GENERATORS, generator_class
from gymagine.experiments.intervals import mean_interval
from gymagine.generative.data.catalogue import dataset_named
from gymagine.generative.trainable import AbstractPhased

HERE = Path(__file__).resolve()
SEEDS, EVALUATIONS = 3, 5
MEASURING = Measuring(num_events=2_000, num_samples=1_000, max_seconds=20.0)
BASELINES = (OWN_LAW, "independent", "full-gaussian", "chow-liu")


@dataclass(frozen=True)
class Task:
    """Data in a form.

    Attributes:
        name: What the command line and the table call it.
        data: Of ``gymagine list generators``.
        about: In words.
        forms: Of pictures, that which is preferred first; empty for points.
        updates: Of every family that OVERRIDES does not mention.
        batch_size: Likewise.
        published: By family, what others report on related data.
        protocol: Of the published numbers.
    """

    name: str
    data: str
    about: str
    forms: tuple[str, ...] = ()
    updates: int = 1_000
    batch_size: int = 128
    published: dict[str, str] = field(default_factory=dict)
    protocol: str = ""


BINARY = ("thresholded",)
GREY = ("levels", "dequantised-centred", "dequantised", "centred", "scaled")
BINARY_MNIST = {
    "made": "86.64 (2 layers, 32 masks; from memory)",
    "gated-pixelcnn": "81.30 (PixelCNN)",
    "vae": "89.78 (convolutional, estimated with 200 weights)",
    "transformer": "79.17 (ImageGPT; binarised anew in each epoch)",
}
BINARY_PROTOCOL = (
    "nats on MNIST of 28 x 28, drawn once (Larochelle & Murray 2011), 50,000 to train on; other "
    "data than these, for the order of the families only"
)
GREY_MNIST = {
    "nice": "4.34 (a reproduction)",
    "real-nvp": "1.06",
    "gated-pixelcnn": "0.809 (small networks)",
    "flow-matching": "0.99 (FFJORD, another continuous flow)",
    "maf": "4.31 on CIFAR-10",
    "vae": "≤ 4.51 on CIFAR-10",
    "vq-vae": "≤ 4.67 on CIFAR-10",
    "ddpm": "≤ 3.75 on CIFAR-10, trained on the simple loss (from memory)",
}
GREY_PROTOCOL = (
    "bits per dimension of 8-bit MNIST of 28 x 28, test, unless another is said; other data than "
    "these, for the order of the families only"
)

TASKS = (
    Task(
        "eight-gaussians",
        "eight-gaussians",
        "eight Gaussians on a circle of radius 2, deviation 0.2",
        updates=2_000,
        batch_size=256,
    ),
    Task("moons", "moons", "two moons, deviation 0.1", updates=2_000, batch_size=256),
    Task(
        "checkerboard", "checkerboard", "uniform on eight squares", updates=2_000, batch_size=256
    ),
    Task(
        "digits-binary",
        "digits",
        "digits of 8 x 8, fixed zeros and ones (at least half of the highest level)",
        BINARY,
        published=BINARY_MNIST,
        protocol=BINARY_PROTOCOL,
    ),
    Task(
        "digits-grey",
        "digits",
        "digits of 8 x 8 in 17 levels",
        GREY,
        published=GREY_MNIST,
        protocol=GREY_PROTOCOL,
    ),
    Task(
        "fashion-binary",
        "fashion-mnist",
        "Fashion-MNIST of 28 x 28, fixed zeros and ones (at least half of the highest level)",
        BINARY,
        updates=400,
        batch_size=64,
        published=BINARY_MNIST,
        protocol=BINARY_PROTOCOL,
    ),
    Task(
        "fashion-grey",
        "fashion-mnist",
        "Fashion-MNIST of 28 x 28 in 256 levels",
        GREY,
        updates=400,
        batch_size=64,
        published=GREY_MNIST,
        protocol=GREY_PROTOCOL,
    ),
)

ENDS = (
    "most pixels are at an end of the range, which a table of levels says at once and a smooth "
    "density of dequantised levels has to fit; the full Gaussian, a density too, is beaten"
)
APART = "pixels are drawn apart given a latent, each with noise of its own"
REASONS = {
    # why a family does not beat what it does not beat, on all data or on some
    "beta-vae": "its weight on the rate, 4, buys plain latents with likelihood",
    "vq-vae": "its bound counts the one grid of codes that an event is given, and no other",
    "autoencoder": "it draws from one Gaussian over latents that nothing has made Gaussian",
    ("points", "beta-vae"): "the posterior collapses under a weight of 4 on the rate",
    ("points", "masked-autoencoder"): "a coordinate given the other is one Gaussian",
    ("points", "nice"): "additive couplings change no volume: mass cannot thin out between modes",
    ("grey", "vae"): APART,
    ("binary", "vae"): APART,
    ("binary", "made"): "400 updates of 64 events are few for 784 conditionals",
    ("grey", "made"): "mistakes add up along the order in which pixels are drawn",
    ("grey", "nice"): ENDS,
    ("grey", "real-nvp"): ENDS,
    ("grey", "maf"): ENDS,
    ("grey", "spline-flow"): ENDS,
    ("grey", "flow-matching"): ENDS,
}

DENOISERS = ("flow-matching", "ddpm", "edm", "vp-diffusion")
LOGISTIC = {"hyperparameters": {"decoder": "discretised-logistic"}}
OVERRIDES = {
    # by task and family: form, settings of training, hyper-parameters; why
    ("fashion-grey", "vae"): LOGISTIC,  # 256 probabilities of each pixel cost ten times as much
    ("fashion-grey", "beta-vae"): LOGISTIC,
    ("fashion-grey", "vq-vae"): LOGISTIC,
    ("fashion-grey", "masked-autoencoder"): {
        "hyperparameters": {"decoder": "discretised-logistic", "drawn_together": 28}
    },
    ("fashion-binary", "masked-autoencoder"): {"hyperparameters": {"drawn_together": 28}},
    ("digits-binary", "transformer"): {"batch_size": 32},
    ("digits-grey", "transformer"): {"batch_size": 32},
    ("digits-binary", "gated-pixelcnn"): {"batch_size": 64},
    ("digits-grey", "gated-pixelcnn"): {"batch_size": 64},
    # denoisers are asked at every level of noise: 1,000 updates are few for each
    **{("digits-grey", name): {"updates": 3_000} for name in DENOISERS},
    ("fashion-grey", "made"): {"form": "dequantised"},  # 784 times 256 outputs are too many
    # what follows costs a second and more for an update of 128 events, and a minute to evaluate
    ("fashion-binary", "gated-pixelcnn"): {"updates": 300, "batch_size": 16, "evaluations": 1},
    ("fashion-grey", "gated-pixelcnn"): {"updates": 200, "batch_size": 16, "evaluations": 1},
    ("fashion-binary", "transformer"): {"updates": 200, "batch_size": 8, "evaluations": 1},
    ("fashion-grey", "transformer"): {"updates": 200, "batch_size": 8, "evaluations": 1},
}
UNET_UPDATES, UNET_CHANNELS, UNET_BATCH, UNET_EVALUATIONS = 400, 16, 32, 1
ADVERSARIES = 2  # times as many updates of adversaries, which need them
SAMPLING_STEPS = 50


@dataclass(frozen=True)
class Entry:
    """One row: a family on a task.

    Attributes:
        task: The task.
        family: In the catalogue.
        form: Of pictures; None for points.
        hyperparameters: Where they are not the family's defaults.
        fit: Settings of training, likewise.
    """

    task: Task
    family: str
    form: str | None
    hyperparameters: dict[str, object]
    fit: dict[str, object]

    @property
    def fingerprint(self):
        """What makes another row of it."""
        own = generator_class(self.family)
        config = config_to_json(own.Config(**self.hyperparameters))
        defaults = sorted((k, str(v)) for k, v in getattr(own, "fit_defaults", {}).items())
        settings = [sorted((k, str(v)) for k, v in given.items()) for given in (config, self.fit)]
        measuring = asdict(MEASURING)
        return repr([self.form, *settings, defaults, SEEDS, measuring])


# ---- rows ---------------------------------------------------------------------------------------


def entries_of(task):
    """The task's rows: every family that takes a form of it."""
    for family, entry in GENERATORS.items():
        own = OVERRIDES.get((task.name, family), {})
        forms = [form for form in task.forms if form in entry.forms]
        if task.forms and not forms:
            continue
        form = own.get("form") or (forms[0] if forms else None)
        yield Entry(
            task, family, form, hyperparameters_of(task, family, own), fit_of(task, family, own)
        )


def hyperparameters_of(task, family, own):
    """What the task needs of the family."""
    known = generator_class(family).Config.__dataclass_fields__
    found = {}
    if {"network", "multipliers"} <= known.keys() and task.forms:  # a denoiser, of pictures
        found["network"] = "mlp" if task.data == "digits" else "unet"
        if found["network"] == "unet":
            found["channels"] = UNET_CHANNELS
        if "sampling_steps" in known and known["sampling_steps"].default is None:
            found["sampling_steps"] = SAMPLING_STEPS
    return {**found, **own.get("hyperparameters", {})}


def fit_of(task, family, own):
    """How it is trained: step sizes fall, and the best of what was evaluated is kept."""
    kind = generator_class(family)
    known = kind.Config.__dataclass_fields__
    is_unet = {"network", "multipliers"} <= known.keys() and task.data == "fashion-mnist"
    updates, batch_size = (
        (UNET_UPDATES, UNET_BATCH) if is_unet else (task.updates, task.batch_size)
    )
    updates, batch_size = own.get("updates", updates), own.get("batch_size", batch_size)
    found = {"num_updates": updates, "batch_size": batch_size}
    evaluations = own.get("evaluations", UNET_EVALUATIONS if is_unet else EVALUATIONS)
    found["evaluation_interval"] = max(1, updates // evaluations)
    if issubclass(kind, AbstractPhased):  # their losses do not tell when to stop
        found["num_updates"] *= ADVERSARIES
    else:
        found |= {"step_sizes": "cosine", "patience": EVALUATIONS}  # of which there are no more
    return found


def made(entry, folder, seeds=SEEDS, measuring=MEASURING):
    """The row's runs."""
    begun = time.perf_counter()
    runs = []
    for seed in range(seeds):
        result = generate(
            entry.family,
            entry.task.data,
            seed=seed,
            form=entry.form,
            hyperparameters=entry.hyperparameters,
            folder=Path(folder) / entry.task.name,
            measuring=measuring,
            **entry.fit,
        )
        runs.append({"seed": seed, **asdict(result.results)})
    return {
        "fingerprint": entry.fingerprint,
        "form": entry.form,
        "fit": {k: str(v) for k, v in entry.fit.items()},
        "hyperparameters": {k: str(v) for k, v in entry.hyperparameters.items()},
        "seconds": time.perf_counter() - begun,
        "runs": runs,
    }


def refused(entry, error):
    """A row of a family that does not take such data."""
    return {"fingerprint": entry.fingerprint, "form": entry.form, "refused": str(error)}


# ---- the table ----------------------------------------------------------------------------------


def results_of(row):
    return [GenerationResults.from_json(run) for run in row.get("runs", [])]


def number(value):
    size = abs(value)
    return f"{value:.3f}" if size < 10 else f"{value:.2f}" if size < 100 else f"{value:.1f}"


def small(value):
    """A distance, which is 0 for the best."""
    return f"{value:.4f}" if abs(value) < 1 else number(value)


def interval(values, sign="", text=number):
    """Mean and Student's interval."""
    found = [value for value in values if value is not None]
    if not found or len(found) < len(values):
        return ""
    mean = mean_interval(found)
    bounds = f" [{text(mean.low)}, {text(mean.high)}]" if mean.is_known else ""
    return f"{sign}{text(mean.estimate)}{bounds}"


def mean_text(values, text=number):
    found = [value for value in values if value is not None]
    return text(sum(found) / len(found)) if found else ""


def task_lines(task, rows):
    yield from (f"## {task.name}", "", f"{task.about[0].upper()}{task.about[1:]}.", "")
    found = {family: results_of(row) for family, row in rows.items() if row.get("runs")}
    if not found:
        yield from missing_lines(task, rows)
        return
    yield (
        "| | form | nats [95 %] | bits/dim | distance [95 %] | untrained | precision | recall | "
        "density | coverage | modes | updates | s |" + (" published |" if task.published else "")
    )
    yield "|---|---|" + "---:|" * 11 + ("---|" if task.published else "")
    yield from reference_lines(task, found)
    for family, results in found.items():
        yield family_line(task, family, rows[family], results)
    yield ""
    if task.published:
        yield from (f"Published: {task.protocol}.", "")
    yield from missing_lines(task, rows)
    yield from words(task, rows, found)


def reference_lines(task, found):
    """Baselines, of the runs with most events, and controls, of those with most samples."""
    end = " |" if task.published else ""
    everything = [results for several in found.values() for results in several]
    for name in BASELINES:
        own = [row for results in everything for row in results.likelihoods if row.name == name]
        if not own:
            continue
        most = max(own, key=lambda row: row.num_events)
        sign = "" if most.kind == "exact" else "≤ "
        bits = "" if most.bits_per_dimension is None else sign + number(most.bits_per_dimension)
        control = sample_cells([row for row in samples_of(everything, name)][:1])
        yield f"| *{name}* | | {sign}{number(most.nats)} | {bits} | {control} | | |{end}"
    control = samples_of(everything, TRAINING)[:1]
    yield f"| *{TRAINING}* | | | | {sample_cells(control)} | | |{end}"
    if not any(row.name == GAUSSIAN for results in everything for row in results.likelihoods):
        control = samples_of(everything, GAUSSIAN)[:1]
        yield f"| *{GAUSSIAN}* | | | | {sample_cells(control)} | | |{end}"


def samples_of(everything, name):
    """The control's rows, those of most samples first."""
    own = [row for results in everything for row in results.samples if row.name == name]
    return sorted(own, key=lambda row: -row.num_samples)


def distance_of(row):
    return row.mean_discrepancy if row.kernel_distance is None else row.kernel_distance


def sample_cells(rows, untrained=()):
    """Distance, that of untrained ones, precision, recall, density, coverage, modes."""
    if not rows:
        return " | | | | | | "
    shares = [
        mean_text([getattr(row, name) for row in rows], "{:.2f}".format)
        for name in ("precision", "recall", "density", "coverage")
    ]
    modes = [row.modes_covered for row in rows if row.num_modes]
    shown = f"{sum(modes) / len(modes):.3g} of {rows[0].num_modes}" if modes else ""
    distance = interval([distance_of(row) for row in rows], text=small)
    first = mean_text([distance_of(row) for row in untrained], small)
    return " | ".join([distance, first, *shares, shown])


def family_line(task, family, row, results):
    likelihoods = [one.own_likelihood for one in results]
    nats = bits = ""
    if all(likelihoods):
        sign = "" if likelihoods[0].kind == "exact" else "≤ "
        nats = interval([one.nats for one in likelihoods], sign)
        bits = mean_text([one.bits_per_dimension for one in likelihoods])
        bits = sign + bits if bits else ""
    own = [one.own_samples for one in results if one.own_samples]
    untrained = [row for one in results for row in one.samples if row.name == UNTRAINED]
    updates = sum(one.num_updates for one in results) / len(results)
    published = f" {task.published.get(family, '')} |" if task.published else ""
    return (
        f"| {family} | {row['form'] or ''} | {nats} | {bits} | {sample_cells(own, untrained)} | "
        f"{updates:,.0f} | {row['seconds'] / len(results):.0f} |{published}"
    )


def words(task, rows, found):
    """What is not beaten, what is measured on less, and what does not fit."""
    for family, results in found.items():
        kind = "points" if not task.forms else "binary" if task.forms == BINARY else "grey"
        reason = REASONS.get((kind, family)) or REASONS.get(family)
        told = f": {reason}" if reason else ""
        baselines = [unbeaten_baselines(family, one.likelihoods) for one in results]
        controls = [unbeaten_controls(family, one.samples) for one in results]
        if any(baselines):
            yield f"- {family} does not beat {listed(baselines)} in likelihood{told}."
        if any(controls):
            told = "" if any(baselines) else told
            yield f"- {family}'s samples are no nearer than those of {listed(controls)}{told}."
        likelihoods = [one.own_likelihood for one in results if one.own_likelihood]
        if likelihoods and min(one.num_events for one in likelihoods) < MEASURING.num_events:
            fewest = min(one.num_events for one in likelihoods)
            most = max(r.num_events for s in found.values() for o in s for r in o.likelihoods)
            if fewest < most:
                yield (
                    f"- {family}: likelihood of {fewest:,} events, for want of time; beside "
                    "baselines of the same ones in its runs' results."
                )
        if not likelihoods:
            note = next(note for note in results[0].notes if note.startswith("no likelihood"))
            yield f"- {family}: {note}."
    for family, row in rows.items():
        if "refused" in row:
            yield f"- {family}: {row['refused']}."
    yield ""


def listed(runs):
    """Names in the runs' lists, with the share of the seeds where it is not all."""
    names = sorted({name for run in runs for name in run})
    counts = [sum(name in run for run in runs) for name in names]
    return ", ".join(
        name if count == len(runs) else f"{name} (in {count} of {len(runs)} seeds)"
        for name, count in zip(names, counts, strict=True)
    )


def missing_lines(task, rows):
    """Rows that the same command would make next."""
    missing = [entry.family for entry in entries_of(task) if entry.family not in rows]
    if missing:
        yield from (f"Not made yet: {', '.join(missing)}.", "")
    if lacks := data_missing(task):
        yield from (f"The data are not here: {lacks}.", "")


def data_missing(task):
    """Why the task's data cannot be loaded; None where they can."""
    try:
        dataset_named(task.data)
    except (FileNotFoundError, ModuleNotFoundError) as error:
        return str(error)
    return None


def write_table(stored):
    versions = {
        "Python": platform.python_version(),
        **{name: version(name) for name in ("torch", "numpy", "scikit-learn")},
    }
    lines = [
        "# Generators: what they learn",
        "",
        f"Written by `benchmarks/generators.py`: {SEEDS} seeds of every family, means with "
        "Student's 95 % interval over seeds. Nats: mean negative log-probability of test events "
        f"(the first {MEASURING.num_events:,}, or all if there are fewer); of pictures always as "
        "a probability of levels, which the density of dequantised levels bounds (≤), as do "
        "variational bounds (≤; of autoencoders with "
        f"{MEASURING.num_importance_weights} importance weights). Distance: of pictures the "
        "kernel distance between features of a classifier trained here (no KID of papers), of "
        "points the squared maximum mean discrepancy with Gaussian kernels, from the median "
        "distance down to a sixteenth of it; 0 in the mean for the data's own law. Precision, "
        "recall, density, coverage: by 3 and 5 nearest neighbours, in the same space. Modes: "
        "Gaussians with a sample within 3 deviations, or classes that the classifier is sure of "
        "(0.9) in some sample. All samples "
        f"are as many as the test events that they are compared with ({MEASURING.num_samples:,}, "
        "or all if there are fewer). Untrained: the distance at first. In italics "
        "what is fitted in closed form, and what stands for a perfect generator: the training "
        "events, and the law that toys are drawn from. s: seconds of a seed, with measuring, on "
        "one core of a shared machine. Training stops by held-out events; nothing was tuned on "
        "test events. "
        + ", ".join(f"{name} {number_}" for name, number_ in versions.items())
        + ".",
        "",
    ]
    for task in TASKS:
        lines += task_lines(task, stored.get(task.name, {}))
    text = "\n".join(lines).rstrip() + "\n"
    HERE.with_suffix(".md").write_text(text, encoding="utf-8")


# ---- the driver -------------------------------------------------------------------------------


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", nargs="*", choices=[task.name for task in TASKS])
    parser.add_argument("--entries", nargs="*", help="families, such as vae or made")
    parser.add_argument("--folder", default="runs/generators", help="where runs are kept")
    parser.add_argument("--quick", action="store_true", help="a look; no row is kept")
    parser.add_argument("--table", action="store_true", help="only write the table again")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    kept = HERE.with_suffix(".json")
    if options.table:
        write_table(read(kept))
        return
    for task in TASKS:
        if options.tasks and task.name not in options.tasks:
            continue
        if lacks := data_missing(task):
            sys.stderr.write(f"{task.name} is left out: {lacks}\n")
            continue
        for entry in entries_of(task):
            if options.entries and entry.family not in options.entries:
                continue
            if options.quick:
                look(entry, Path(options.folder) / "quick")
                continue
            there = read(kept).get(task.name, {}).get(entry.family)
            is_there = there and "refused" not in there  # which is soon tried again
            if is_there and there["fingerprint"] == entry.fingerprint:
                continue
            try:
                row = made(entry, options.folder)
            except ValueError as error:
                row = refused(entry, error)
            keep(kept, task, entry, row)
            told = row.get("refused") or f"{row['seconds']:.0f} s"
            sys.stderr.write(f"{task.name} {entry.family}: {told}\n")


def read(kept):
    return json.loads(kept.read_text()) if kept.exists() else {}


def keep(kept, task, entry, row):
    """Add the row to the file, which another process may have written to meanwhile."""
    stored = read(kept)
    rows = stored.setdefault(task.name, {})
    rows[entry.family] = row
    stored[task.name] = {family: rows[family] for family in GENERATORS if family in rows}
    partial = kept.with_suffix(".part")
    partial.write_text(json.dumps(stored) + "\n")
    partial.replace(kept)
    write_table(stored)


def look(entry, folder):
    """Whether the row can be made, and what an update costs: few updates, little measuring."""
    few = 20
    fit = {**entry.fit, "num_updates": few, "evaluation_interval": few}
    measuring = Measuring(num_events=20, num_samples=60, max_seconds=2.0)
    begun = time.perf_counter()
    quick = Entry(entry.task, entry.family, entry.form, entry.hyperparameters, fit)
    try:
        row = made(quick, folder, seeds=1, measuring=measuring)
    except ValueError as error:
        sys.stderr.write(f"{entry.task.name} {entry.family}: {error}\n")
        return
    run = row["runs"][0]
    each = 1e3 * run["train_seconds"] / few
    sys.stderr.write(
        f"{entry.task.name} {entry.family}: {each:.0f} ms an update with evaluations, "
        f"{time.perf_counter() - begun:.0f} s in all\n"
    )


if __name__ == "__main__":
    main()
