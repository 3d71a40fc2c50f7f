"""The check of the discovery: circuits of several clients must tell their classes better than random ones do.

It judges the setting, not a circuit: all circuits of all checked clients are pooled, so that a weak one does not void
the others. Each stands against random circuits of the same model with as many channels in each layer. Two things are
asked of the mean difference in balanced accuracy: that it is large enough to matter, and that it is not chance.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from fedcircuits.circuits.check_verdict import CheckResult
from fedcircuits.circuits.circuit import Circuits
from fedcircuits.circuits.scores import balanced_sample
from fedcircuits.circuits.study import Subject
from fedcircuits.data.datasets import LabelledImages
from fedcircuits.examination.contests import Contest, hold_contest
from fedcircuits.networks.cnn import GateSite
from fedcircuits.seeding import Purpose, torch_generator
from fedcircuits.settings import Settings
from fedcircuits.settings.config_values import ClassIds
from fedcircuits.training.local import RoundPosition


@dataclass(frozen=True)
class CheckedModel:
    """A model with the circuits that are checked.

    Args:
        partition_id: the client; None for the server.
        subject: the model.
        circuits: those that were found in it.
        classes: those that it knows, ascending: what its circuits must tell apart.
    """

    partition_id: int | None
    subject: Subject
    circuits: Circuits
    classes: ClassIds


@dataclass(frozen=True)
class ValidityRow:
    """The columns of the table `validity` from `partition_id` on; docs/run-log.md explains them.

    Args:
        partition_id: the client; None for the server, and where all are pooled.
        class_id: the class; None where all are pooled.
        balanced_accuracy: of the circuit; pooled, the mean. None without test images of both sides.
        random_balanced_accuracy: mean over random circuits of its size; pooled, the mean of that.
        random_sd: standard deviation between random circuits; pooled, the root of the mean variance.
        effect: difference of the two accuracies.
        standard_error: of the effect, see `standard_error`.
        z: the effect in standard errors.
        num_circuits: how many circuits the row is about.
        passed: the verdict of the pooled row; None elsewhere, and where nothing could be scored.
    """

    partition_id: int | None
    class_id: int | None
    balanced_accuracy: float | None
    random_balanced_accuracy: float | None
    random_sd: float | None
    effect: float | None
    standard_error: float | None
    z: float | None
    num_circuits: int
    passed: bool | None


def check_validity(
    settings: Settings, models: Sequence[CheckedModel], test: LabelledImages, position: RoundPosition
) -> list[ValidityRow]:
    """Hold the circuits of some models against random circuits of the same sizes, and judge.

    Args:
        settings: of the run; in `examination` the test images per class, and the random circuits that all models
            together are given for each class (at least two for each circuit).
        models: whose circuits are checked; those that know a single class have nothing to be told apart.
        test: held-out images, on the models' device.
        position: the round, which seeds every draw.

    Returns:
        one row per circuit, by model and class, and one of all pooled; none if there is no circuit to check.
    """
    contests = hold_contests(settings, models, test, position)
    return judge_contests(contests, position.server_round) if contests else []


def hold_contests(
    settings: Settings, models: Sequence[CheckedModel], test: LabelledImages, position: RoundPosition
) -> list[Contest]:
    """Let every circuit stand against random ones; arguments as `check_validity`."""
    able = [model for model in models if len(model.classes) > 1]
    if not able:
        return []
    generator = torch_generator(settings.run.seed, Purpose.VALIDITY, server_round=position.server_round)
    shown = tuple(sorted({class_id for model in able for class_id in model.classes}))
    sample = balanced_sample(test, shown, settings.examination.examination_images, generator)
    num_draws = max(2, -(-settings.examination.examination_draws // len(able)))
    site = GateSite(settings.discovery.gate_site)
    return [
        hold_contest(
            model.partition_id, model.subject, class_id, member, model.classes, sample, site, num_draws, generator
        )
        for model in able
        for class_id, member in zip(model.circuits.class_ids, model.circuits.members, strict=True)
        if class_id in model.classes
    ]


def judge_contests(contests: Sequence[Contest], server_round: int) -> list[ValidityRow]:
    """Return one row per contest and one of all pooled, whose verdict is that of the check."""
    pooled = _row(None, None, [contest for contest in contests if contest.is_decidable])
    result = _result(pooled, server_round)
    singly = [_row(one.partition_id, one.class_id, [one] if one.is_decidable else []) for one in contests]
    return [*singly, replace(pooled, passed=None if result is None else result.has_passed)]


def result_of(rows: Sequence[ValidityRow], server_round: int) -> CheckResult | None:
    """Return what a check has found; None if nothing could be scored."""
    return next((_result(row, server_round) for row in rows if row.passed is not None), None)


def standard_error(contests: Sequence[Contest]) -> float:
    """Return how far the mean effect of some contests may be off, balanced accuracy.

    Two errors are added as variances:

    - *Images*. Circuit and rivals see the same images, and so do the contests of other classes and clients. What an
      image adds to the mean effect, over all contests, is therefore one observation, and images are independent.
      Each side of each contest is given one image more, which is wholly against the others, lest the error be 0.
    - *Draws*: the mean rival is known from a few rivals.

    How far classes and clients differ is no error: the verdict is about the circuits of these, not of others like
    them. They differ much in good networks, too, since the class that a network names for want of anything else is
    told as well by random circuits.

    Args:
        contests: at least one, all decidable.
    """
    of_images = torch.zeros(1 + max(int(contest.positions.max()) for contest in contests), dtype=torch.float64)
    against, draws = 0.0, 0.0
    for contest in contests:
        of_images.index_add_(0, contest.positions, contest.deviations)
        against += float(contest.side_weights.square().sum())
        draws += float(contest.rival_balanced_accuracies.var()) / len(contest.rival_hits)
    return math.sqrt(float(of_images.square().sum()) + against + draws) / len(contests)


def _result(row: ValidityRow, server_round: int) -> CheckResult | None:
    return None if row.effect is None or row.z is None else CheckResult(server_round, row.effect, row.z)


def _row(partition_id: int | None, class_id: int | None, contests: Sequence[Contest]) -> ValidityRow:
    """Return the row of some contests, all decidable, or without values if there is none."""
    if not contests:
        return ValidityRow(partition_id, class_id, None, None, None, None, None, None, 0, None)
    accuracy = _mean([contest.balanced_accuracy for contest in contests])
    random_accuracy = _mean([float(contest.rival_balanced_accuracies.mean()) for contest in contests])
    random_variance = _mean([float(contest.rival_balanced_accuracies.var()) for contest in contests])
    error = standard_error(contests)
    return ValidityRow(
        partition_id=partition_id,
        class_id=class_id,
        balanced_accuracy=accuracy,
        random_balanced_accuracy=random_accuracy,
        random_sd=math.sqrt(random_variance),
        effect=accuracy - random_accuracy,
        standard_error=error,
        z=(accuracy - random_accuracy) / error,
        num_circuits=len(contests),
        passed=None,
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
