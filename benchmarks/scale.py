"""Measure what more clients cost: true runs through `flwr run` and Ray on this machine, a small network each.

    python benchmarks/scale.py --clients 10 100 1000 --rounds 3

The images are scikit-learn's digits, enlarged, shifted and with noise, as many as asked for, in the files of MNIST.
Prints a Markdown table with a row per number of clients, and one with a tenth of the largest number in each round.
"""

import argparse
import re
import struct
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
import psutil
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from fedcircuits.runlog.reader import read_table
from fedcircuits.settings import Scalar, Settings
from fedcircuits.settings.app_config import app_defaults, typed_setting
from sweep.flower import SweepFlower
from sweep.plan import Job
from sweep.processes import processes_at

SETTINGS: Final[Mapping[str, Scalar]] = {
    "dataset": "mnist",
    "heldout-limit": 100,
    "channels": "4,8,8",
    "local-epochs": 1,
    "circuit-every": 0,
    "validity-every": 0,
    "examination-every": 0,
    "node-timeout-s": 300,
}
POLL_S: Final = 0.5
MEGABYTE: Final = 2**20


class Look(NamedTuple):
    """A run's processes at one time: resident memory in bytes, CPU time in seconds.

    The server's process also holds Flower's simulation engine; of the workers it is the largest one.
    """

    server_bytes: int
    server_cpu_s: float
    worker_bytes: int


@dataclass
class Watch:
    """Looks at a run's processes, which all carry Flower's home in their environment."""

    home: Path
    looks: list[Look] = field(default_factory=list)

    def look(self) -> None:
        """Take one look at all processes."""
        server_bytes, server_cpu_s, worker_bytes = 0, 0.0, 0
        for process in processes_at([self.home]):
            with suppress(psutil.Error, OSError):
                command = " ".join(process.cmdline())
                if "ClientAppActor" in command:
                    worker_bytes = max(worker_bytes, process.memory_info().rss)
                elif "flwr-simulation" in command:
                    server_bytes, times = process.memory_info().rss, process.cpu_times()
                    server_cpu_s = times.user + times.system
        self.looks.append(Look(server_bytes, server_cpu_s, worker_bytes))


@dataclass
class Console:
    """What a run said and when; `ends` are the looks taken until the end of the start-up and of each round."""

    watch: Watch
    started: float = field(default_factory=time.perf_counter)
    startup_s: float = 0.0
    round_s: list[float] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)

    def read(self, line: str) -> None:
        """Take in a line."""
        if re.match(r"\d+ clients, \d+ training images", line):
            self.startup_s = time.perf_counter() - self.started
            self.ends.append(len(self.watch.looks))
        if found := re.match(r"round \d+/\d+ \| ([\d.]+) s", line):
            self.round_s.append(float(found[1]))
            self.ends.append(len(self.watch.looks))


def main() -> None:
    """Run every size and print the table."""
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory(prefix="scale-") as temporary:
        folder = arguments.out or Path(temporary)
        write_digits(folder / "data", arguments.images * max(arguments.clients))
        sizes = [(clients, 1.0) for clients in arguments.clients]
        if arguments.fraction < 1:
            sizes.append((max(arguments.clients), arguments.fraction))
        with SweepFlower(folder, arguments.workers, 0) as flower:
            for clients, fraction in sizes:
                row = measure(flower, folder, clients, fraction, arguments)
                if (clients, fraction) == sizes[0]:
                    print("| " + " | ".join(row) + " |\n|" + " --- |" * len(row), flush=True)
                print("| " + " | ".join(row.values()) + " |", flush=True)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--clients", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--rounds", type=int, default=3, help="2 or more; the first one is reported apart")
    parser.add_argument("--fraction", type=float, default=0.1, help="of the largest number, in one more run; 1 = none")
    parser.add_argument("--images", type=int, default=20, help="training images of each client")
    parser.add_argument("--workers", type=int, default=psutil.cpu_count(logical=False), help="clients at a time")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings that all runs share")
    parser.add_argument("--out", type=Path, help="folder for data and run directories; left out, they are removed")
    return parser.parse_args()


def write_digits(folder: Path, num_images: int) -> None:
    """Write scikit-learn's digits, enlarged to 28x28, shifted by up to two pixels and with noise, as MNIST's files."""
    digits = load_digits()
    generator = np.random.default_rng(0)
    for prefix, count in (("train", num_images), ("t10k", 1000)):
        chosen = generator.integers(len(digits.target), size=count)
        # 8x8 pixels of 0..16 become 24x24 of 0..240 on a canvas of 28x28.
        enlarged = np.kron(digits.images[chosen] * 15, np.ones((1, 3, 3)))
        canvas = np.zeros((count, 28, 28))
        rows, columns = generator.integers(0, 5, size=(2, count))
        for image, large, row, column in zip(canvas, enlarged, rows, columns, strict=True):
            image[row : row + 24, column : column + 24] = large
        noisy = (canvas + generator.normal(0, 8, canvas.shape)).clip(0, 255).astype(np.uint8)
        _write_idx(folder / "MNIST" / "raw" / f"{prefix}-images-idx3-ubyte", noisy)
        _write_idx(folder / "MNIST" / "raw" / f"{prefix}-labels-idx1-ubyte", digits.target[chosen].astype(np.uint8))


def _write_idx(path: Path, values: NDArray[np.uint8]) -> None:
    """Write bytes in the format of MNIST's files: a magic number, the sizes, the values."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack(f">{1 + values.ndim}I", 0x800 + values.ndim, *values.shape) + values.tobytes())


def measure(
    flower: SweepFlower, folder: Path, clients: int, fraction: float, arguments: argparse.Namespace
) -> dict[str, str]:
    """Make one run and return its row of the table."""
    console = Console(Watch(flower.home))
    with watched(console.watch):
        outcome = flower.run(job_of(folder, clients, fraction, arguments), console.read)
    if outcome.directory is None or outcome.reason is not None:
        raise SystemExit(f"{clients} clients: {outcome.reason}")
    replies = read_table(outcome.directory, "clients", arguments.rounds)
    return {
        "clients": str(clients),
        "a round": str(len(replies) // arguments.rounds),
        "start-up s": f"{console.startup_s:.1f}",
        **time_columns(console, replies, arguments),
        **process_columns(console),
        "log B/client/round": f"{log_bytes(outcome.directory) / len(replies):.0f}",
        "reply kB": f"{replies['reply_bytes'].mean() / 1000:.1f}",
    }


def job_of(folder: Path, clients: int, fraction: float, arguments: argparse.Namespace) -> Job:
    """Return the run of a number of clients."""
    name = f"{clients}-clients-{fraction:g}"
    own: dict[str, Scalar] = {
        "data-dir": str(folder / "data"),
        "train-limit": arguments.images * clients,
        "num-server-rounds": arguments.rounds,
        "fraction-train": fraction,
        "run-name": name,
    }
    overrides = {**SETTINGS, **own, **dict(typed_setting(text) for text in arguments.set)}
    return Job(name, 0, overrides, Settings.from_config({**app_defaults(), **overrides}), clients)


@contextmanager
def watched(watch: Watch) -> Iterator[None]:
    """Look at processes every half second while the block runs."""
    is_over = threading.Event()

    def look() -> None:
        while not is_over.wait(POLL_S):
            watch.look()

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield
    finally:
        is_over.set()
        watcher.join()


def time_columns(console: Console, replies: pd.DataFrame, arguments: argparse.Namespace) -> dict[str, str]:
    """Return seconds per round, and per client on its worker: in all, and what of it is not training and discovery."""
    first, later = console.round_s[0], float(np.median(console.round_s[1:]))
    per_client = later * min(arguments.workers, len(replies)) / (len(replies) / arguments.rounds)
    worked = replies[["train_seconds", "discovery_seconds", "evaluate_seconds"]].sum(axis=1)
    work = float(worked[replies["round"] > 1].mean())
    return {
        "round 1 s": f"{first:.1f}",
        "later rounds s": f"{later:.1f}",
        "ms/client and worker": f"{1000 * per_client:.0f}",
        "of that training": f"{1000 * work:.0f}",
    }


def process_columns(console: Console) -> dict[str, str]:
    """Return the server's CPU seconds per round, peaks of memory, and the server's growth per round after the first."""
    looks = console.watch.looks
    ends = [looks[min(end, len(looks) - 1)] for end in console.ends]
    num_rounds = len(ends) - 1
    growth = (ends[-1].server_bytes - ends[1].server_bytes) / (num_rounds - 1)
    return {
        "server CPU s/round": f"{(ends[-1].server_cpu_s - ends[0].server_cpu_s) / num_rounds:.1f}",
        "server MB": f"{max(look.server_bytes for look in looks) / MEGABYTE:.0f}",
        "growth MB/round": f"{growth / MEGABYTE:.1f}",
        "worker MB": f"{max(look.worker_bytes for look in looks) / MEGABYTE:.0f}",
    }


def log_bytes(directory: Path) -> int:
    """Return the size of a run's tables."""
    return sum(path.stat().st_size for path in directory.glob("*/round-*.parquet"))


if __name__ == "__main__":
    main()
