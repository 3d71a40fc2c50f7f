"""A steady round through Flower against the same work in a bare loop.

    python benchmarks/flower_round.py --data-dir data
    python benchmarks/flower_round.py --data-dir data --settings "train-limit=24000" --rounds 8

The federation is IID MNIST, once with training only and once with circuits in every round. Seconds per round through
`flwr run` and Ray are those between two rounds in the run log, the first round left out; a private SuperLink is started
and ended. The bare loop calls the same core functions with the same settings, clients and seeds. What clients do in it
is divided by the number of workers. As two cores at work are slower than one alone, the loop also runs in as many
processes side by side as there are workers: less than that no simulation with these workers can take.
"""

import argparse
import multiprocessing
import signal
import sys
import tempfile
import time
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import torch
from bare_loop import Federation, average, evaluate_phase, server_phase, train_phase
from images import add_image_options, mnist_folder
from product import start_weights
from timing import describe_machine

from analysis import load_run
from fedcircuits.settings import Settings
from fedcircuits.training.local import RoundPosition
from sweep.flower import SweepFlower
from sweep.plan import Job, plan_jobs

SHARED = {
    "dataset": "mnist",
    "partition": "iid",
    "train-limit": 12_000,
    "heldout-limit": 2_000,
    "batch-size": 256,
    "learning-rate": 0.001,
    "validity-every": 0,
    "examination-every": 0,
    "device": "cpu",
}
KINDS: Mapping[str, Mapping[str, Any]] = {
    "training only": {"circuit-every": 0},
    "with circuits": {"circuit-every": 1, "retest-every": 0},
}


@dataclass(frozen=True)
class Bare:
    """Seconds of a round in the bare loop: what clients do, and what the server does with its models."""

    clients: float
    server: float


def main() -> None:
    """Measure and print a table for each kind of round."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--clients", type=int, default=4, help="a multiple of the workers")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=6, help="the first does not count")
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--settings", nargs="*", default=[], metavar="KEY=VALUE", help="settings that differ")
    add_image_options(parser)
    parser.add_argument("--repetitions", type=int, default=1, help="of everything, in turn")
    arguments = parser.parse_args()
    if arguments.clients % arguments.workers or arguments.rounds < 2:
        parser.error("--clients must be a multiple of --workers, and --rounds at least 2")
    # A signal unwinds as Ctrl-C does, so that the SuperLink, Ray and the loops are ended with this process.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    print(describe_machine())
    with mnist_folder(arguments.data_dir) as folder, tempfile.TemporaryDirectory() as work:
        for kind in arguments.kinds:
            job = job_of(kind, folder, Path(work), arguments)
            measure_kind(kind, job, Path(work) / kind.replace(" ", "-"), arguments)


def job_of(kind: str, data_dir: Path, work: Path, arguments: argparse.Namespace) -> Job:
    """Return the run, as a sweep would make it."""
    changes = {**SHARED, **KINDS[kind], **tomllib.loads("\n".join(arguments.settings))}
    changes |= {"data-dir": str(data_dir), "num-clients": arguments.clients, "num-server-rounds": arguments.rounds}
    config = work / f"{kind.replace(' ', '-')}.toml"
    config.write_text("")
    return plan_jobs([config], [0], changes)[0]


def measure_kind(kind: str, job: Job, folder: Path, arguments: argparse.Namespace) -> None:
    """Measure all three, in turn and as often as asked for, and print medians over all rounds."""
    flower: list[float] = []
    alone: list[Bare] = []
    beside: list[Bare] = []
    for repetition in range(arguments.repetitions):
        alone += bare_rounds(job, num_workers=1)
        flower += flower_rounds(job, folder / str(repetition), arguments.workers)
        beside += bare_rounds(job, arguments.workers)
    shared = sum(client_seconds(folder / "0")) / arguments.workers
    print(f"\n{kind}: {job.num_clients} clients, {arguments.workers} workers, {len(flower)} rounds\n")
    print(table(flower, alone, beside, arguments.workers))
    print(f"\nIn Flower, clients' own seconds divided by workers: {shared:.2f} a round.")


def table(flower: Sequence[float], alone: Sequence[Bare], beside: Sequence[Bare], num_workers: int) -> str:
    """Return medians, and what a round through Flower takes in units of each."""
    server = median(each.server for each in alone)
    split = median(each.clients for each in alone) / num_workers
    limit = median(each.clients for each in beside)
    rows = {
        "flwr run": median(flower),
        "bare loop, clients' work ÷ workers": split,
        "the same and the server's work": split + server,
        "bare loops side by side, clients' work": limit,
        "the same and the server's work ": limit + server,
    }
    lines = ["| seconds of a round | s | flwr run is × |", "| --- | ---: | ---: |"]
    lines += [f"| {name} | {seconds:.2f} | {median(flower) / seconds:.3f} |" for name, seconds in rows.items()]
    return "\n".join(lines)


def flower_rounds(job: Job, folder: Path, workers: int) -> list[float]:
    """Run through Flower and return the seconds of every round but the first."""
    with SweepFlower(folder, workers, gpus_per_client=0) as flower:
        outcome = flower.run(job, lambda _: None)
    if outcome.directory is None or outcome.reason is not None:
        raise SystemExit(f"the run failed: {outcome.reason}; see {folder / 'logs'}")
    # A round's parts are written at its very end, so the time between two of them is all that a round takes.
    ends = [part.stat().st_mtime for part in sorted((outcome.directory / "clients").glob("*.parquet"))]
    return [end - start for start, end in pairwise(ends)]


def client_seconds(folder: Path) -> list[float]:
    """Return each client's seconds of a round by its own clock: medians over all rounds but the first."""
    rows = load_run(folder).clients
    rows = rows[rows["round"] > 1].fillna({"evaluate_seconds": 0.0})
    seconds = rows["train_seconds"] + rows["discovery_seconds"] + rows["evaluate_seconds"]
    return list(seconds.groupby(rows["partition_id"]).median())


def bare_rounds(job: Job, num_workers: int) -> list[Bare]:
    """Run the federation in the bare loop, clients dealt out to processes, and return all rounds but the first."""
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(num_workers), context.Queue()
    processes = [
        context.Process(
            target=work, args=(dict(job.settings.config), worker, num_workers, barrier, results), daemon=True
        )
        for worker in range(num_workers)
    ]
    for process in processes:
        process.start()
    rounds: list[Bare] = results.get()
    for process in processes:
        process.join()
    if not rounds:
        raise SystemExit("the bare loop failed")
    return rounds[1:]


def work(config: Mapping[str, Any], worker: int, num_workers: int, barrier: Any, results: Any) -> None:
    """Run the bare loop in a process of its own; the first one reports the rounds, any that fails reports none."""
    try:
        rounds = bare_loop(Settings.from_config(config), worker, num_workers, barrier)
    except BaseException:
        barrier.abort()
        results.put([])
        raise
    if worker == 0:
        results.put(rounds)


def bare_loop(settings: Settings, worker: int, num_workers: int, barrier: Any) -> list[Bare]:
    """Run some of the clients round after round, in step with the other processes.

    Each process averages its own clients, which takes as long as any average would; the first one is the server, too.
    """
    torch.set_num_threads(settings.machine.num_threads)
    federation = Federation.load(settings, settings.data.num_clients)
    partitions = range(worker, settings.data.num_clients, num_workers)
    weights, rounds = start_weights(settings), []
    for server_round in range(1, settings.run.num_server_rounds + 1):
        position = RoundPosition(server_round, settings.run.num_server_rounds)
        barrier.wait()
        started = time.perf_counter()
        updates = train_phase(federation, weights, position, partitions)
        barrier.wait()
        weights = average(federation, updates, partitions)
        evaluate_phase(federation, weights, position, updates, partitions)
        barrier.wait()
        clients_end = time.perf_counter()
        if worker == 0:
            server_phase(federation, weights, position)
        rounds.append(Bare(clients_end - started, time.perf_counter() - clients_end))
    return rounds


if __name__ == "__main__":
    main()
