"""What stands in a page as text, and that log and page cannot mix."""

import base64
import hashlib
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from analysis import Run, load_run
from analysis.__main__ import main
from analysis.report import assets
from analysis.report.page import render
from fedcircuits.runlog.writer import RunLog

WriteRun = Callable[..., RunLog]

Output = pytest.CaptureFixture[str]

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def page(shared_tiny_run: Run) -> str:
    return render([shared_tiny_run])


def test_a_page_loads_nothing_from_anywhere(page: str) -> None:
    assert re.findall(r'(?:src|href)="(?!#|data:)[^"]*', page) == []
    assert "url(" not in page
    assert "@import" not in page


def test_the_page_s_policy_allows_its_own_script_and_style_alone(page: str) -> None:
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    assert policy.startswith("default-src 'none'")
    for tag, directive in (("script", "script-src"), ("style", "style-src")):
        (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, flags=re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in policy


def test_text_of_the_log_is_escaped_wherever_it_stands(write_run: WriteRun) -> None:
    def refuse(server_round: int, tables: dict) -> None:
        tables["clients"][1] |= {"accepted": False, "reason": HOSTILE}

    log = write_run(change=refuse, dataset=HOSTILE)
    log.fail(HOSTILE)
    run = load_run(log.path)
    run.info["versions"] = {HOSTILE: HOSTILE}
    page = render([run])
    assert HOSTILE not in page
    assert "<img" not in page
    assert page.count("</script>") == 2  # the data's and the script's


def test_the_ladder_and_every_question_of_the_diagnosis_are_in_the_page(page: str) -> None:
    assert "Where the accuracy went" in page
    assert "+ a new linear readout on the averaged features" in page
    for question in ("Is the discovery valid?", "Do clients agree?", "Is it relabelling?", "What did it cost?"):
        assert question in page


def test_report_writes_into_the_run_directory_and_prints_the_path(write_run: WriteRun, capsys: Output) -> None:
    path = write_run().path
    assert main(["report", str(path)]) == 0
    assert capsys.readouterr().out == f"{path / 'report.html'}\n"
    assert (path / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_several_runs_make_one_page_here_and_one_run_twice_is_one(
    write_run: WriteRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    first, second = write_run(name="first").path, write_run(name="second").path
    monkeypatch.chdir(tmp_path)
    assert main(["report", str(first), str(second), str(first)]) == 0
    assert capsys.readouterr().out == "report.html\n"
    assert (tmp_path / "report.html").read_text(encoding="utf-8").count('class="run-data"') == 2


def test_a_place_that_cannot_be_written_is_one_line(write_run: WriteRun, tmp_path: Path, capsys: Output) -> None:
    out = tmp_path / "nowhere" / "report.html"
    assert main(["report", str(write_run().path), "--out", str(out)]) == 2
    assert capsys.readouterr().err == f"error: {out} cannot be written: No such file or directory\n"


def test_a_missing_file_of_the_page_is_one_line(
    write_run: WriteRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.setattr(assets, "files", lambda package: tmp_path)
    assert main(["report", str(write_run().path)]) == 2
    error = capsys.readouterr().err
    assert re.match(r"error: .*static\.json cannot be read: .*No such file or directory", error)
    assert error.count("\n") == 1
