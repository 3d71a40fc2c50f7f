"""A whole round of the paper's three-class experiment on MNIST: clients {0, 1, 2} {3, 4, 5} {6, 7, 8}.

    python benchmarks/round.py --data-dir data
    python benchmarks/round.py --data-dir data --full --repetitions 1

A round is training, circuits of the local models and of the global one on clients' images, transplants, circuits of the
global model on the server's images, and the figures of all of them. Parts are measured on a little of their work, the
first client standing for all, and scaled by how often a round does it; `--full` runs it all. The naive side is always
the paper's method. Overlaps, interference and the run log are not in it, on either side.
"""

import argparse
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import torch
from bare_loop import Federation, whole_round
from images import add_image_options, mnist_folder, naive_loader
from naive.federation import Client, run_round
from naive.network import CNN
from product import default_settings, paper_settings, start_weights
from round_parts import DEFAULT, NAIVE, PAPER, RETEST, Costs, Scene, costs_of_parts
from timing import Timing, add_timing_options, compare, markdown, prepare_machine, total

from fedcircuits.training.local import RoundPosition

NUM_CLIENTS = 3


def main() -> None:
    """Measure and print tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--full", action="store_true", help="run whole rounds instead of scaling parts")
    parser.add_argument(
        "--steps", type=int, default=8, help="steps of training and naive ones of gates in one repetition"
    )
    parser.add_argument("--test-images", type=int, default=1000)
    parser.add_argument("--share", type=float, default=0.3, help="of the channels, in the circuits that are measured")
    add_image_options(parser)
    add_timing_options(parser)
    arguments = parser.parse_args()
    print(prepare_machine(arguments))
    with mnist_folder(arguments.data_dir) as folder:
        federations = {
            PAPER: Federation.load(paper_settings(folder), NUM_CLIENTS, arguments.device),
            DEFAULT: Federation.load(default_settings(folder), NUM_CLIENTS, arguments.device),
            RETEST: Federation.load(default_settings(folder, retest_every=1), NUM_CLIENTS, arguments.device),
        }
        if arguments.full:
            timings = full_rounds(folder, federations, arguments)
        else:
            timings = scaled_rounds(folder, federations, arguments)
    print("\n" + markdown("whole round", timings))


def full_rounds(folder: Path, federations: Mapping[str, Federation], arguments: argparse.Namespace) -> list[Timing]:
    """Run whole rounds of all ways."""
    paper = federations[PAPER]
    settings, start = paper.settings, start_weights(paper.settings)
    clients = [Client(naive_loader(folder, True, data), data.labels.unique().tolist()) for data in paper.trains]
    probe, test = (
        naive_loader(folder, False, images, shuffle=shuffle)
        for images, shuffle in ((paper.dataset.probe, True), (paper.dataset.test, False))
    )
    epochs, sparsity = settings.training.local_epochs, settings.sparsity.sparsity

    def naive() -> None:
        model = CNN()
        model.load_state_dict(start)
        model.to(torch.device(arguments.device))
        run_round(model, clients, probe, test, epochs, sparsity, settings.discovery.gate_steps)

    position = RoundPosition(1, settings.run.num_server_rounds)
    ours = {name: partial(whole_round, each, start, position) for name, each in federations.items()}
    return compare({NAIVE: naive, **ours}, arguments.repetitions, arguments.apart, warms_up=False)


def scaled_rounds(folder: Path, federations: Mapping[str, Federation], arguments: argparse.Namespace) -> list[Timing]:
    """Measure parts, print what a round spends on each, and return the sums."""
    scene = Scene.load(folder, federations, arguments.test_images, arguments.share, arguments.device)
    costs = costs_of_parts(scene, arguments.steps, arguments.repetitions, arguments.apart)
    print("\n" + _table_of_parts(costs))
    return [total(way, [part[way] for part in costs.values()]) for way in (NAIVE, PAPER, DEFAULT, RETEST)]


def _table_of_parts(costs: Costs) -> str:
    ways: Sequence[str] = (NAIVE, PAPER, DEFAULT, RETEST)
    rows = [["CPU s of a round", *ways], ["---"] + ["---:"] * len(ways)]
    rows += [[name, *(f"{part[way].median.cpu:.1f}" for way in ways)] for name, part in costs.items()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    main()
