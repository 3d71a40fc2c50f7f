"""Exit codes, messages and files of `python -m analysis compare`."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from analysis.__main__ import main
from analysis.figures import comparison
from fedcircuits.runlog.writer import RunLog

WriteRun = Callable[..., RunLog]

TABLES = ("seed-values.csv", "seed-means.csv", "differences.csv", "trends.csv")

Output = pytest.CaptureFixture[str]


@pytest.fixture
def folder(write_run: WriteRun) -> Path:
    """Return a folder of two completed seeds of one experiment."""
    logs = [write_run("tiny", num_rounds=1, seed=seed) for seed in (0, 1)]
    for log in logs:
        log.complete()
    return logs[0].path.parent


def test_tables_and_figures_are_written_into_the_folder_of_runs_and_listed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    names = ("01-accuracy", "03-sparsity")
    monkeypatch.setattr(comparison, "COMPARISON_FIGURES", {name: comparison.COMPARISON_FIGURES[name] for name in names})
    assert main(["compare", str(folder), "--as", "svg"]) == 0
    captured = capsys.readouterr()
    text = captured.out
    assert text.startswith("Comparison of 1 experiment × 2 seeds")
    out = folder / "comparison"
    assert text.splitlines()[-5:] == [str(out / name) for name in (*TABLES, "01-accuracy.svg")]
    assert captured.err == "skipped 03-sparsity: no two experiments differ in their sparsity only\n"
    assert (out / "01-accuracy.svg").is_file()


def test_single_runs_are_compared_into_the_current_folder(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["compare", *map(str, folder.iterdir()), "--tables-only"]) == 0
    assert sorted(path.suffix for path in (tmp_path / "comparison").iterdir()) == [".csv"] * 4


def test_json_alone_is_printed_and_lists_the_files(folder: Path, tmp_path: Path, capsys: Output) -> None:
    out = tmp_path / "out"
    assert main(["compare", str(folder), "--format", "json", "--tables-only", "--out", str(out)]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["files"] == [str(out / name) for name in TABLES]
    assert data["experiments"][0]["label"] == "tiny"


def test_what_a_comparison_wrote_is_no_run_in_the_next(folder: Path, capsys: Output) -> None:
    for _ in range(2):
        assert main(["compare", str(folder), "--tables-only"]) == 0
        assert "Comparison of 1 experiment × 2 seeds" in capsys.readouterr().out


def test_without_completed_runs_there_is_one_line_on_stderr(write_run: WriteRun, capsys: Output) -> None:
    folder = write_run(num_rounds=1).path.parent
    assert main(["compare", str(folder)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: no completed run found in")
    assert captured.err.count("\n") == 1


def test_an_unknown_baseline_is_one_line_on_stderr_and_nothing_is_written(folder: Path, capsys: Output) -> None:
    assert main(["compare", str(folder), "--baseline", "dense"]) == 2
    assert capsys.readouterr().err.startswith("error: baseline: no experiment is called 'dense'; there are 'tiny'")
    assert not (folder / "comparison").exists()
