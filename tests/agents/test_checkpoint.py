"""What the files of all agents have in common."""

import numpy as np
import pytest
from gymagine.agents.checkpoint import (
    check_same_space,
    checked_seed,
    damage_in,
    package_versions,
)
from gymnasium import spaces


def test_seeds():
    assert checked_seed(np.int64(3)) == 3
    assert checked_seed(None) != checked_seed(None)
    for wrong in (-1, 1.5, True, "0"):
        with pytest.raises(ValueError, match="expected a seed"):
            checked_seed(wrong)


def test_spaces():
    check_same_space("action", spaces.Discrete(3), spaces.Discrete(3))
    with pytest.raises(ValueError, match="action space Discrete"):
        check_same_space("action", spaces.Discrete(3), spaces.Discrete(3, start=1))


def test_damage_is_named_after_its_file():
    with pytest.raises(ValueError, match="got here, which is damaged"), damage_in("here"):
        {}["missing"]


def test_versions():
    assert package_versions().keys() >= {"gymagine", "numpy"}
