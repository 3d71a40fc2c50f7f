"""Time the overlap of every two of many clients' circuits, summarised, against Python sets.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/overlap.py
    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/overlap.py --clients 200 --repeats 9

NumPy reads the number of threads when it is imported, so that it has to be set outside.

Circuits and masks are drawn at random: each client reaches other channels, each circuit has another size, so that no
two pairs need the same null. Ways are timed in turn, and the medians are printed, in seconds of one core. Python sets
take a random sample of the pairs and are scaled up to all of them; they count the intersection and the union of every
layer and all layers pooled, without any null, which the other ways have.
"""

import argparse
import time
from collections.abc import Callable
from itertools import accumulate, pairwise
from statistics import median

import numpy as np
import torch
from numpy import ndarray as Array

from fedcircuits.overlap.client_sets import ClientSets, num_pairs
from fedcircuits.overlap.summaries import FIGURES, summarise_clients

CHANNELS = (32, 64, 128)
NUM_CLASSES = 10
WEIGHTS = (288, 18_432, 73_728, 1_280)
"""Weights of the paper's network on digits, layer by layer."""

MASK_DENSITY = 0.1
SAMPLED_PAIRS = 20_000


def main() -> None:
    """Time all ways in turn and print their medians."""
    arguments = parse_arguments()
    torch.set_num_threads(1)
    generator = np.random.default_rng(arguments.seed)
    members, reachable = draw_circuits(generator, arguments.clients)
    present = np.ones((arguments.clients, NUM_CLASSES), dtype=np.bool_)
    circuits = ClientSets.pack(members, reachable, present, CHANNELS)
    masks = draw_masks(generator, arguments.clients)
    total = sum(num_pairs(present.T))
    ways: dict[str, tuple[Callable[[], object], float]] = {
        "circuits, union of what both reach": (lambda: summarise_clients(circuits), 1.0),
        "circuits, intersection": (lambda: summarise_clients(circuits, common=True), 1.0),
        "weight masks": (lambda: summarise_clients(masks), 1.0),
    }
    sets, sample = (
        as_sets(members, reachable),
        generator.integers(0, arguments.clients * NUM_CLASSES, (SAMPLED_PAIRS, 2)),
    )
    ways["circuits, Python sets, scaled up"] = (lambda: compare_sets(sets, sample), total / SAMPLED_PAIRS)
    print(
        f"{arguments.clients} clients x {NUM_CLASSES} classes x {sum(CHANNELS)} channels: {total:,} pairs of circuits"
    )
    for name, (cpu, wall) in time_in_turn(ways, arguments.repeats).items():
        print(f"{name:<36} {cpu:9.2f} s of the processor {wall:9.2f} s of the clock")
    print_means(circuits)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def draw_circuits(generator: np.random.Generator, num_clients: int) -> tuple[Array, Array]:
    """Return members `[client, class, channel]`, 15 to 45 % of what a client reaches, which is 70 to 95 %."""
    reach = generator.uniform(0.7, 0.95, (num_clients, len(CHANNELS)))
    reachable = generator.random((num_clients, sum(CHANNELS))) < np.repeat(reach, CHANNELS, axis=1)
    share = generator.uniform(0.15, 0.45, (num_clients, NUM_CLASSES, len(CHANNELS)))
    drawn = generator.random((num_clients, NUM_CLASSES, sum(CHANNELS))) < np.repeat(share, CHANNELS, axis=2)
    return drawn & reachable[:, None], reachable


def draw_masks(generator: np.random.Generator, num_clients: int) -> ClientSets:
    """Return weight masks of about the same density."""
    flags = ((generator.random((1, sum(WEIGHTS)), dtype=np.float32) < MASK_DENSITY) for _ in range(num_clients))
    everything = (np.ones(sum(WEIGHTS), dtype=np.bool_) for _ in range(num_clients))
    return ClientSets.pack(flags, everything, np.ones((num_clients, 1), dtype=np.bool_), WEIGHTS)


def as_sets(members: Array, reachable: Array) -> list[list[frozenset[int]]]:
    """Return every circuit as a set of channel numbers for each layer."""
    bounds = [0, *accumulate(CHANNELS)]
    circuits = (members & reachable[:, None]).reshape(-1, sum(CHANNELS))
    return [
        [frozenset(np.flatnonzero(flags[low:high]).tolist()) for low, high in pairwise(bounds)] for flags in circuits
    ]


def compare_sets(circuits: list[list[frozenset[int]]], sample: Array) -> list[list[float]]:
    """Return the IoU of sampled pairs, layer by layer and pooled, from Python sets."""
    figures = []
    for one, other in sample.tolist():
        shared = [len(a & b) for a, b in zip(circuits[one], circuits[other], strict=True)]
        either = [len(a | b) for a, b in zip(circuits[one], circuits[other], strict=True)]
        pairs = zip([*shared, sum(shared)], [*either, sum(either)], strict=True)
        figures.append([k / n if n else float("nan") for k, n in pairs])
    return figures


def time_in_turn(ways: dict[str, tuple[Callable[[], object], float]], repeats: int) -> dict[str, tuple[float, float]]:
    """Return the median seconds of the processor and of the clock that each way takes, times its factor."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, (run, factor) in ways.items():
            cpu, wall = time.process_time(), time.perf_counter()
            run()
            taken[name].append(((time.process_time() - cpu) * factor, (time.perf_counter() - wall) * factor))
    return {name: (median(c for c, _ in times), median(w for _, w in times)) for name, times in taken.items()}


def print_means(circuits: ClientSets) -> None:
    """Print what was found, so that a mistake would show: random circuits share what chance gives."""
    for kind, summary in zip(("one class", "two classes"), summarise_clients(circuits, common=True), strict=True):
        means = zip(FIGURES, summary.mean[-len(FIGURES) :], strict=True)
        print(f"{kind}, intersection, pooled: " + ", ".join(f"{name} {mean:.4f}" for name, mean in means))


if __name__ == "__main__":
    main()
