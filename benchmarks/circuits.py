"""Circuits of one model with ten classes: finding them, and measuring how good they are.

    python benchmarks/circuits.py --data-dir data
    python benchmarks/circuits.py --device cuda --steps 200

Naive discovery takes `--steps` of the paper's 200 steps and the seconds are scaled to 200; the product takes all of
them, since its steps get cheaper as gates close, and its default discovery has none. Evaluation is of random circuits,
the same for both sides, on `--test-images` images, and
is scaled to the whole test set; both sides must find the same figures.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from bare_loop import Federation
from images import add_image_options, mnist_folder, naive_loader
from naive.discovery import discover as naive_discover
from naive.evaluation import evaluate as naive_evaluate
from naive.network import CNN
from product import (
    add_setting_options,
    as_gates,
    default_settings,
    discover,
    paper_settings,
    random_circuits,
    start_weights,
    train,
    variants,
)
from timing import Timing, Work, add_timing_options, compare, markdown, prepare_machine
from torch import Tensor

from fedcircuits.circuits.study import measure_circuits, prepare_subject
from fedcircuits.circuits.verdicts import CircuitQuality

IID = {"partition": "iid", "num_clients": 5}
"""One of five such clients has 12,000 images of all ten classes."""

PAPER_STEPS = 200
TOLERANCE = 0.02


def main() -> None:
    """Measure and print tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--steps", type=int, default=10, help="naive steps of gates in one repetition")
    parser.add_argument("--test-images", type=int, default=1000)
    parser.add_argument("--shares", type=float, nargs="*", default=[0.1, 0.3, 0.6], help="channels in a circuit")
    add_image_options(parser)
    add_setting_options(parser)
    add_timing_options(parser)
    arguments = parser.parse_args()
    print(prepare_machine(arguments))
    with mnist_folder(arguments.data_dir) as folder:
        federation = Federation.load(paper_settings(folder, **IID), IID["num_clients"], arguments.device)
        weights = train(federation.settings, start_weights(federation.settings), federation.trains[0], 1).weights
        print(f"{arguments.repetitions} repetitions of {arguments.steps} steps, of {arguments.test_images} images\n")
        print(markdown("discovery of ten classes", discovery(folder, federation, weights, arguments)))
        for share in arguments.shares:
            timings = evaluation(folder, federation, weights, share, arguments)
            print("\n" + markdown(f"evaluation of ten circuits with {share:.0%} of the channels", timings))


def naive_model(weights: dict[str, Tensor], device: str) -> CNN:
    """Return the naive network with these weights."""
    model = CNN()
    model.load_state_dict(weights)
    return model.to(device)


def discovery(
    folder: Path, federation: Federation, weights: dict[str, Tensor], arguments: argparse.Namespace
) -> list[Timing]:
    """Find the circuits of all classes on one client's images; seconds are those of 200 steps."""
    data, bench = federation.trains[0], federation.benches[0]
    model, loader = naive_model(weights, arguments.device), naive_loader(folder, True, data)
    settings = variants(federation.settings, arguments.also)
    settings["ours, default instrument"] = default_settings(folder, **IID)
    ways: dict[str, Work] = {"naive": partial(naive_discover, model, loader, list(bench.classes), arguments.steps)}
    for name, each in settings.items():
        subject = prepare_subject(each, federation.spec, weights, bench)
        ways[name] = partial(discover, each, subject, bench, PAPER_STEPS)
    naive, *ours = compare(ways, arguments.repetitions, arguments.apart)
    return [naive.scaled(PAPER_STEPS / arguments.steps), *ours]


def evaluation(
    folder: Path, federation: Federation, weights: dict[str, Tensor], share: float, arguments: argparse.Namespace
) -> list[Timing]:
    """Measure ten circuits; seconds are those of the whole test set."""
    settings, bench = federation.settings, federation.benches[0]
    test = bench.test.select(torch.arange(arguments.test_images, device=bench.test.device))
    circuits = random_circuits(settings, bench.classes, share)
    gates = as_gates(settings, circuits, test.device)
    model, loader = naive_model(weights, arguments.device), naive_loader(folder, False, test, shuffle=False)
    subject = prepare_subject(settings, federation.spec, weights, bench)
    few = replace(bench, test=test)
    naive = partial(naive_evaluate, model, gates, loader, bench.classes)
    ours = partial(measure_circuits, settings, subject, few, circuits, bench.classes)
    _check_same(naive(), ours())
    timings = compare({"naive": naive, "ours": ours}, arguments.repetitions, arguments.apart)
    return [timing.scaled(len(bench.test) / arguments.test_images) for timing in timings]


def _check_same(theirs: Mapping[int, Mapping[str, float]], ours: Sequence[CircuitQuality]) -> None:
    """Stop if the two sides do not find the same rates; an image may hang on rounding."""
    for quality in ours:
        for figure, rate in theirs[quality.class_id].items():
            if abs(getattr(quality, figure) - rate) > TOLERANCE:
                raise SystemExit(f"class {quality.class_id}: {figure} is {getattr(quality, figure)}, naive {rate}")


if __name__ == "__main__":
    main()
