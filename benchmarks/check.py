"""Measure the error rates of the check of the discovery: how often good networks fail it, and how often garbage passes.

    FEDCIRCUITS_DATA=folder/of/torchvision/files python benchmarks/check.py --seeds 0-4 --out check.csv

Small federations train in this process, on digits and on 2,000 images of MNIST (left out without FEDCIRCUITS_DATA):
all data with one client, the same shares of every class with five clients, classes of its own for each of three; dense
and sparse. Circuits are found on the server's probe set with the default discovery, and the check pools up to three
clients, as in a run. The same networks are then made worthless in ways that anybody who looks at circuits may come
upon without noticing. The CSV has one row per check; a table by kind is printed.
"""

import argparse
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import pandas as pd
import torch
from federations import (
    DATA_VARIABLE,
    Client,
    Federation,
    Plan,
    always_one_class,
    one_short_epoch,
    random_labels,
    seed_range,
    settings_of,
    train_federation,
    untrained,
    zeroed_readout,
)

from fedcircuits.circuits.discovery import discover_circuits, discovery_images
from fedcircuits.circuits.scores import whole_logits
from fedcircuits.circuits.study import client_bench, prepare_subject
from fedcircuits.data.datasets import Dataset, LabelledImages, load_dataset
from fedcircuits.examination.validity import CheckedModel, check_validity, result_of
from fedcircuits.seeding import Purpose, torch_generator
from fedcircuits.settings import Settings
from fedcircuits.training.local import RoundPosition

GOOD_ACCURACY: Final = 0.9
"""A federation counts as good if its clients' own models reach this on test images of their own classes, on average."""

GOOD: Final = "good"
"""What the networks are called to which nothing was done."""

PAPER: Final = {
    "discovery": "gates",
    "size-rule": "penalty",
    "objective": "target-class",
    "ablation": "zero",
    "gate-site": "pre",
    "gate-steps": 200,
    "gate-penalty": 0.01,
    "gate-penalty-unit": "absolute",
}
"""The discovery of conf/paper."""


MNIST: Final = {"train-limit": 2000, "heldout-limit": 1000, "examination-draws": 30}

PLANS: Final = (
    Plan("digits, one client, dense", "digits", 1, 0, 0.0, 2),
    Plan("digits, one client, sparse", "digits", 1, 0, 0.9, 4),
    Plan("digits, IID, dense", "digits", 5, 0, 0.0, 4),
    Plan("digits, IID, sparse", "digits", 5, 0, 0.9, 6),
    Plan("digits, 2 classes each, dense", "digits", 3, 2, 0.0, 3),
    Plan("digits, 2 classes each, sparse", "digits", 3, 2, 0.9, 3),
    Plan("digits, 3 classes each, dense", "digits", 3, 3, 0.0, 3),
    Plan("digits, 3 classes each, sparse", "digits", 3, 3, 0.9, 3),
    Plan("digits, 2 classes each, sparser", "digits", 3, 2, 0.95, 3),
    Plan("digits, 3 classes each, sparser", "digits", 3, 3, 0.95, 3),
    Plan("MNIST, one client, dense", "mnist", 1, 0, 0.0, 1, MNIST),
    Plan("MNIST, one client, sparse", "mnist", 1, 0, 0.95, 2, MNIST),
    Plan("MNIST, 3 classes each, dense", "mnist", 3, 3, 0.0, 1, MNIST),
    Plan("MNIST, 3 classes each, sparse", "mnist", 3, 3, 0.95, 1, MNIST),
)


@dataclass(frozen=True)
class Outcome:
    """One check, as a row of the CSV.

    Args:
        kind: what was done to the networks; `good` if nothing.
        plan: the federation.
        seed: of its training.
        accuracy: of the clients' models on test images of their classes, mean over the clients that were checked.
        effect: of the check, pooled.
        z: of the check, pooled.
        num_circuits: circuits that were pooled.
        passed: the verdict.
    """

    kind: str
    plan: str
    seed: int
    accuracy: float
    effect: float
    z: float
    num_circuits: int
    passed: bool


def check(kind: str, federation: Federation, changes: Mapping[str, Any]) -> Outcome:
    """Find the circuits of a federation's clients, and check them as a run would."""
    plan, seed, position = federation.plan, federation.seed, RoundPosition(1, 1)
    settings = settings_of(plan, seed, changes)
    dataset = load_dataset(settings.data, seed)
    checked = federation.clients[: settings.examination.examination_clients]
    models = [checked_model(settings, dataset, index, client) for index, client in enumerate(checked)]
    rows = check_validity(settings, models, dataset.test, position)
    result = result_of(rows, position.server_round)
    if result is None:
        raise ValueError(f"{kind}, {plan.name}, seed {seed}: nothing could be scored")
    accuracies = [accuracy(model, dataset.test) for model in models]
    return Outcome(
        kind=kind,
        plan=plan.name,
        seed=seed,
        accuracy=sum(accuracies) / len(accuracies),
        effect=result.effect,
        z=result.z,
        num_circuits=rows[-1].num_circuits,
        passed=result.has_passed,
    )


def checked_model(settings: Settings, dataset: Dataset, partition_id: int, client: Client) -> CheckedModel:
    """Find the circuits of a client's model on the probe set."""
    bench = client_bench(settings, dataset, dataset.train.of_classes(client.classes), partition_id)
    subject = prepare_subject(settings, settings.spec, client.weights, bench)
    images = discovery_images(bench.source, bench.spare_negatives, bench.classes, settings.discovery.objective)
    generator = torch_generator(settings.run.seed, Purpose.LOCAL_DISCOVERY, partition_id, 1)
    discovery, batch_size = settings.discovery, settings.training.batch_size
    found = discover_circuits(subject.model, images, subject.ablation, discovery, batch_size, generator, client.classes)
    return CheckedModel(partition_id, subject, found, client.classes)


def accuracy(model: CheckedModel, test: LabelledImages) -> float:
    """Return the share of test images of a model's classes that it recognises."""
    own = test.of_classes(model.classes)
    return float((whole_logits(model.subject.model, own.images).argmax(1) == own.labels).float().mean())


@dataclass(frozen=True)
class Garbage:
    """A way to make a federation's circuits worthless.

    Args:
        name: what the table calls it.
        spoil: what is done to the networks.
        changes: settings of the discovery that are changed.
        is_for_few_classes: whether it is garbage where clients have few classes, too.
    """

    name: str
    spoil: Callable[[Federation], Federation] = lambda federation: federation
    changes: Mapping[str, Any] = field(default_factory=dict)
    is_for_few_classes: bool = True


GARBAGE: Final = (
    Garbage("untrained", untrained),
    Garbage("random labels", random_labels),
    Garbage("always one class", always_one_class),
    Garbage("zeroed readout rows", zeroed_readout),
    # Two or three classes are learned in that time (accuracies of 0.6 to 0.9), ten are not.
    Garbage("one short epoch", one_short_epoch, is_for_few_classes=False),
    Garbage("discovery of the paper", changes=PAPER),
)


def main() -> None:
    """Measure, write the CSV and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=seed_range, default=range(5), help="such as 0-4")
    parser.add_argument("--datasets", nargs="+", choices=["digits", "mnist"], default=["digits", "mnist"])
    parser.add_argument("--num-threads", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.num_threads)
    datasets = set(arguments.datasets) if DATA_VARIABLE in os.environ else set(arguments.datasets) - {"mnist"}
    plans = [plan for plan in PLANS if plan.dataset in datasets]
    outcomes: list[Outcome] = []
    for seed in arguments.seeds:
        outcomes += measure_seed(seed, plans)
        pd.DataFrame(map(asdict, outcomes)).to_csv(arguments.out, index=False)
    print(error_rates(pd.read_csv(arguments.out)))


def measure_seed(seed: int, plans: Sequence[Plan] = PLANS, garbage: Sequence[Garbage] = GARBAGE) -> Iterator[Outcome]:
    """Train every plan with a seed, and check it as it is and made worthless in a third of the ways.

    Which third moves on with the plan and the seed, so that three seeds see each way on each plan.
    """
    for row, plan in enumerate(plans):
        federation = train_federation(plan, seed)
        yield check(GOOD, federation, {})
        for column, way in enumerate(garbage):
            is_garbage = way.is_for_few_classes or not plan.classes_per_client
            if is_garbage and (row + column + seed) % 3 == 0:
                yield check(way.name, way.spoil(federation), way.changes)


def error_rates(outcomes: pd.DataFrame) -> str:
    """Return, as Markdown, how the checks of each kind came out; good federations also plan by plan.

    Federations that have not learned, and are not garbage either, are left out and counted below the table.
    """
    is_good = outcomes["kind"] == GOOD
    has_learned = outcomes["accuracy"] >= GOOD_ACCURACY
    good, garbage = outcomes[is_good & has_learned], outcomes[~is_good]
    lines = [
        "| what was checked | checks | passed | effect: least, median, most | z: least, median, most |",
        "| --- | --- | --- | --- | --- |",
        *(_line(f"good: {plan}", own) for plan, own in good.groupby("plan", sort=False)),
        _line("**good, all**", good),
        *(_line(f"garbage: {kind}", own) for kind, own in garbage.groupby("kind", sort=False)),
        _line("**garbage, all**", garbage),
    ]
    left_out = int((is_good & ~has_learned).sum())
    return "\n".join([*lines, "", f"{left_out} federations did not reach an accuracy of {GOOD_ACCURACY}."])


def _line(name: object, outcomes: pd.DataFrame) -> str:
    def spread(column: str, digits: int) -> str:
        values = outcomes[column]
        return ", ".join(f"{value:.{digits}f}" for value in (values.min(), values.median(), values.max()))

    passed = f"{100 * outcomes['passed'].mean():.0f} %" if len(outcomes) else "–"
    return f"| {name} | {len(outcomes)} | {passed} | {spread('effect', 2)} | {spread('z', 1)} |"


if __name__ == "__main__":
    main()
