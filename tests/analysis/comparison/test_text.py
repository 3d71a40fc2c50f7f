"""A comparison as text, as JSON values and as CSV files."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.comparison.files import write_tables
from analysis.comparison.labels import seed_list
from analysis.comparison.study import SeedStudy, read_seed_study
from analysis.comparison.text import comparison_data, comparison_text
from analysis.statistics.seeds import Interval
from analysis.text.table import bounds, clip, mean_and_spread
from fedcircuits.errors import RunLogError
from fedcircuits.runlog.writer import RunLog

WriteRun = Callable[..., RunLog]


def _write(write_run: WriteRun, name: str, seed: int, **options: Any) -> Path:
    log = write_run(name, seed=seed, **options)
    log.complete()
    return log.path


@pytest.fixture(scope="module")
def study(write_module_run: WriteRun) -> SeedStudy:
    """Return three experiments of two seeds: two sparsities, one of them dense, and one that shares no class."""
    long, once = "a-name-that-is-longer-than-a-column-can-be", {"num_rounds": 1}
    write = write_module_run
    paths = [_write(write, "shared", seed, sparsity=sparsity, **once) for sparsity in (0.0, 0.9) for seed in (0, 1)]
    paths += [_write(write, long, seed, is_shared=False, strategy="krum", **once) for seed in (0, 1)]
    return read_seed_study(paths)


def _cells(text: str, *starts: str) -> list[str]:
    """Return what follows in the first line that has these words in front."""
    lines = [line.split() for line in text.splitlines()]
    return next(line[len(starts) :] for line in lines if line[: len(starts)] == list(starts))


def test_every_line_fits_a_hundred_columns(study: SeedStudy) -> None:
    assert max(len(line) for line in comparison_text(study).splitlines()) <= 100


def test_experiments_are_numbered_and_long_labels_spelled_out(study: SeedStudy) -> None:
    text = comparison_text(study)
    assert text.startswith("Comparison of 3 experiments × 2 seeds\n")
    assert _cells(text, "1", "shared", "(sparsity", "0.0)") == ["0,1", "1", "classes", "2", "0.0", "0.2000", "–"]
    assert "3 = a-name-that-is-longer-than-a-column-can-be" in text


def test_the_state_of_each_experiment_is_a_mean_with_its_spread(study: SeedStudy) -> None:
    state = comparison_text(study).split("Global model and circuits")[1]
    cells = " ".join(_cells(state, "1", "shared", "(sparsity", "0.0)"))
    assert cells == "0.400 ±0.000 0.500 ±0.000 1.0 ±0.0 7.0 ±0.0 1.00 ±0.00"


def test_the_accuracy_of_every_seed_is_shown(study: SeedStudy) -> None:
    every_seed = comparison_text(study).split("every seed")[1]
    assert _cells(every_seed, "1", "shared", "(sparsity", "0.0)") == ["0.400", "0.400"]


def test_overlaps_stand_beside_chance_and_kinds_without_pairs_are_left_out(study: SeedStudy) -> None:
    overlaps = comparison_text(study).split("Overlap of circuits")[1].split("\n\n")[0]
    same = _cells(overlaps, "1", "shared", "(sparsity", "0.0)", "same", "class")
    assert same == ["0.60", "±0.00", "0.20", "0.50", "±0.00", "–"]
    assert not [line for line in overlaps.splitlines() if line.startswith("  3 ") and "same class" in line]


def test_experiments_that_a_table_does_not_show_are_named(write_run: WriteRun) -> None:
    def unpaired(_: int, tables: dict[str, Any]) -> None:
        tables["overlap"] = []

    paths = [_write(write_run, "iid", seed) for seed in (0, 1)]
    paths += [_write(write_run, "other", seed, change=unpaired, dirichlet_alpha=1.0) for seed in (0, 1)]
    text = comparison_text(read_seed_study(paths))
    assert text.count("  without pairs of usable circuits: 2 other\n") == 1
    assert text.count("  without pairs of both kinds: 2 other\n") == 1


def test_sparse_experiments_stand_against_their_dense_control(study: SeedStudy) -> None:
    dense = comparison_text(study).split("Sparse minus dense control")[1].split("\n\n")[0]
    assert "2 shared (sparsity 0.9) minus 1 shared (sparsity 0.0)" in dense
    assert " ".join(_cells(dense, "drift", "gap")) == "0.300 0.300 +0.000 [+0.000, +0.000] 2 –"


def test_experiments_without_a_common_seed_say_so(write_run: WriteRun) -> None:
    paths = [_write(write_run, "a", 0), _write(write_run, "b", 1, strategy="krum")]
    assert "2 b minus 1 a: no seed in common" in comparison_text(read_seed_study(paths))


def test_one_experiment_of_one_seed_has_neither_spread_nor_differences(write_run: WriteRun) -> None:
    text = comparison_text(read_seed_study([_write(write_run, "a", 5)]))
    assert text.startswith("Comparison of 1 experiment × 1 seed\n")
    assert "Minus the baseline" not in text
    assert " ".join(_cells(text.split("Global model")[1], "1", "a")) == "0.700 0.875 0.0 7.0 1.00"


def test_seeds_without_a_value_are_counted_below_the_table(write_run: WriteRun) -> None:
    def drop(_: int, tables: dict[str, list[Any]]) -> None:
        tables["quality"] = []

    paths = [_write(write_run, "a", 0), _write(write_run, "a", 1, change=drop)]
    assert "1 a, drift gap: 1 of 2 seeds have a value" in comparison_text(read_seed_study(paths))


def test_last_rounds_that_differ_between_experiments_are_pointed_out(write_run: WriteRun) -> None:
    paths = [_write(write_run, "a", 0), _write(write_run, "b", 0, num_rounds=1, strategy="krum")]
    assert "paired by seed, second half of rounds (of 1, 2)" in comparison_text(read_seed_study(paths))


def test_many_seeds_continue_in_another_block(write_run: WriteRun) -> None:
    paths = [_write(write_run, "a", seed, num_rounds=1) for seed in range(9)]
    every_seed = comparison_text(read_seed_study(paths)).split("every seed")[1]
    assert [line.split()[1:] for line in every_seed.splitlines() if line.startswith("  seed")] == [
        [str(seed) for seed in range(8)],
        ["8"],
    ]


def test_json_holds_every_table_and_null_for_what_is_undefined(study: SeedStudy) -> None:
    data = comparison_data(study)
    json.dumps(data, allow_nan=False)
    assert data["baseline"] == "shared (sparsity 0.0)"
    assert list(data["experiments"][0]["runs"]) == ["0", "1"]
    undefined = {"experiment": study.labels[2], "measure": "same_class_iou", "mean": None, "num_seeds": 0}
    assert any(undefined.items() <= row.items() for row in data["seed_means"])


def test_csv_files_hold_every_seed_the_means_and_the_differences(study: SeedStudy, tmp_path: Path) -> None:
    paths = list(write_tables(study, tmp_path / "out"))
    assert [path.name for path in paths] == ["seed-values.csv", "seed-means.csv", "differences.csv", "trends.csv"]
    values, means, differences, _ = (pd.read_csv(path) for path in paths)
    assert len(values.query("measure == 'accuracy'")) == 3 * 2
    assert means.query("measure == 'accuracy'")["mean"].tolist() == pytest.approx([0.4, 0.4, 0.4])
    assert set(differences["against"]) == {"baseline", "dense", "within"}


def test_a_single_experiment_gives_tables_too(write_run: WriteRun, tmp_path: Path) -> None:
    study = read_seed_study([_write(write_run, "a", 0, is_shared=False)])
    *_, differences, _ = write_tables(study, tmp_path)
    assert pd.read_csv(differences).empty


def test_a_folder_that_cannot_be_written_is_an_error(study: SeedStudy, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(RunLogError, match="cannot write tables to"):
        list(write_tables(study, blocked))


def test_cells_leave_out_what_one_seed_cannot_tell() -> None:
    several, one = Interval(0.5, 0.1, -0.25, 0.75, 3), Interval(0.5, *[float("nan")] * 3, num_seeds=1)
    assert (mean_and_spread(several, 2), bounds(several, 2)) == ("0.50 ±0.10", "[-0.25, +0.75]")
    assert (mean_and_spread(one, 2), bounds(one, 2)) == ("0.50", "–")


def test_long_labels_are_shortened_in_their_middle() -> None:
    assert clip("digits-iid (sparsity 0.95)", 11) == "digit…0.95)"
    assert clip("short", 5) == "short"


@pytest.mark.parametrize(
    ("seeds", "shown"), [([3], "3"), ([0, 1, 2], "0–2"), ([0, 2, 5], "0,2,5"), ([10, 20, 30, 40], "4 seeds")]
)
def test_seeds_are_shown_as_a_range_where_they_follow_each_other(seeds: list[int], shown: str) -> None:
    assert seed_list(seeds) == shown
