import io
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
from gymagine.experiments.plots import planned_plots, write_plots
from matplotlib.image import imread

ALL = [
    "learning_curves",
    "final_returns",
    "normalised_returns",
    "performance_profiles",
    "probability_of_improvement",
]


def stems(comparison):
    return [plot.stem for plot in planned_plots(comparison)]


def test_what_is_planned_is_written_as_png_and_svg(mixed_comparison, tmp_path):
    paths = write_plots(mixed_comparison, tmp_path / "plots")
    assert stems(mixed_comparison) == ALL
    expected = {f"{stem}.{suffix}" for stem in ALL for suffix in ("png", "svg")}
    assert {path.name for path in paths} == expected
    assert {path.name for path in (tmp_path / "plots").iterdir()} == expected
    for path in paths:
        if path.suffix == ".svg":
            assert ElementTree.parse(path).getroot().tag.endswith("svg")
        else:
            image = imread(io.BytesIO(path.read_bytes()), format="png")[..., :3]
            assert min(image.shape[:2]) > 200
            # a white margin on every side: nothing is cut off
            for edge in (image[0], image[-1], image[:, 0], image[:, -1]):
                assert np.all(edge == 1.0)
            assert image.std() > 0.03


def test_plots_follow_from_what_there_is(make_run, make_comparison):
    curve = {"curve_steps": [0], "curve_returns": [0.0]}
    one, failed = make_run(**curve), make_run(agent="sarsa", final=None)
    assert stems(make_comparison([failed])) == []
    assert stems(make_comparison([one, failed], optimum=None)) == ALL[:2]
    assert stems(make_comparison([one, failed])) == [ALL[0], ALL[1], ALL[3]]
    assert stems(make_comparison([make_run(), make_run(agent="sarsa")], control=None)) == [
        ALL[1],
        ALL[4],
    ]


@pytest.mark.parametrize(
    "sizes", [(1, 1, 1), (1, 12, 2), pytest.param((6, 3, 2), marks=pytest.mark.slow)]
)
@pytest.mark.filterwarnings("error")
def test_small_and_large_comparisons_are_drawn_without_a_warning(
    make_large_comparison, tmp_path, sizes
):
    comparison = make_large_comparison(*sizes)
    if sizes == (1, 1, 1):
        assert "learning_curves" not in stems(comparison)
    assert len(write_plots(comparison, tmp_path)) == 2 * len(planned_plots(comparison))


def test_no_references_and_one_seed(make_run, make_comparison, tmp_path):
    curve = {"curve_steps": [0, 10], "curve_returns": [0.0, 0.5]}
    runs = [make_run(**curve), make_run(agent="sarsa", final=0.5, **curve)]
    comparison = make_comparison(runs, optimum=None, control=None)
    assert len(write_plots(comparison, tmp_path)) == 6


def test_equal_comparisons_give_equal_bytes(make_large_comparison, tmp_path):
    comparison = make_large_comparison(1, 2, 3)
    first, second = (write_plots(comparison, tmp_path / name) for name in ("a", "b"))
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_reports_and_plans_do_not_import_matplotlib():
    code = (
        "import sys; from gymagine.experiments import plots, report;"
        "assert not any(name.startswith('matplotlib') for name in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_drawing_leaves_no_global_state():
    code = (
        "import sys; from gymagine.experiments import curve_plots, score_plots;"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
