"""`python -m analysis watch`, in this process and in a terminal of its own."""

import os
import pty
import signal
import subprocess
import sys
import time

import pytest

from analysis.__main__ import main
from analysis.commands import watch as command


@pytest.mark.parametrize(("end", "code"), [("complete", 0), ("fail", 1), ("close", 1)])
def test_a_run_that_is_over_is_told_in_lines_and_by_the_exit_code(growing_run, capsys, end, code):
    run = growing_run()
    run.grow(2)
    getattr(run.log, end)(*(["node lost"] if end == "fail" else []))
    assert main(["watch", str(run.path)]) == code
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" |")[0] for line in lines[1:-1]] == ["round 1/4", "round 2/4"]
    ends = {"complete": "completed, 2 of 4 rounds", "fail": "failed, 2 of 4 rounds: node lost"}
    assert lines[-1] == ends.get(end, "interrupted, 2 of 4 rounds")


def test_once_shows_a_run_that_goes_on_and_does_not_wait_for_it(growing_run, capsys):
    run = growing_run()
    run.grow(2)
    assert main(["watch", str(run.path), "--once"]) == 1
    said = capsys.readouterr()
    assert "running, 2 of 4 rounds" in said.out
    assert said.err == ""


def test_once_without_a_run_is_an_error_at_once(tmp_path, capsys):
    began = time.monotonic()
    assert main(["watch", str(tmp_path), "--once"]) == 2
    assert time.monotonic() - began < 2
    assert capsys.readouterr().err.startswith("error: no run found")


def test_the_wait_for_a_run_is_announced_and_bounded(tmp_path, capsys):
    assert main(["watch", str(tmp_path / "runs"), "--wait", "0.05"]) == 2
    waiting, error = capsys.readouterr().err.splitlines()
    assert waiting == f"waiting up to 0.05 s for a run in {tmp_path / 'runs'}"
    assert error.startswith(f"error: {tmp_path / 'runs'} does not exist")


def test_the_next_run_is_none_that_is_there(growing_run, capsys):
    run = growing_run()
    run.log.complete()
    assert main(["watch", str(run.path.parent), "--next", "--wait", "0.05"]) == 2
    assert "no new run has appeared" in capsys.readouterr().err


def test_a_log_of_another_version_is_an_error_at_once(growing_run, capsys):
    run = growing_run()
    (run.path / "run.json").write_text('{"schema_version": 1}')
    began = time.monotonic()
    assert main(["watch", str(run.path)]) == 2
    assert time.monotonic() - began < 2
    assert "schema version" in capsys.readouterr().err


def test_ctrl_c_leaves_quietly(growing_run, capsys, monkeypatch):
    def interrupt(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(command.time, "sleep", interrupt)
    run = growing_run()
    run.grow(1)
    assert main(["watch", str(run.path)]) == 130
    said = capsys.readouterr()
    assert said.out.splitlines()[-1].startswith("running, 1 of 4 rounds")
    assert said.err == ""


@pytest.mark.parametrize("interval", ["0", "-1", "nan", "soon"])
def test_an_interval_that_is_no_time_is_refused(capsys, interval):
    with pytest.raises(SystemExit):
        main(["watch", "--interval", interval])
    assert "--interval" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("csv", "--to csv: allowed are tensorboard, wandb"),
        ("wandb=maybe", "--to wandb=maybe: allowed are online, offline"),
    ],
)
def test_a_tool_that_is_not_known_is_refused_before_anything_is_read(capsys, target, said):
    assert main(["watch", "/nowhere", "--to", target]) == 2
    assert capsys.readouterr().err == f"error: {said}\n"


@pytest.mark.parametrize("tool", ["tensorboard", "wandb"])
def test_a_tool_that_is_not_installed_is_one_error_that_says_what_to_install(tool, capsys, monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == tool]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, tool, None)
    assert main(["watch", "/nowhere", "--to", tool]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f'pip install "{tool}>=' in error


def read_until(master, ending, deadline_s=60.0):
    """Read what a program wrote to its terminal, until it has written `ending`."""
    read, deadline = b"", time.monotonic() + deadline_s
    while ending not in read:
        assert time.monotonic() < deadline, read
        read += os.read(master, 65536)
    return read


@pytest.mark.usefixtures("heeded_interrupts")
def test_in_a_terminal_the_panel_changes_in_place_until_ctrl_c(growing_run):
    run = growing_run()
    run.grow(1)
    master, terminal = pty.openpty()
    line = [sys.executable, "-m", "analysis", "watch", str(run.path), "--interval", "0.1"]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "30"}
    program = subprocess.Popen(line, stdin=terminal, stdout=terminal, stderr=terminal, env=environment)
    try:
        assert b"\x1b[?25l" in read_until(master, b"running, 1 of 4 rounds")  # the cursor is hidden
        run.grow(1)
        after = read_until(master, b"running, 2 of 4 rounds")
        assert b"\x1b[1A\x1b[2K" in after  # lines are gone over again
        program.send_signal(signal.SIGINT)
        assert b"Traceback" not in read_until(master, b"\x1b[?25h")  # and the cursor is back
        assert program.wait(30) == 130
    finally:
        program.kill()
        program.wait()
        os.close(master)
        os.close(terminal)
