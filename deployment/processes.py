"""SuperLink and SuperNodes as processes: started with a log each, and ended with all that they have started."""

import os
import socket
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

from deployment.commands import CommandError, show

_START_S: Final = 60
_PATIENCE_S: Final = 10
"""How long a process may take to end by itself before it is killed."""


def start_process(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], log: Path
) -> "subprocess.Popen[bytes]":
    """Start a command in a folder; it is out of reach of a Ctrl-C, which is for the one that started it."""
    show(command)
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def wait_for_port(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    """Wait until a process listens.

    Raises:
        CommandError: if it ends instead, or does not listen in time.
    """
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise CommandError(f"nothing listens on port {port}; see {log}")


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


def end_processes(homes: Iterable[Path], patience_s: float = _PATIENCE_S) -> None:
    """End every process that has one of these Flower homes, and wait until it is gone.

    Apps are processes of their own and outlive the SuperLink or SuperNode that started them, so they are known by the
    home that they have inherited. They are asked first, then killed, until none is left.
    """
    wanted = {str(home) for home in homes}
    for end in (psutil.Process.terminate, psutil.Process.kill, psutil.Process.kill):
        found = [process for process in psutil.process_iter() if _home_of(process) in wanted]
        for process in found if patience_s or end is psutil.Process.kill else ():
            with suppress(psutil.Error):
                end(process)
        psutil.wait_procs(found, timeout=patience_s or _PATIENCE_S)


def _home_of(process: psutil.Process) -> str | None:
    try:
        is_over = process.status() == psutil.STATUS_ZOMBIE or process.pid == os.getpid()
        return None if is_over else process.environ().get("FLWR_HOME")
    except (psutil.Error, OSError):
        return None
