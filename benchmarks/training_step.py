"""One step of weight-sparse training at full size: batch 256 of 28x28, channels 32/64/128.

    python benchmarks/training_step.py --data-dir data
    python benchmarks/training_step.py --device cuda --steps 100

A repetition is one epoch over as many batches as `--steps` says; what is printed is per step. The naive step loads
images through a DataLoader; a second one finds them ready as tensors, which is the only one on a GPU.
"""

import argparse
import copy
from functools import partial
from pathlib import Path

import torch
from images import add_image_options, mnist_folder, naive_loader, tensor_loader
from naive import training as naive
from naive.network import CNN
from product import add_setting_options, paper_settings, start_weights, train, variants, without_graphs
from timing import Work, add_timing_options, compare, markdown, prepare_machine

from fedcircuits.data.datasets import load_dataset


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--steps", type=int, default=10, help="steps in one repetition")
    add_image_options(parser)
    add_setting_options(parser)
    add_timing_options(parser)
    arguments = parser.parse_args()
    print(prepare_machine(arguments))
    with mnist_folder(arguments.data_dir) as folder:
        timings = compare(ways(folder, arguments), arguments.repetitions, arguments.apart)
    per_step = [timing.scaled(1 / arguments.steps) for timing in timings]
    print(f"{arguments.repetitions} repetitions of {arguments.steps} steps; seconds per step\n")
    print(markdown("one training step", per_step))


def ways(folder: Path, arguments: argparse.Namespace) -> dict[str, Work]:
    """Return what is compared, each with a model of its own that starts from the same weights in every repetition."""
    settings, device = paper_settings(folder), torch.device(arguments.device)
    size, target = settings.training.batch_size, settings.sparsity.sparsity
    train_set = load_dataset(settings.data, settings.run.seed).train
    data = train_set.select(torch.arange(arguments.steps * size)).to(device)
    start = start_weights(settings)
    model = CNN().to(device)
    model.load_state_dict(start)

    def naive_epoch(batches: naive.Loader) -> None:
        naive.train(copy.deepcopy(model), batches, 1, target)

    slow: dict[str, Work] = {"naive, tensors on the device": partial(naive_epoch, tensor_loader(data, size))}
    if arguments.device == "cpu":
        slow = {"naive": partial(naive_epoch, naive_loader(folder, True, data, size)), **slow}
    ours: dict[str, Work] = {
        name: partial(train, each, start, data, 1) for name, each in variants(settings, arguments.also).items()
    }
    if arguments.device == "cuda":
        ours["ours, without CUDA graphs"] = partial(without_graphs, ours["ours"])
    return {**slow, **ours}


if __name__ == "__main__":
    main()
