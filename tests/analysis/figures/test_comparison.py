"""Every figure of a comparison draws what there is, says what there is not, and never fails."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from matplotlib import pyplot as plt

from analysis.comparison.study import SeedStudy, read_seed_study
from analysis.figures.comparison import COMPARISON_FIGURES, save_comparison_figures
from analysis.figures.style import NothingToDrawError
from fedcircuits.runlog.writer import RunLog

Tables = dict[str, list[dict[str, Any]]]
WriteRun = Callable[..., RunLog]


def _skipped(study: SeedStudy, folder: Path) -> dict[str, str | None]:
    return {saved.name: saved.reason for saved in save_comparison_figures(study, folder) if saved.path is None}


@pytest.fixture(scope="module")
def study(write_module_run: WriteRun) -> SeedStudy:
    """Return two sparsities of two seeds, one of them dense."""
    paths = [write_module_run("tiny", seed=seed, sparsity=sparsity).path for seed in (0, 1) for sparsity in (0.0, 0.9)]
    return read_seed_study(paths)


@pytest.mark.parametrize("name", COMPARISON_FIGURES)
def test_every_figure_has_a_title_and_a_caption_that_counts_the_runs(name: str, study: SeedStudy) -> None:
    figure = COMPARISON_FIGURES[name](study)
    assert figure.get_suptitle()
    assert "Runs: 2 experiments × 2 seeds." in figure.get_supxlabel().replace("\n", " ")


def test_figures_are_written_under_their_names(study: SeedStudy, tmp_path: Path) -> None:
    saved = next(save_comparison_figures(study, tmp_path / "out", ["svg"]))
    assert saved.path == tmp_path / "out" / "01-accuracy.svg"
    assert saved.path.stat().st_size > 0


def test_every_seed_is_a_point(study: SeedStudy) -> None:
    panel = COMPARISON_FIGURES["01-accuracy"](study).axes[1]
    assert [len(points.get_offsets()) for points in panel.collections if len(points.get_offsets()) == 2] == [2, 2]


def test_one_experiment_of_one_seed_and_one_round_is_drawn_without_spread(write_run: WriteRun, tmp_path: Path) -> None:
    study = read_seed_study([write_run(num_rounds=1).path])
    assert _skipped(study, tmp_path) == {
        "03-sparsity": "no two experiments differ in their sparsity only",
        "11-differences": "no other experiment has a seed in common with the baseline",
    }


def test_without_shared_classes_there_is_nothing_distinct_to_draw(write_run: WriteRun) -> None:
    study = read_seed_study([write_run(is_shared=False).path])
    with pytest.raises(NothingToDrawError, match="classes that clients share beside classes that they do not"):
        COMPARISON_FIGURES["07-shared-class"](study)


def test_what_a_figure_does_not_show_is_a_sentence(write_run: WriteRun) -> None:
    def unpaired(_: int, tables: Tables) -> None:
        tables["overlap"] = []

    paths = [write_run("iid", seed=seed, partition="iid").path for seed in (0, 1)]
    paths += [write_run("other", seed=seed, change=unpaired, dirichlet_alpha=1.0).path for seed in (0, 1)]
    study = read_seed_study(paths)
    differences = COMPARISON_FIGURES["11-differences"](study)
    titles = [panel.get_title(loc="left") for panel in differences.axes[1:]]
    assert titles == ["accuracy (trained)", "transplant recall", "drift gap"]
    caption = differences.get_supxlabel().replace("\n", " ")
    assert "Without a value in both of any two: same class, adj., diff. classes, adj.." in caption
    overlap = COMPARISON_FIGURES["05-overlap-by-round"](study).get_supxlabel().replace("\n", " ")
    assert f"Without a value: {study.labels[1]}." in overlap


def test_a_run_that_logged_nothing_but_accuracy_skips_figures_of_circuits(write_run: WriteRun, tmp_path: Path) -> None:
    def drop(_: int, tables: Tables) -> None:
        for name in ("overlap", "quality", "circuits"):
            tables[name] = []

    paths = [write_run(name, change=drop, strategy=name).path for name in ("fedavg", "krum")]
    assert [name[:2] for name in _skipped(read_seed_study(paths), tmp_path)] == [
        *("03", "04", "05", "06", "07"),
        *("08", "09", "10"),
    ]


def test_without_accuracy_its_figures_are_skipped(write_run: WriteRun) -> None:
    def drop(_: int, tables: Tables) -> None:
        tables["accuracy"] = []

    study = read_seed_study([write_run(change=drop).path])
    for name in ("01-accuracy", "02-accuracy-by-round"):
        with pytest.raises(NothingToDrawError, match="no accuracy of a global model"):
            COMPARISON_FIGURES[name](study)


def test_a_family_of_sparsities_without_a_dense_control_says_so(write_run: WriteRun) -> None:
    study = read_seed_study([write_run("tiny", sparsity=sparsity).path for sparsity in (0.9, 0.95)])
    assert "No dense control among the runs: tiny." in COMPARISON_FIGURES["03-sparsity"](study).get_supxlabel()


def test_more_experiments_than_colours_are_told_apart_by_line_style(write_run: WriteRun) -> None:
    study = read_seed_study([write_run(num_rounds=1, batch_size=size).path for size in range(8)])
    legend = COMPARISON_FIGURES["02-accuracy-by-round"](study).axes[0].get_legend()
    assert legend is not None
    looks = {(line.get_color(), line.get_linestyle()) for line in legend.get_lines()[:8]}
    assert len(looks) == 8


def test_experiments_of_different_length_have_rows_of_their_own(write_run: WriteRun) -> None:
    paths = [write_run(num_rounds=rounds, strategy=str(rounds)).path for rounds in (1, 2)]
    _, *panels = COMPARISON_FIGURES["02-accuracy-by-round"](read_seed_study(paths)).axes
    assert [panel.get_ylabel() for panel in panels[::3]] == ["experiments up to round 1", "experiments up to round 2"]


def test_drawing_leaves_matplotlib_as_it_was(study: SeedStudy) -> None:
    before = dict(plt.rcParams)
    COMPARISON_FIGURES["04-overlap"](study)
    assert dict(plt.rcParams) == before
    assert plt.get_fignums() == []
