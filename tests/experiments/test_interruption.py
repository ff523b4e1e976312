import os
import signal
import subprocess
import sys
import threading

import pytest
from gymagine.experiments.interruption import ending_with_parent, interruption

WORKER = """
import os, sys
from gymagine.experiments.interruption import ending_with_parent, interruption
with interruption() as asked, ending_with_parent(os.getppid()):
    print("works", flush=True)
    print("asked to stop" if asked.wait(30) else "left alone", flush=True)
"""
PARENT = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"


def test_the_first_ctrl_c_sets_a_flag_and_the_second_raises():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), interruption() as asked:
        signal.raise_signal(signal.SIGINT)
        assert asked.is_set()
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_worker_stops_when_its_parent_is_killed():
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, WORKER], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout.readline() == "works\n"
    parent.kill()
    assert parent.stdout.readline() == "asked to stop\n"
    parent.communicate()


@pytest.mark.parametrize(
    "parent", [None, os.getpid(), os.getppid()], ids=["nobody", "itself", "its own parent"]
)
def test_who_has_its_parent_is_left_alone(parent):
    with interruption() as asked, ending_with_parent(parent):
        assert not asked.wait(1.2)
    assert not [t for t in threading.enumerate() if t.name == "watch-parent" and t.is_alive()]
