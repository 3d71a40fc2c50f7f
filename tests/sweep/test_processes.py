"""Processes that carry a Flower home: found by it, ended with all that they have started, and no others."""

import os
import socket
import sys
import time

import psutil
import pytest

from sweep.processes import end_processes, free_ports, output_of, processes_at, start_process, wait_for_port

SLEEP = "import time; time.sleep(60)"
PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SLEEP!r}])"
POLITE = """
import pathlib, signal, sys, time

def end(*_):
    pathlib.Path("asked").touch()
    sys.exit()

signal.signal(signal.SIGTERM, end)
print("ready", flush=True)
time.sleep(60)
"""
STUBBORN = POLITE.replace("    sys.exit()\n", "")


@pytest.fixture
def start(tmp_path):
    """Return a function that starts Python code with a Flower home; what is left of it afterwards is killed."""
    started = []

    def start_code(code, home):
        environment = {**os.environ, "FLWR_HOME": str(home)}
        log = tmp_path / f"{len(started)}.log"
        started.append(start_process([sys.executable, "-c", code], tmp_path, environment, log, is_detached=True))
        return started[-1], log

    yield start_code
    for process in started:
        try:
            os.killpg(process.pid, 9)
        except ProcessLookupError:
            continue


def wait_until(is_so):
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_alive(process):
    return process.poll() is None


def test_all_that_a_process_has_started_ends_with_it_and_another_homes_lives_on(start, tmp_path):
    parent, _ = start(PARENT, tmp_path / "home")
    other, _ = start(SLEEP, tmp_path / "home-2")
    wait_until(lambda: len(processes_at([tmp_path / "home"])) == 2)
    family = [psutil.Process(parent.pid), *psutil.Process(parent.pid).children()]
    end_processes([tmp_path / "home"])
    assert not any(process.is_running() for process in family)
    assert is_alive(other)


@pytest.mark.parametrize(("patience_s", "is_asked"), [(20, True), (0, False)])
def test_a_process_is_asked_to_end_if_there_is_patience(start, tmp_path, patience_s, is_asked):
    process, log = start(POLITE, tmp_path)
    wait_until(lambda: log.read_text() == "ready\n")
    end_processes([tmp_path], patience_s)
    assert not is_alive(process)
    assert (tmp_path / "asked").exists() == is_asked


def test_who_was_asked_and_does_not_end_is_killed(start, tmp_path):
    process, log = start(STUBBORN, tmp_path)
    wait_until(lambda: log.read_text() == "ready\n")
    end_processes([tmp_path], patience_s=0.5)
    assert not is_alive(process)
    assert (tmp_path / "asked").exists()


def test_a_process_never_ends_itself(monkeypatch, tmp_path):
    monkeypatch.setattr(psutil.Process, "environ", lambda process: {"FLWR_HOME": str(tmp_path)})
    assert os.getpid() not in [process.pid for process in processes_at([tmp_path])]
    assert os.getppid() in [process.pid for process in processes_at([tmp_path])]


def test_ports_are_as_many_as_asked_for_and_nobody_listens_on_them():
    ports = free_ports(3)
    assert len(set(ports)) == 3
    for port in ports:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", port))


def test_a_process_is_waited_for_until_it_listens(start, tmp_path):
    [port] = free_ports(1)
    listen = f"import socket, time; s = socket.create_server(('127.0.0.1', {port})); time.sleep(60)"
    process, _ = start(listen, tmp_path)
    assert wait_for_port(process, port)


def test_a_process_that_ends_instead_of_listening_is_not_waited_for(start, tmp_path):
    process, _ = start("", tmp_path)
    started = time.monotonic()
    assert not wait_for_port(process, free_ports(1)[0])
    assert time.monotonic() - started < 20  # of the minute that it would have had


def test_a_command_whose_output_nobody_wants_any_more_is_stopped():
    command = [sys.executable, "-uc", f"import os; print(os.getpid()); {SLEEP}"]
    started = time.monotonic()
    with output_of(command, os.environ) as lines:
        pid = int(next(iter(lines)))
    assert not psutil.pid_exists(pid)
    assert time.monotonic() - started < 30  # of the minute that it would take


def test_a_program_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        start_process(["no-such-program"], tmp_path, os.environ, tmp_path / "log")
