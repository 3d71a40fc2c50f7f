"""Which run directories a comparison is about."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analysis.runs.collection import SWEEP_FILE, find_runs, is_folder_of_runs
from fedcircuits.errors import RunLogError
from fedcircuits.runlog.writer import RunLog

WriteRun = Callable[..., RunLog]


def _completed(write_run: WriteRun, name: str) -> Path:
    log = write_run(name, num_rounds=1)
    log.complete()
    return log.path


def _entry(status: str, run: Path | None, seed: int = 0) -> dict[str, Any]:
    entry = {"experiment": "iid", "seed": seed, "status": status, "run": run and run.name}
    return {**entry, "seconds": 61.2 if run else None, "reason": None}


def _write_index(folder: Path, *entries: Any, version: int = 1) -> None:
    (folder / SWEEP_FILE).write_text(json.dumps({"schema_version": version, "runs": list(entries)}))


def test_a_run_directory_is_itself(write_run: WriteRun) -> None:
    path = _completed(write_run, "one")
    found = find_runs([path])
    assert found.runs == (path,)
    assert found.notes == ()
    assert not is_folder_of_runs(path)


def test_a_run_that_is_named_counts_though_it_has_failed_and_a_note_says_so(write_run: WriteRun) -> None:
    log = write_run("lost", num_rounds=1)
    log.fail("node lost")
    found = find_runs([log.path])
    assert found.runs == (log.path,)
    assert found.notes == (f"{log.path.name}: failed; counts up to round 1",)


def test_of_a_folder_only_completed_runs_count_and_the_others_are_counted(write_run: WriteRun) -> None:
    path = _completed(write_run, "whole")
    written = write_run("a", num_rounds=1)
    write_run("b", num_rounds=1).fail("node lost")
    write_run("c", num_rounds=1).close()
    found = find_runs([path.parent])
    assert found.runs == (path,)
    assert found.notes == ("runs: 3 of 4 runs do not count (1 failed, 1 interrupted, 1 running)",)
    assert find_runs([written.path]).notes == (f"{written.path.name}: running; counts up to round 1",)
    assert is_folder_of_runs(path.parent)


def test_a_run_that_is_named_twice_counts_once(write_run: WriteRun) -> None:
    path = _completed(write_run, "one")
    assert find_runs([path, path.parent, path / ".." / path.name]).runs == (path,)


def test_of_a_sweep_the_completed_runs_of_its_index_count_in_its_order(write_run: WriteRun) -> None:
    first, second = _completed(write_run, "b"), _completed(write_run, "a")
    _write_index(first.parent, _entry("completed", first), _entry("completed", second, seed=1))
    found = find_runs([first.parent])
    assert found.runs == (first, second)
    assert found.notes == ()


def test_planned_runs_without_a_result_are_counted_and_failed_ones_named(write_run: WriteRun) -> None:
    path = _completed(write_run, "one")
    entries = [_entry("completed", path), _entry("failed", None, seed=1), _entry("pending", None, seed=2)]
    _write_index(path.parent, *entries)
    assert find_runs([path.parent]).notes == (
        "runs: 2 of 3 planned runs are missing (1 failed, 1 pending); failed: iid seed 1",
    )


def test_leftovers_of_attempts_do_not_count_even_if_their_run_was_completed(write_run: WriteRun) -> None:
    path, _ = _completed(write_run, "one"), _completed(write_run, "leftover")
    _write_index(path.parent, _entry("completed", path))
    found = find_runs([path.parent])
    assert found.runs == (path,)
    assert found.notes == ("runs: 1 more in the folder left out, not completed according to sweep.json",)


def test_a_run_that_the_index_calls_completed_but_is_not_is_left_out(write_run: WriteRun) -> None:
    path, unfinished = _completed(write_run, "one"), write_run("half", num_rounds=1).path
    missing = path.with_name("gone")
    _write_index(path.parent, *(_entry("completed", one) for one in (path, unfinished, missing)))
    found = find_runs([path.parent])
    assert found.runs == (path,)
    assert found.notes == (
        f"runs: {unfinished.name} is completed according to sweep.json, but is interrupted; left out",
        "runs: gone is completed according to sweep.json, but is not there; left out",
    )


@pytest.mark.parametrize("text", ["{", "[]", '{"schema_version": 1}', '{"schema_version": 1, "runs": [{}]}'])
def test_a_damaged_index_is_an_error_that_names_it(text: str, tmp_path: Path) -> None:
    (tmp_path / SWEEP_FILE).write_text(text)
    with pytest.raises(RunLogError, match=SWEEP_FILE):
        find_runs([tmp_path])


def test_an_index_of_another_version_is_refused(tmp_path: Path) -> None:
    _write_index(tmp_path, version=2)
    with pytest.raises(RunLogError, match="schema version 1"):
        find_runs([tmp_path])


@pytest.mark.parametrize("run", ["../elsewhere", "/etc", "", None, 3])
def test_an_index_cannot_name_a_run_outside_of_its_folder(run: Any, tmp_path: Path) -> None:
    _write_index(tmp_path, {**_entry("completed", None), "run": run})
    with pytest.raises(RunLogError, match="entry 0 of runs: run must be the name of a folder"):
        find_runs([tmp_path])


def test_without_any_completed_run_the_error_says_what_there_is(write_run: WriteRun) -> None:
    folder = write_run("a", num_rounds=1).path.parent
    with pytest.raises(RunLogError, match=r"no completed run found in .*1 of 1 runs do not count \(1 interrupted\)"):
        find_runs([folder])


def test_a_path_that_does_not_exist_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(RunLogError, match="nowhere does not exist"):
        find_runs([tmp_path / "nowhere"])


def test_a_file_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunLogError, match="file is no run or folder of runs"):
        find_runs([tmp_path / "file"])


def test_an_imported_log_in_a_folder_has_no_seed_to_compare_by(write_run: WriteRun) -> None:
    path = _completed(write_run, "ours")
    imported = write_run("theirs", num_rounds=1)
    imported.note(settings={"imported-from": "log.json"})
    imported.complete()
    found = find_runs([path.parent])
    assert found.runs == (path,)
    assert found.notes == ("runs: 1 of 2 runs do not count (1 imported)",)


def test_a_folder_of_sweeps_is_no_sweep_but_the_error_names_them(write_run: WriteRun) -> None:
    path = _completed(write_run, "one")
    _write_index(path.parent, _entry("completed", path))
    with pytest.raises(RunLogError, match=rf"sweeps lie one level down, name them: {path.parent}$"):
        find_runs([path.parent.parent])
