import subprocess
import sys

import pytest
from gymagine.experiments.folder_lock import FolderInUseError, folder_lock

HOLD = (
    "import sys; from pathlib import Path;"
    "from gymagine.experiments.folder_lock import folder_lock\n"
    "with folder_lock(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
)


def test_another_process_is_kept_out_until_this_one_dies(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(FolderInUseError, match="one that another works in"), folder_lock(tmp_path):
        pass
    holder.kill()  # nothing is left to be removed by hand
    holder.communicate()
    with folder_lock(tmp_path):
        pass


def test_the_folder_is_made_and_given_back(tmp_path):
    for _ in range(2):
        with folder_lock(tmp_path / "a" / "b"):
            assert (tmp_path / "a" / "b").is_dir()
