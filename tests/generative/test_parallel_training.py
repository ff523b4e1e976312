"""Several processes are one: also what no gradient moves, and when to stop."""

import os
import socket
import subprocess
import sys
import textwrap

import pytest
import torch
from gymagine.generative.parallel_training import (
    check_share,
    from_first_process,
    launched_group,
    num_processes,
    process_number,
    share_of,
)
from gymagine.storage import read_arrays

SCRIPT = textwrap.dedent(
    """
    import os, sys
    sys.path.insert(0, sys.argv[1])
    import torch
    torch.set_num_threads(1)
    from gymagine.generative.data.dataset import Dataset, Events
    from gymagine.generative.module_state import save_state
    from gymagine.generative.parallel_training import (
        from_first_process, launched_group, num_processes, process_number,
    )
    from gymagine.generative.trainable import AbstractAdjusted, AbstractInitialised
    from gymagine.generative.training import fit
    from examples import Gaussian

    class Followed(Gaussian, AbstractAdjusted, AbstractInitialised):
        def __init__(self):
            super().__init__()
            self.register_buffer("start", torch.zeros(2))
            self.register_buffer("seen", torch.zeros(2))
        def initialise(self, x, context):
            self.start.copy_(x.mean(dim=0))
        def adjust(self, x, context, rng):
            self.seen.lerp_((x - self.mean).abs().amax(dim=0), 0.1)  # of no mean over shares
        def _loss(self, x, context, rng):
            return super()._loss(x, context, rng) + torch.randn(len(x), generator=rng)

    with launched_group():
        x = 3 + 2 * torch.randn(96, 2, generator=torch.Generator().manual_seed(0))
        generator = Followed()
        result = fit(generator, Dataset(Events(x[:64]), Events(x[64:])), num_updates=200,
            batch_size=16, learning_rate=0.3, evaluation_interval=5, patience=3)
        save_state(generator, f"{sys.argv[2]}-{process_number()}")
        told = from_first_process(lambda: f"from {process_number()} of {num_processes()}")
        print(result.num_updates, result.held_out_loss, told)
    """
)


CUT_SCRIPT = textwrap.dedent(
    """
    import os, sys, time
    sys.path.insert(0, sys.argv[1])
    import torch
    torch.set_num_threads(1)
    from gymagine.generative.parallel_training import launched_group
    from gymagine.generative.training import fit
    from examples import Gaussian

    class Cut(Gaussian):
        num_losses = 0
        def _loss(self, x, context, rng):
            self.num_losses += 1
            if self.num_losses > int(os.environ.get("CUT", 100)):
                time.sleep(1)  # until the other has the last update's gradients, too
                os._exit(3)
            return super()._loss(x, context, rng)

    class Watcher:
        def logged(self, update, scalars):
            print(update, scalars["train/loss"])
        def evaluated(self, update, generator):
            pass

    with launched_group():
        x = 3 + 2 * torch.randn(64, 2, generator=torch.Generator().manual_seed(0))
        fit(Cut(), x, num_updates=20, batch_size=16, learning_rate=0.3, log_interval=10,
            watcher=Watcher(), checkpoint=f"{sys.argv[2]}.fit", checkpoint_interval=3)
    """
)


def started(folder, name, text=SCRIPT, **environment):
    script = folder / "script.py"
    script.write_text(text)
    return subprocess.Popen(
        [sys.executable, script, os.path.dirname(__file__), folder / name],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        text=True,
    )


def free_port():
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return str(free.getsockname()[1])


@pytest.mark.slow
def test_what_no_gradient_moves_is_that_of_the_whole_batch(tmp_path):
    alone = started(tmp_path, "alone").communicate(timeout=120)[0].split()
    place = {"WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": free_port()}
    both = [started(tmp_path, "both", RANK=str(i), **place) for i in range(2)]
    outputs = [process.communicate(timeout=120)[0].split() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    # noise is the same where they evaluate, so that they stop together
    assert outputs[0] == outputs[1]
    assert outputs[0][2:] == ["from", "0", "of", "2"]
    assert alone[0] == outputs[0][0]
    assert 15 < int(alone[0]) < 200
    states = [
        read_arrays(path, expected_format="gymagine-module-state-1")[0]
        for path in (tmp_path / name for name in ("alone-0", "both-0", "both-1"))
    ]
    for name, expected in states[0].items():
        first, second = (torch.from_numpy(state[name]) for state in states[1:])
        assert torch.equal(first, second)
        torch.testing.assert_close(first, torch.from_numpy(expected), rtol=1e-5, atol=1e-6)
        assert (first != 0).any()


@pytest.mark.slow
def test_what_is_reported_after_a_cut_is_of_all_processes(tmp_path):
    """A file has one process's running sums, which are those of its share alone."""

    def both(name, **environment):
        place = {"WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": free_port()}
        processes = [
            started(tmp_path, name, CUT_SCRIPT, RANK=str(i), **place, **environment)
            for i in range(2)
        ]
        outputs = [process.communicate(timeout=120)[0] for process in processes]
        return outputs[0], [process.returncode for process in processes]

    whole, codes = both("whole")
    assert codes == [0, 0]
    assert [line.split()[0] for line in whole.splitlines()] == ["10", "20"]
    output, codes = both("cut", CUT="7")  # between two reports, after a checkpoint at 6
    assert output == ""
    assert all(codes)  # of a process that waits for one that is gone it is not 3
    assert both("cut") == (whole, [0, 0])
    files = [(tmp_path / f"{name}.fit").read_bytes() for name in ("whole", "cut")]
    assert files[0] == files[1]


def test_a_process_alone_has_all():
    with launched_group():
        assert (num_processes(), process_number()) == (1, 0)
        assert share_of(torch.arange(5).numpy()).tolist() == [0, 1, 2, 3, 4]
        check_share(5)
        assert from_first_process(lambda: "it") == "it"


@pytest.mark.parametrize("said", [{"WORLD_SIZE": "2"}, {"RANK": "0", "WORLD_SIZE": "2"}])
def test_what_a_launcher_did_not_say_is_not_waited_for(said, monkeypatch):
    """Schedulers of clusters set some of the names too."""
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    with launched_group():
        assert num_processes() == 1
