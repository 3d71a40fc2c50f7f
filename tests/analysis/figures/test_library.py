"""What docs/library.md and docs/example.py say of analysis as a library is true."""

import importlib
import inspect
import re
import runpy
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from federation import InProcessGrid
from tiny_runs import run_tiny

from analysis import Run
from analysis.figures import FIGURES, PAPER_FIGURES
from analysis.figures.comparison import COMPARISON_FIGURES

DOCS = Path(__file__).parents[3] / "docs"

ROW = re.compile(r"^\| `([\w.]+)` \| (.*?) \|(?: `([\w/-]+)` \|)?$", flags=re.MULTILINE)
"""A function, what it does, and the file that it draws."""


def rows() -> dict[str, tuple[str, str]]:
    page = (DOCS / "library.md").read_text(encoding="utf-8")
    return {name: (what, file) for name, what, file in ROW.findall(page)}


def function(name: str) -> Callable[..., Any]:
    module, _, member = name.rpartition(".")
    found: Callable[..., Any] = getattr(importlib.import_module(module), member)
    return found


@pytest.mark.parametrize("name", rows())
def test_a_function_of_the_page_is_there_and_does_what_its_own_first_line_says(name: str) -> None:
    described = inspect.getdoc(function(name))
    assert described is not None
    assert rows()[name][0] == described.splitlines()[0]


def test_the_page_has_every_figure_with_the_file_that_it_draws() -> None:
    drawn = {file: function(name) for name, (_, file) in rows().items() if file}
    assert drawn == FIGURES | PAPER_FIGURES | COMPARISON_FIGURES


def test_every_figure_function_shows_what_it_takes() -> None:
    for draw in (FIGURES | PAPER_FIGURES | COMPARISON_FIGURES).values():
        assert list(inspect.signature(draw).parameters)[1:] == ["figure", "style"]
        assert inspect.getdoc(draw)


def test_the_run_log_describes_every_table_of_a_run() -> None:
    log = (DOCS / "run-log.md").read_text(encoding="utf-8")
    tables = [field.name for field in fields(Run) if field.name not in {"path", "info"}]
    assert [name for name in tables if f"**{name}**" not in log] == []


def test_the_example_runs_from_its_first_cell_to_its_last(
    defaults: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for sparsity in (0.0, 0.5):
        run_tiny(InProcessGrid(2, seed=0), tmp_path / "runs", defaults, num_server_rounds=1, sparsity=sparsity)
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    runpy.run_path(str(DOCS / "example.py"))
    said = capsys.readouterr().out
    assert "completed, 1 rounds, sparsity 0.5" in said
    assert "accuracy +" in said or "accuracy -" in said
    assert {"who-holds-what.png", "two-runs.png", "accuracy.png"} <= {
        path.name for path in (tmp_path / "example-figures").iterdir()
    }
