"""A private Flower for true runs: its own home, its own ports, and nothing left running afterwards."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from true_runs import PACKAGES

from sweep.processes import end_processes, free_ports, processes_at

PROJECT = Path(__file__).parents[2]
COPIED = (*PACKAGES, "conf", "docs", "pyproject.toml", "README.md", "LICENSE")


@dataclass(frozen=True)
class FinishedRun:
    """A run that Flower has ended: its run directory (None if it has none), console output and status."""

    directory: Path | None
    output: str
    status: str
    details: str


class Flower:
    """Runs the app as a user does, with `flwr run`.

    Args:
        home: gets all that Flower writes.
        app: the app's folder; None = a copy in `home`.
        scripts: the folder of the environment's commands.
    """

    def __init__(self, home: Path, app: Path | None = None, scripts: Path = Path(sys.executable).parent) -> None:
        self.home = home
        self.app = app or _copy_app(home / "app")
        self._flower_home = home / "flwr"
        port, control_port = free_ports(2)
        self.environment = {
            **{key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
            "FLWR_HOME": str(self._flower_home),
            "FLWR_LOCAL_SUPERLINK_HTTP_API_PORT": str(port),
            "FLWR_LOCAL_CONTROL_API_PORT": str(control_port),
            "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
            "FLWR_TELEMETRY_ENABLED": "0",
            "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
        }

    def run(self, settings: Mapping[str, Any], num_clients: int, cpus_per_client: int = 1) -> FinishedRun:
        """Run the app to its end."""
        return self.wait(self.start(settings, num_clients, cpus_per_client))

    def type(self, arguments: Sequence[str]) -> FinishedRun:
        """Run the app to its end with `flwr` and these arguments."""
        return self.wait(self._start(arguments, self.app))

    def start(
        self, settings: Mapping[str, Any], num_clients: int, cpus_per_client: int = 1, folder: Path | None = None
    ) -> "subprocess.Popen[str]":
        """Start the app and return the process that shows its output.

        Args:
            settings: the run config.
            num_clients: simulated nodes.
            cpus_per_client: decides how many workers there are.
            folder: where the command is typed, and Flower's background process starts; None = in the app's.
        """
        config = " ".join(f"{key}={_toml(value)}" for key, value in settings.items())
        federation = f"num-supernodes={num_clients} client-resources-num-cpus={cpus_per_client}"
        arguments = ["run", str(self.app), "--stream", "--federation-config", federation, "--run-config", config]
        return self._start(arguments, folder or self.app)

    def wait(self, process: "subprocess.Popen[str]", seen: str = "") -> FinishedRun:
        """Wait until a run has ended; `seen` is the output that was read already."""
        output = seen + process.communicate(timeout=300)[0]
        run_id = re.search(r"Successfully started run (\d+)", output)
        assert run_id, output
        status, details = self._wait_for_end(run_id[1])
        found = re.search(r"run directory: (\S+)", output)
        return FinishedRun(Path(found[1]) if found else None, output, status, details)

    def command(self, *arguments: str) -> str:
        """Type a `flwr` command that is soon over, in the app's folder, and return what it prints."""
        command = ["flwr", *arguments]
        return subprocess.run(
            command,
            cwd=self.app,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            timeout=60,
            check=False,
        ).stdout

    def edit(self, name: str, old: str, new: str) -> None:
        """Change this copy of the app: a fault that the product itself has no switch for."""
        path = self.app / name
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{name} holds {old!r} {text.count(old)} times"
        path.write_text(text.replace(old, new), encoding="utf-8")

    def processes(self) -> list[psutil.Process]:
        """Return every process that carries this home in its environment: SuperLink, simulation, Ray."""
        return processes_at([self._flower_home])

    def stop(self) -> None:
        """End everything that belongs to this Flower."""
        end_processes([self._flower_home])

    def _start(self, arguments: Sequence[str], folder: Path) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            ["flwr", *arguments],
            cwd=folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def _wait_for_end(self, run_id: str) -> tuple[str, str]:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            listed = json.loads(self.command("list", "--format", "json"))["runs"]
            run = next(run for run in listed if run["run-id"] == run_id)
            if run["status"].startswith("finished"):
                return run["status"], run["status-details"]
            time.sleep(0.5)
        raise TimeoutError(f"run {run_id} is still {run['status']}")


def _copy_app(folder: Path) -> Path:
    folder.mkdir()
    for name in COPIED:
        source = PROJECT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, folder / name)
    return folder


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"'{value}'" if isinstance(value, str) else str(value)


@pytest.fixture(scope="session")
def flower(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flower]:
    running = Flower(tmp_path_factory.mktemp("flower"))
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture
def broken_flower(tmp_path: Path) -> Iterator[Flower]:
    """A Flower and a copy of the app that a test may damage."""
    running = Flower(tmp_path)
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture
def make_flower(tmp_path: Path) -> Iterator[Callable[..., Flower]]:
    """Return a function that makes a Flower for an app and an environment that the test has made."""
    made: list[Flower] = []

    def make(app: Path, scripts: Path) -> Flower:
        made.append(Flower(tmp_path, app, scripts))
        return made[-1]

    yield make
    for running in made:
        running.stop()
