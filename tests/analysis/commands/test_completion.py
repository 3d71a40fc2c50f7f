"""What the tab key offers."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analysis.__main__ import build_parser
from analysis.commands import completion
from analysis.commands.completion import run_paths, set_completers
from fedcircuits.runlog.writer import RunLog

WriteRun = Callable[..., RunLog]


@pytest.fixture
def name(write_run: WriteRun, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of a run in `runs`, beside which there is another folder."""
    log = write_run()
    folder = log.path.parent.parent
    (folder / "docs").mkdir()
    monkeypatch.chdir(folder)
    return log.path.name


def test_runs_are_offered_from_the_default_folder_and_from_the_one_typed(name: str) -> None:
    assert run_paths("") == ["docs/", "runs/", f"runs/{name}"]
    assert run_paths("ru") == ["runs/", f"runs/{name}"]
    assert run_paths(f"runs/{name[:4]}") == [f"runs/{name}"]
    assert run_paths("docs/") == []


def test_nothing_is_offered_inside_of_a_run_or_of_a_folder_that_is_not(name: str) -> None:
    assert run_paths(f"runs/{name}/") == []
    assert run_paths("nowhere/") == []


def test_absolute_paths_are_completed_as_they_were_typed(name: str) -> None:
    folder = Path.cwd()
    assert run_paths(f"{folder}/runs/2") == [f"{folder}/runs/{name}"]


def offered(line: str) -> set[str]:
    """Return what argcomplete would offer at the end of a line."""
    argcomplete = pytest.importorskip("argcomplete", reason="argcomplete is not installed")
    parser = build_parser()
    set_completers(parser)
    finder: Any = argcomplete.CompletionFinder(parser)
    prequote, prefix, _, words, wordbreak = argcomplete.split_line(line, len(line))
    return {word.strip() for word in finder._get_completions(words, prefix, prequote, wordbreak)}


def test_commands_options_values_and_runs_are_offered(name: str) -> None:
    assert {"summary", "status"} <= offered("analysis s")
    assert "figures" not in offered("analysis s")
    assert offered("analysis summary --format ") == {"text", "json", "csv"}
    assert "--style" in offered("analysis figures --s")
    assert f"runs/{name}" in offered("analysis summary runs/")
    assert f"runs/{name}" in offered("analysis compare runs/")
    assert "paper/drift-gap" in offered("analysis figures runs --only paper/")


def test_without_argcomplete_the_commands_work_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "argcomplete", None)
    completion.offer_completion(build_parser())
    assert "_ARGCOMPLETE" not in os.environ


def test_the_module_has_the_mark_that_argcomplete_looks_for() -> None:
    source = Path(completion.__file__).parents[1] / "__main__.py"
    assert "PYTHON_ARGCOMPLETE_OK" in source.read_text(encoding="utf-8")[:1024]
