"""The validity gate: circuits that a run's discovery finds must say more than those found where there are none.

A control is beaten if the circuits' balanced accuracy exceeds the control's by more than two standard errors, in the
mean over classes and for most classes by themselves, lest one good circuit carry the others through. Sizes do not
count: a control that does as well shows that the figure means nothing, however many channels it has, and being smaller
does not help a circuit that is no better. All accuracies are those of test images of the trained classes.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from fedcircuits.circuit_scores import balanced_sample
from fedcircuits.deep.control_scores import Score, score_circuits, score_random_circuits
from fedcircuits.deep.controls import (
    Control,
    find_circuits,
    nonsense_candidate,
    permuted_candidate,
    untrained_candidate,
)
from fedcircuits.model_spec import ModelSpec
from fedcircuits.models import GateSite, Weights
from fedcircuits.seeding import Purpose, torch_generator
from fedcircuits.settings import Settings
from fedcircuits.study import Bench, prepare_subject
from fedcircuits.training import RoundPosition

MIN_Z = 2.0
"""Standard errors by which circuits must exceed a control."""


@dataclass(frozen=True)
class ValidityRow:
    """The columns of the table `validity` from `control` on; docs/run-log.md explains them.

    Args:
        control: a `Control`.
        class_id: the class; None for all classes pooled.
        balanced_accuracy: of the model's circuits; pooled, the mean over classes. None without test images.
        control_balanced_accuracy: of the control's circuits.
        size: reachable channels of the model's circuit; pooled, the mean over classes, rounded.
        control_size: reachable channels of the control's circuit.
        z: difference of the accuracies in standard errors.
        beaten: z is above `MIN_Z`, pooled also for more than half of the classes; None where z is.
    """

    control: str
    class_id: int | None
    balanced_accuracy: float | None
    control_balanced_accuracy: float | None
    size: int
    control_size: int
    z: float | None
    beaten: bool | None


def check_validity(
    settings: Settings,
    spec: ModelSpec,
    weights: Weights,
    bench: Bench,
    position: RoundPosition,
    trained_classes: Collection[int],
) -> list[ValidityRow]:
    """Compare the circuits of a model with four controls.

    Args:
        settings: of the run: its discovery, and in `deep` the test images per class and the random circuits.
        spec: the network's shape.
        weights: the model under study.
        bench: images to find circuits on and to score them on.
        position: the round; with the bench's partition it seeds every draw.
        trained_classes: classes that the model was trained on; circuits of others are not looked at.

    Returns:
        for each control one row per class and one of all classes pooled; none if the model was trained on a single
        class, or on none of those whose circuits are looked for: there is nothing to be told apart.
    """
    held = set(bench.source.labels.tolist())
    trained = tuple(sorted(held & set(trained_classes)))
    wanted = tuple(c for c in bench.classes if c in trained)
    if len(trained) < 2 or not wanted:
        return []
    generator = torch_generator(settings.run.seed, Purpose.VALIDITY, bench.partition_id, position.server_round)
    test = balanced_sample(bench.test, trained, settings.deep.deep_images, generator)
    bench = replace(bench, classes=wanted, test=test)
    subject = prepare_subject(settings, spec, weights, bench)
    found = find_circuits(settings, subject, bench, generator)
    candidates = {
        Control.UNTRAINED: untrained_candidate(settings, spec, weights, bench, generator),
        Control.NONSENSE: nonsense_candidate(settings, subject, bench, trained, generator),
        Control.PERMUTED: permuted_candidate(settings, subject, bench, generator),
    }
    site = GateSite(settings.discovery.gate_site)
    real = score_circuits(found, trained, site)
    controls = {control: score_circuits(candidate, trained, site) for control, candidate in candidates.items()}
    controls[Control.RANDOM] = score_random_circuits(found, trained, site, settings.deep.deep_draws, generator)
    return [row for control, scores in controls.items() for row in compare(control, real, scores)]


def compare(control: Control, real: Mapping[int, Score], scores: Mapping[int, Score]) -> list[ValidityRow]:
    """Return one row per class of a control, and one of all classes pooled.

    Args:
        control: which.
        real: class to the score of the model's circuit.
        scores: class to the score of the control's circuit, for the same classes.
    """
    rows = [_row(control, class_id, [real[class_id]], [scores[class_id]]) for class_id in real]
    scored = [c for c in real if real[c].balanced_accuracy is not None and scores[c].balanced_accuracy is not None]
    pooled_classes = scored or list(real)
    pooled = _row(control, None, [real[c] for c in pooled_classes], [scores[c] for c in pooled_classes])
    is_broad = 2 * sum(row.beaten is True for row in rows) > len(pooled_classes)
    return [*rows, replace(pooled, beaten=pooled.beaten and is_broad)]


def verdict(rows: Sequence[ValidityRow]) -> bool | None:
    """Tell whether every control is beaten, all classes pooled; None if that is not known of one, or of none."""
    pooled = [row.beaten for row in rows if row.class_id is None]
    if not pooled or None in pooled:
        return None
    return all(pooled)


def _row(control: Control, class_id: int | None, real: Sequence[Score], scores: Sequence[Score]) -> ValidityRow:
    """Compare the means of two lists of circuits; errors are taken as independent of each other.

    Circuits share test images, which makes the errors of a difference smaller and those of a mean over classes larger
    than that.
    """
    accuracy, control_accuracy = _mean_accuracy(real), _mean_accuracy(scores)
    z = None
    if accuracy is not None and control_accuracy is not None:
        error = math.sqrt(sum(score.variance for score in (*real, *scores))) / len(real)
        z = (accuracy - control_accuracy) / error
    return ValidityRow(
        control=str(control),
        class_id=class_id,
        balanced_accuracy=accuracy,
        control_balanced_accuracy=control_accuracy,
        size=round(sum(score.size for score in real) / len(real)),
        control_size=round(sum(score.size for score in scores) / len(scores)),
        z=z,
        beaten=None if z is None else z > MIN_Z,
    )


def _mean_accuracy(scores: Sequence[Score]) -> float | None:
    known = [score.balanced_accuracy for score in scores if score.balanced_accuracy is not None]
    return sum(known) / len(known) if len(known) == len(scores) else None
