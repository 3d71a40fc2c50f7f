"""Reading a run directory."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from analysis import Run, load_run
from fedcircuits.errors import RunLogError
from fedcircuits.records import TABLES
from fedcircuits.runlog.writer import RunLog

WriteRun = Callable[..., RunLog]

NOT_WRITTEN = {
    *("masks", "circuit_interference"),
}
"""Tables without rows in the tiny run."""


def test_every_table_is_there_with_the_columns_of_the_schema(tiny_run: Run) -> None:
    for name, schema in TABLES.items():
        table = getattr(tiny_run, name)
        assert list(table.columns) == schema.names
        assert set(table["round"]) == (set() if name in NOT_WRITTEN else {1, 2}), name


def test_settings_are_those_of_run_json(tiny_run: Run) -> None:
    assert tiny_run.settings["seed"] == 7
    assert tiny_run.info["status"] == "completed"


def start_at(run: Path, started: str) -> None:
    info = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**info, "started": started}))


def test_a_folder_of_runs_gives_the_one_that_started_last_whatever_it_is_called(write_run: WriteRun) -> None:
    older = write_run().path
    newer = shutil.copytree(older, older.with_name("a renamed one"))
    start_at(older, "2026-01-01T11:00:00+00:00")
    start_at(newer, "2026-01-01T13:00:00+01:00")
    assert load_run(older.parent).path == newer
    start_at(newer, "2026-01-01T11:30:00+01:00")  # half an hour before the other
    assert load_run(older.parent).path == older


def test_a_damaged_newest_run_is_not_passed_over(write_run: WriteRun) -> None:
    older = write_run().path
    newer = shutil.copytree(older, older.with_name("a newer one"))
    (newer / "run.json").write_text("{")
    with pytest.raises(RunLogError, match="a newer one"):
        load_run(older.parent)


def test_a_run_that_still_runs_is_read_up_to_its_last_round(write_run: WriteRun) -> None:
    run = load_run(write_run(num_rounds=1).path)
    assert run.info["status"] == "running"
    assert set(run.clients["round"]) == {1}


def test_a_run_without_any_round_has_empty_tables(write_run: WriteRun) -> None:
    run = load_run(write_run(num_rounds=0).path)
    assert run.clients.empty
    assert list(run.overlap.columns) == TABLES["overlap"].names


def test_parts_beyond_the_last_whole_round_are_ignored(write_run: WriteRun) -> None:
    path = write_run().path
    info = json.loads((path / "run.json").read_text())
    (path / "run.json").write_text(json.dumps({**info, "last_round": 1}))
    run = load_run(path)
    assert all(set(getattr(run, name)["round"]) <= {1} for name in TABLES)
    assert set(run.overlap["round"]) == {1}


def test_a_folder_without_runs_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(RunLogError, match=str(tmp_path)):
        load_run(tmp_path)


def test_run_json_without_settings_is_an_error(write_run: WriteRun) -> None:
    path = write_run().path
    info = json.loads((path / "run.json").read_text())
    del info["settings"]
    (path / "run.json").write_text(json.dumps(info))
    with pytest.raises(RunLogError, match="settings"):
        load_run(path)


def test_a_run_can_be_read_beside_a_package_that_is_called_analysis_too_without_torch(
    write_run: WriteRun, tmp_path: Path
) -> None:
    (tmp_path / "analysis").mkdir()
    (tmp_path / "analysis" / "__init__.py").write_text("mine = True\n")
    lines = [
        "import sys, analysis",
        "from fedcircuits import load_run",
        f"run = load_run({str(write_run().path)!r})",
        "assert analysis.mine and len(run.accuracy)",
        "print([name for name in ('torch', 'matplotlib', 'flwr') if name in sys.modules])",
    ]
    command = [sys.executable, "-c", "\n".join(lines)]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout == "[]\n"
