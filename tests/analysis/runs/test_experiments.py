"""Grouping runs into experiments."""

import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from analysis.runs.experiments import IMAGES, SPLIT, Experiment, group, read_seed_runs
from fedcircuits.errors import RunLogError
from fedcircuits.runlog.writer import RunLog
from fedcircuits.settings import DataSettings
from fedcircuits.settings.config_values import kebab

WriteRun = Callable[..., RunLog]


def _run(write_run: WriteRun, name: str = "iid", num_rounds: int = 1, **settings: Any) -> Path:
    log = write_run(name, num_rounds, **settings)
    log.complete()
    return log.path


def _change(path: Path, **facts: Any) -> None:
    file = path / "run.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | facts))


def _group(*paths: Path) -> tuple[tuple[Experiment, ...], tuple[str, ...]]:
    return group(read_seed_runs(paths))


def test_runs_that_differ_in_seed_and_machine_only_are_one_experiment(write_run: WriteRun) -> None:
    first = _run(write_run, seed=1, device="cpu", run_dir="here", num_checkpoints=1, run_name="iid")
    second = _run(write_run, seed=0, device="cuda", run_dir="there", num_checkpoints=5, num_threads=8)
    (experiment,), notes = _group(first, second)
    assert (experiment.label, experiment.seeds, notes) == ("iid", [0, 1], ())
    assert [run.path for run in experiment.runs] == [second, first]


def test_experiments_of_one_name_get_the_settings_in_which_they_differ(write_run: WriteRun) -> None:
    paths = [_run(write_run, sparsity=sparsity) for sparsity in (0.9, 0.95)]
    experiments, _ = _group(*paths, _run(write_run, "classes", sparsity=0.5))
    assert [one.label for one in experiments] == ["iid (sparsity 0.9)", "iid (sparsity 0.95)", "classes"]


def test_other_images_under_the_same_settings_are_another_experiment(write_run: WriteRun) -> None:
    here, moved, other = (_run(write_run, seed=seed, data_dir=f"hospital{seed}") for seed in range(3))
    for path, images in ((here, "aa"), (moved, "aa"), (other, "bb")):
        _change(path, data={"train": images, "heldout": "cc"})
    (one, two), _ = _group(here, moved, other)
    assert [run.path for run in one.runs] == [here, moved]
    assert [run.path for run in two.runs] == [other]
    assert one.label.startswith("iid (images ")
    assert not one.has_clients_of(two)


def test_other_images_of_a_client_are_another_experiment(write_run: WriteRun) -> None:
    paths = [_run(write_run, seed=seed) for seed in range(2)]
    for path, digits in zip(paths, ("11", "22"), strict=True):
        clients = [{"partition_id": 0, "label": None, "fingerprint": digits}]
        _change(path, data={"train": "aa", "heldout": "cc"}, clients=clients)
    assert len(_group(*paths)[0]) == 2


def test_settings_that_a_run_lacks_are_shown_as_missing(write_run: WriteRun) -> None:
    experiments, _ = _group(_run(write_run), _run(write_run, strategy="krum"))
    assert [one.label for one in experiments] == ["iid (strategy –)", "iid (strategy krum)"]


def test_the_same_settings_under_two_names_are_one_experiment_with_both(write_run: WriteRun) -> None:
    (experiment,), _ = _group(_run(write_run, "a", seed=0), _run(write_run, "b", seed=1))
    assert experiment.label == "a / b"


def test_another_number_of_clients_is_another_experiment(write_run: WriteRun) -> None:
    two, three = _run(write_run, seed=0), _run(write_run, seed=1)
    _change(three, num_clients=3)
    experiments, _ = _group(two, three)
    assert [one.label for one in experiments] == ["iid (num-clients 2)", "iid (num-clients 3)"]


def test_of_two_runs_of_one_seed_the_newest_completed_one_counts_and_a_note_says_so(write_run: WriteRun) -> None:
    oldest, newer, failed = (_run(write_run) for _ in range(3))
    _change(oldest, started="2026-01-01T00:00:00+00:00")
    _change(newer, started="2026-01-02T00:00:00+00:00")
    _change(failed, started="2026-01-03T00:00:00+00:00", status="failed")
    (experiment,), notes = _group(newer, failed, oldest)
    assert [run.path for run in experiment.runs] == [newer]
    assert notes == (f"iid, seed 7: 3 runs; {newer.name}, the newest whole one, counts",)


def test_seeds_of_different_length_are_compared_up_to_the_shortest_and_a_note_says_so(write_run: WriteRun) -> None:
    (experiment,), notes = _group(_run(write_run, num_rounds=2, seed=0), _run(write_run, num_rounds=1, seed=1))
    assert experiment.last_round == 1
    assert notes == ("iid: seeds have up to 2 rounds, but seed 1 has 1; compared up to round 1",)


def test_a_run_without_a_whole_round_is_left_out_with_a_note(write_run: WriteRun) -> None:
    empty = write_run("empty", num_rounds=0).path
    (experiment,), notes = _group(_run(write_run), empty)
    assert experiment.label == "iid"
    assert notes == (f"{empty.name} has no whole round; left out",)


def test_without_any_whole_round_there_is_nothing_to_compare(write_run: WriteRun) -> None:
    with pytest.raises(RunLogError, match="no run has a whole round"):
        _group(write_run("empty", num_rounds=0).path)


def test_runs_of_different_code_are_pointed_out(write_run: WriteRun) -> None:
    paths = [_run(write_run, seed=seed) for seed in range(2)]
    _change(paths[1], code_digest="another")
    assert _group(*paths)[1] == ("the runs were made by 2 different versions of the code",)


def test_a_run_without_a_seed_is_an_error_that_names_it(write_run: WriteRun) -> None:
    path = _run(write_run)
    _change(path, settings={"sparsity": 0.9})
    with pytest.raises(RunLogError, match=path.name):
        read_seed_runs([path])


def test_seeds_whose_classes_rotate_are_one_experiment(write_run: WriteRun) -> None:
    rotating = {"partition": "classes", "client_classes": "0,1;0,9", "rotate_classes": True}
    (experiment,), _ = _group(*(_run(write_run, seed=seed, **rotating) for seed in range(2)))
    assert experiment.seeds == [0, 1]


def test_clients_are_the_same_where_nothing_that_splits_the_data_differs(write_run: WriteRun) -> None:
    runs = [_run(write_run, sparsity=0.9), _run(write_run, strategy="krum"), _run(write_run, partition="dirichlet")]
    (sparse, krum, dirichlet), _ = _group(*runs)
    assert sparse.has_clients_of(krum)
    assert not sparse.has_clients_of(dirichlet)


def test_every_setting_of_the_data_belongs_to_the_split_but_its_folder() -> None:
    assert {kebab(field.name) for field in fields(DataSettings)} - {"data-dir"} == set(SPLIT) - {IMAGES}
