"""Processes of Flower's: started with a log, waited for, and ended with all that they have started.

What Flower starts outlives what started it, but inherits its home (FLWR_HOME) and is known by that.
"""

import os
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import psutil

_START_S: Final = 60
_KILL_S: Final = 5
"""How long a process may take to go once it is killed; what cannot be killed would keep us here for ever."""


def start_process(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], log: Path, is_detached: bool = False
) -> "subprocess.Popen[bytes]":
    """Start a command in a folder, and add what it says to a log.

    Args:
        command: the program and its arguments.
        folder: where it works.
        environment: all of its environment.
        log: the file.
        is_detached: keeps it out of reach of a Ctrl-C, which is then only for the one that started it.

    Raises:
        OSError: if there is no such program, or it cannot be started.
    """
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=is_detached,
        )


@contextmanager
def output_of(command: Sequence[str], environment: Mapping[str, str]) -> Iterator[Iterable[str]]:
    """Start a command, give its output line by line as it comes, and stop it on leaving."""
    with subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        try:
            yield process.stdout or ()
        finally:
            with suppress(ProcessLookupError):
                process.terminate()


def wait_for_port(process: "subprocess.Popen[bytes]", port: int) -> bool:
    """Wait until a process listens; tell whether it does: it may end instead, or not listen in time."""
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.2)
    return False


def free_ports(number: int) -> list[int]:
    """Return ports that nobody listens on."""
    sockets = [socket.socket() for _ in range(number)]
    try:
        for opened in sockets:
            opened.bind(("127.0.0.1", 0))
        return [int(opened.getsockname()[1]) for opened in sockets]
    finally:
        for opened in sockets:
            opened.close()


def processes_at(homes: Iterable[Path]) -> list[psutil.Process]:
    """Return the processes that have one of these Flower homes: SuperLink, SuperNodes, apps, simulations and Ray."""
    wanted = {str(home) for home in homes}
    return [process for process in psutil.process_iter() if _home_of(process) in wanted]


def end_processes(homes: Iterable[Path], patience_s: float = 0) -> None:
    """End every process that has one of these Flower homes, and wait until it is gone.

    They are looked for until none is left, because one may start another before it ends.

    Args:
        homes: the Flower homes.
        patience_s: how long processes are given to end by themselves before they are killed; 0: they are not asked.
    """
    homes = list(homes)
    if patience_s:
        asked = processes_at(homes)
        for process in asked:
            with suppress(psutil.Error):
                process.terminate()
        psutil.wait_procs(asked, timeout=patience_s)
    while found := processes_at(homes):
        for process in found:
            with suppress(psutil.Error):
                process.kill()
        if psutil.wait_procs(found, timeout=_KILL_S)[1]:
            return


def _home_of(process: psutil.Process) -> str | None:
    """Return the Flower home of a process that still works and is not this one."""
    try:
        is_over = process.status() == psutil.STATUS_ZOMBIE or process.pid == os.getpid()
        return None if is_over else process.environ().get("FLWR_HOME")
    except (psutil.Error, OSError):
        return None
