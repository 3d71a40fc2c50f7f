"""A Flower of a sweep's own: one SuperLink for all of its runs, in a private home, gone when the sweep ends.

A SuperLink that the user runs already is left alone, and its code and settings cannot leak into the sweep.
"""

import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import Final, Self

from fedcircuits.errors import RunLogError, SweepError
from fedcircuits.runlog.lock import is_written
from fedcircuits.runlog.reader import read_info
from fedcircuits.settings.app_config import PROJECT
from sweep.plan import Job
from sweep.processes import end_processes, free_ports, output_of, start_process, wait_for_port

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
        end_processes([home])  # of a sweep that was killed before it could
        port, control_port = free_ports(2)
        address = f"127.0.0.1:{port}"
        (home / "config.toml").write_text(f'[superlink.{_CONNECTION}]\naddress = "{address}"\ninsecure = true\n')
        command = ["flower-superlink", "--insecure", "--simulation", "--host", "127.0.0.1", "--port", str(port)]
        command += ["--control-api-address", f"127.0.0.1:{control_port}"]
        try:
            self._start_superlink(command, port)
        except BaseException:
            self.__exit__(None, None, None)  # which Python calls only for what has been entered
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_over.set()
        end_processes([self.home])

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
        with output_of(command, self._environment) as lines:
            yield from lines

    def _start_superlink(self, command: Sequence[str], port: int) -> None:
        """Start the SuperLink and wait until it answers."""
        log = self._folder / "logs" / "superlink.log"
        try:
            self._superlink = start_process(command, PROJECT, self._environment, log)
        except OSError as error:
            raise SweepError(f"flower-superlink cannot be started: {error}") from error
        if not wait_for_port(self._superlink, port):
            raise SweepError(f"Flower's SuperLink did not start; see {log}")
