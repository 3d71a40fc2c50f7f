"""A Flower of a sweep's own: one SuperLink for all of its runs, in a private home, gone when the sweep ends.

A SuperLink that the user runs already is left alone, and its code and settings cannot leak into the sweep.
"""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import Final, Self

import psutil

from fedcircuits.errors import RunLogError, SweepError
from fedcircuits.run_lock import is_written
from fedcircuits.run_reader import read_info
from sweep.plan import PROJECT, Job

_START_S: Final = 60
_STOP_S: Final = 5
_SETTLE_S: Final = 30
"""How long a run may take to write its end after Flower's stream has ended."""

_CONNECTION: Final = "sweep"


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Args:
        directory: the run directory; None if the run did not come so far.
        reason: why it failed; None if it completed.
    """

    directory: Path | None
    reason: str | None


class SweepFlower:
    """Starts a SuperLink on entering, runs jobs through it with `flwr run`, and ends everything on leaving.

    Args:
        folder: the sweep's; Flower's home, configurations and logs go into it.
        workers: CPUs that one run may use, one per client at a time.
        gpus_per_client: fraction of a GPU that a client is given; 0 = none.
    """

    def __init__(self, folder: Path, workers: int, gpus_per_client: float) -> None:
        self._folder = folder
        self._is_over = Event()
        self._federation = f"client-resources-num-cpus=1 init-args-num-cpus={workers}"
        if gpus_per_client:
            self._federation += f" client-resources-num-gpus={gpus_per_client}"
        self._environment = {
            **os.environ,
            "FLWR_HOME": str(folder / ".flower"),
            "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        }

    @property
    def home(self) -> Path:
        """Flower's home, which every process of the sweep has in its environment."""
        return Path(self._environment["FLWR_HOME"])

    def __enter__(self) -> Self:
        home, logs = self.home, self._folder / "logs"
        for made in (home, logs, self._folder / "configs"):
            made.mkdir(parents=True, exist_ok=True)
        _end_processes(self._environment["FLWR_HOME"])  # of a sweep that was killed before it could
        port, control_port = _free_ports()
        address = f"127.0.0.1:{port}"
        (home / "config.toml").write_text(f'[superlink.{_CONNECTION}]\naddress = "{address}"\ninsecure = true\n')
        command = ["flower-superlink", "--insecure", "--simulation", "--host", "127.0.0.1", "--port", str(port)]
        command += ["--control-api-address", f"127.0.0.1:{control_port}"]
        self._superlink = self._start(command, logs / "superlink.log")
        try:
            self._wait_for(port)
        except BaseException:
            self.__exit__(None, None, None)  # which Python calls only for what has been entered
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_over.set()
        _end_processes(self._environment["FLWR_HOME"])

    def run(self, job: Job, on_line: Callable[[str], None]) -> Outcome:
        """Run a job to its end.

        Args:
            job: what to run.
            on_line: gets every line of the run's console output.

        Raises:
            SweepError: if the sweep ended before the run did; how it would have ended is not known then.
        """
        stem = f"{job.experiment}-seed{job.seed}"
        config = self._folder / "configs" / f"{stem}.toml"
        config.write_text(job.toml(self._folder), encoding="utf-8")
        federation = f"num-supernodes={job.num_clients} {self._federation}"
        command = ["flwr", "run", str(PROJECT), _CONNECTION, "--stream"]
        command += ["--federation-config", federation, "--run-config", str(config)]
        directory, last = None, ""
        with (self._folder / "logs" / f"{stem}.log").open("w", encoding="utf-8") as log:
            for line in self._lines(command):
                log.write(line)
                log.flush()
                last = line.strip() or last
                on_line(line.strip())
                found = re.match(r"run directory: (.+)", line.strip())
                directory = Path(found[1]) if found else directory
        if self._is_over.is_set():
            raise SweepError(f"{stem} was cut off")
        if directory is None:
            return Outcome(None, f"the run did not begin; Flower's last words: {last}")
        return Outcome(directory, self._failure(directory))

    def _failure(self, directory: Path) -> str | None:
        """Return why a run failed, or None if it completed.

        Its last words may come a little after the stream's end, or much later if only the stream broke off.
        """
        deadline = time.monotonic() + _SETTLE_S
        while True:
            try:
                info = read_info(directory)
            except RunLogError as error:
                return str(error)
            if info["status"] == "completed":
                return None
            if info["status"] == "failed":
                return str(info["reason"])
            if time.monotonic() > deadline and not is_written(directory):
                return f"it ended without a word after round {info['last_round']}: killed, or out of memory"
            if self._is_over.wait(1):
                raise SweepError(f"{directory.name} was cut off")

    def _lines(self, command: Sequence[str]) -> Iterator[str]:
        """Start a command and return its output as it comes."""
        with subprocess.Popen(
            command,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process:
            yield from process.stdout or ()

    def _start(self, command: Sequence[str], log: Path) -> "subprocess.Popen[bytes]":
        try:
            with log.open("ab") as output:
                return subprocess.Popen(
                    command,
                    cwd=PROJECT,
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                )
        except OSError as error:
            raise SweepError(f"flower-superlink cannot be started: {error}") from error

    def _wait_for(self, port: int) -> None:
        """Wait until the SuperLink answers."""
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline and self._superlink.poll() is None:
            with socket.socket() as probe:
                probe.settimeout(1)
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.2)
        raise SweepError(f"Flower's SuperLink did not start; see {self._folder / 'logs' / 'superlink.log'}")


def _free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


def _end_processes(home: str) -> None:
    """End every process with this Flower home: the SuperLink, simulations, and Ray, which detaches itself.

    They are looked for until none is left, because one may start another before it ends.
    """
    while True:
        found = [process for process in psutil.process_iter() if _is_at_home(process, home)]
        if not found:
            return
        for process in found:
            with suppress(psutil.Error):
                process.kill()
        if psutil.wait_procs(found, timeout=_STOP_S)[1]:
            return  # what cannot be killed would keep us here for ever


def _is_at_home(process: psutil.Process, home: str) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE and process.environ().get("FLWR_HOME") == home
    except (psutil.Error, OSError):
        return False
