"""Can a dataset show that averaging damages features? Only in the room that a readout on untrained features leaves.

    python benchmarks/room.py
    python benchmarks/room.py --set "dataset='digits'" "sparsity=0.0" --rounds 1 --seeds 0 1 2
    python benchmarks/room.py --clients 5 --set "partition='classes'" "client-classes='0,1;2,3;4,5;6,7;8,9'"

Rounds of the default network, without circuits. R, A0, A2 and A3 are rungs of the ladder, accuracies on the test set:
of a new readout on the untrained network's features, of the average as it is, of a new readout on the average's
features, and of a new one on each client's features, as a mean over clients. Every readout is a logistic regression on
the whole probe set. The room is A3 - R: a loss of features, A3 - A2, can be seen only as far as it fits in there.
"""

import argparse
import tomllib
from collections.abc import Collection, Iterator
from statistics import mean

import torch
from bare_loop import Federation, average, train_phase
from product import start_weights
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fedcircuits.data.datasets import LabelledImages
from fedcircuits.networks.cnn import Weights, build_model
from fedcircuits.settings import Settings
from fedcircuits.settings.app_config import app_defaults
from fedcircuits.training.local import RoundPosition

CHANGES = {"dataset": "cluttered-digits", "circuit-every": 0, "examination-every": 0, "validity-every": 0}
"""What differs from the defaults: a dataset with room, and no circuits."""


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings; text in quotes")
    parser.add_argument("--clients", type=int, default=5, help="number of clients")
    parser.add_argument("--rounds", type=int, default=10, help="rounds to train")
    parser.add_argument("--at", type=int, nargs="*", default=[1, 10], help="rounds to measure after")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0], help="seeds of runs, one after another")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print("| seed | round | R | A0 | A2 | A3 | room |\n|---|---|---|---|---|---|---|")
    for seed in arguments.seeds:
        config = {**app_defaults(), **CHANGES, **tomllib.loads("\n".join(arguments.set)), "seed": seed}
        federation = Federation.load(Settings.from_config(config), arguments.clients)
        for server_round, *accuracies in climb(federation, arguments.rounds, arguments.at):
            print(f"| {seed} | {server_round} |", " | ".join(f"{each:.3f}" for each in accuracies), "|", flush=True)


def climb(federation: Federation, num_rounds: int, at: Collection[int]) -> Iterator[tuple[int, *tuple[float, ...]]]:
    """Train for some rounds, and after those of `at` return the round, R, A0, A2, A3 and the room."""
    weights, partitions = start_weights(federation.settings), range(len(federation.trains))
    floor = with_new_readout(federation, weights)
    for server_round in range(1, num_rounds + 1):
        updates = train_phase(federation, weights, RoundPosition(server_round, num_rounds), partitions)
        weights = average(federation, updates, partitions)
        if server_round in at:
            clients = mean(with_new_readout(federation, update.trained.weights) for update in updates)
            as_it_is, new_readout = with_own_readout(federation, weights), with_new_readout(federation, weights)
            yield server_round, floor, as_it_is, new_readout, clients, clients - floor


@torch.no_grad()
def with_own_readout(federation: Federation, weights: Weights) -> float:
    """Return the network's accuracy on the test set."""
    test = federation.dataset.test
    predicted = build_model(federation.spec, weights, test.device)(test.images).argmax(1)
    return float((predicted == test.labels).double().mean())


@torch.no_grad()
def with_new_readout(federation: Federation, weights: Weights) -> float:
    """Return the accuracy on the test set of a readout of the network's features, fitted on the probe set."""
    model = build_model(federation.spec, weights, torch.device("cpu"))

    def outputs(data: LabelledImages) -> tuple[object, object]:
        return model.features(data.images).numpy(), data.labels.numpy()

    readout = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    readout.fit(*outputs(federation.dataset.probe))
    return float(readout.score(*outputs(federation.dataset.test)))


if __name__ == "__main__":
    main()
