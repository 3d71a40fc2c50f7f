"""What commands print for programs: strict JSON and CSV, alone on stdout; and what becomes of pipes and damage."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.__main__ import main
from analysis.commands.output import csv_text
from analysis.measures.by_seed import MEASURES
from analysis.text.plain_json import json_text
from fedcircuits.runlog.writer import RunLog

Tables = dict[str, list[dict[str, Any]]]
WriteRun = Callable[..., RunLog]
Output = pytest.CaptureFixture[str]


def strict(text: str) -> Any:
    """Read JSON as RFC 8259 has it: Python's reader would take NaN and Infinity."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


def forget(_: int, tables: Tables) -> None:
    """Leave figures undefined."""
    for row in tables["overlap"]:
        row |= {"iou": None, "expected_iou": None, "adjusted_iou": None, "phi": None}
    for row in tables["ladder"]:
        row["accuracy"] = float("nan")


@pytest.mark.parametrize("command", ["summary", "diagnose", "status", "follows", "compare", "verdicts"])
def test_json_is_strict_and_alone_on_stdout(command: str, write_run: WriteRun, tmp_path: Path, capsys: Output) -> None:
    log = write_run("digits-iid", change=forget)
    log.complete()
    options = ["--tables-only", "--out", str(tmp_path / "out")] if command == "compare" else []
    assert main([command, str(log.path), "--format", "json", *options]) == 0
    assert strict(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("command", "columns", "num_rows"),
    [
        ("summary", ["round", "accuracy", "collapsed", "same_class_iou"], 2),
        ("follows", ["name", "coefficient", "p_value"], 4),
        ("compare", ["experiment", "measure", "mean", "sd", "low", "high"], len(MEASURES)),
        ("verdicts", ["claim", "family", "verdict", "condition", "decision", "mean"], 5),
    ],
)
def test_csv_is_one_table_alone_on_stdout(
    command: str, columns: list[str], num_rows: int, write_run: WriteRun, tmp_path: Path, capsys: Output
) -> None:
    log = write_run("digits-iid")
    log.complete()
    options = ["--tables-only", "--out", str(tmp_path / "out")] if command == "compare" else []
    assert main([command, str(log.path), "--format", "csv", *options]) == 0
    table = pd.read_csv(io.StringIO(capsys.readouterr().out))
    assert set(columns) <= set(table.columns)
    assert len(table) == num_rows


def test_the_summary_as_csv_has_the_figures_of_the_run(write_run: WriteRun, capsys: Output) -> None:
    main(["summary", str(write_run().path), "--format", "csv"])
    table = pd.read_csv(io.StringIO(capsys.readouterr().out), dtype={"collapsed": str})
    assert table["same_class_iou"].tolist() == pytest.approx([0.6, 0.6])
    assert table["drift_gap"].tolist() == pytest.approx([0.3, 0.3])


def test_undefined_figures_are_null_in_json_and_empty_in_csv() -> None:
    values = [float("nan"), float("inf"), pd.NA, None, 1.5]
    assert strict(json_text({"values": values, "nested": {"path": Path("runs")}})) == {
        "values": [None, None, None, None, 1.5],
        "nested": {"path": "runs"},
    }
    assert csv_text(pd.DataFrame({"a": [[1, 2], []], "b": [float("nan"), 0.5]})) == "a,b\n1 2,\n,0.5\n"


def test_status_as_json_keeps_the_exit_code_and_says_how_to_go_on(write_run: WriteRun, capsys: Output) -> None:
    log = write_run(num_rounds=1)
    log.fail("node lost")
    assert main(["status", str(log.path), "--format", "json"]) == 1
    said = strict(capsys.readouterr().out)
    assert (said["status"], said["reason"], said["last_round"], said["num_rounds"]) == ("failed", "node lost", 1, 2)
    assert said["resume_command"].startswith("flwr run . ")


def truncate(run: Path) -> None:
    (run / "run.json").write_text('{"schema_version": 2, "last')


def age(run: Path) -> None:
    info = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**info, "schema_version": 1}))


def garble(run: Path) -> None:
    (run / "run.json").write_bytes(b"\xff\xfe\x00")


def spoil(run: Path) -> None:
    next((run / "overlap").iterdir()).write_bytes(b"PAR1 but no table")


def lose(run: Path) -> None:
    (run / "quality" / "round-0001.parquet").unlink()


DAMAGES = {truncate: "cannot be read", age: "is not of schema version 3", garble: "cannot be read"}
DAMAGES |= {spoil: "cannot be read", lose: "is missing, though"}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("command", ["summary", "figures", "diagnose", "follows", "status", "compare", "verdicts"])
def test_a_damaged_or_older_run_is_one_line_that_names_the_file(
    command: str, damage: Callable[[Path], None], write_run: WriteRun, capsys: Output
) -> None:
    log = write_run("digits-iid")
    log.complete()
    damage(log.path)
    assert main([command, str(log.path)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("error: ")
    assert str(log.path) in captured.err
    assert DAMAGES[damage] in captured.err


@pytest.mark.parametrize("command", ["summary", "figures", "diagnose", "follows", "status"])
def test_a_run_without_any_round_is_no_traceback(command: str, write_run: WriteRun, capsys: Output) -> None:
    assert main([command, str(write_run(num_rounds=0).path)]) in {0, 1, 2}
    assert capsys.readouterr().err.count("\n") <= 1


def test_ctrl_c_is_one_word_and_exits_with_130(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("analysis.commands.summary.load_run", interrupt)
    assert main(["summary"]) == 130
    assert capsys.readouterr().err == "interrupted\n"


def run_in_a_shell(command: str, path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}", "bash", sys.executable, str(path)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def test_pipes_that_close_and_disks_that_are_full_are_no_traceback(write_run: WriteRun) -> None:
    path = write_run().path
    gone = run_in_a_shell('"$1" -m analysis summary "$2" | true', path)
    assert (gone.returncode, gone.stderr) == (0, "")
    full = run_in_a_shell('"$1" -m analysis summary "$2" > /dev/full', path, PYTHONIOENCODING="ascii:strict")
    assert full.returncode == 2
    assert full.stderr == "error: [Errno 28] No space left on device\n"


def test_a_dash_prints_what_else_would_be_written(
    write_run: WriteRun, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write_run().path
    assert main(["report", str(path), "--out", "-"]) == 0
    assert capsys.readouterr().out.startswith("<!doctype html>")
    assert main(["verdicts", str(path), "--out", "-"]) == 0
    assert capsys.readouterr().out.startswith("# Results")
    assert not (tmp_path / "-").exists()


def test_a_device_is_not_replaced_by_a_page(write_run: WriteRun, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(write_run().path), "--out", "/dev/null"]) == 2
    assert "/dev/null cannot be written: it is there already and is no regular file" in capsys.readouterr().err
    assert Path("/dev/null").is_char_device()


def test_a_closed_output_is_an_error_and_no_traceback(write_run: WriteRun) -> None:
    done = run_in_a_shell('"$1" -m analysis summary "$2" >&-', write_run().path)
    assert (done.returncode, done.stderr) == (2, "error: standard output is closed\n")
