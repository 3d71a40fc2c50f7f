"""What a round's studies leave in the log: verdicts and their reasons."""

from dataclasses import replace

import torch

from fedcircuits.circuits.circuit import Circuits
from fedcircuits.circuits.discovery import Negatives
from fedcircuits.circuits.found import FoundCircuits, Question
from fedcircuits.circuits.study import Study
from fedcircuits.circuits.verdicts import CircuitQuality
from fedcircuits.networks.cnn import initial_weights
from fedcircuits.networks.spec import ModelSpec
from fedcircuits.records import DataKind, ModelKind, UnusableReason
from strategies.round_studies import RoundStudies

SPEC = ModelSpec(in_channels=1, image_size=4, channels=(4, 6), num_classes=4)
SOUND = CircuitQuality(0, 0.9, 0.1, 0.1, 0.1, 0.9, 0.0, 0.9, 0.1, 0.8, 30, 60, None)


def take(is_discovery_sound: bool) -> tuple[RoundStudies, FoundCircuits]:
    """Take in a study: two usable circuits, one that is not, and one without a verdict.

    Of ten channels the retest of the second has nine, which are nearly all, and that of the last eight, which are not.
    """
    members = torch.zeros(4, 10, dtype=torch.bool)
    members[:, 0] = True
    retest = members.clone()
    retest[1, :9] = True
    retest[3, :8] = True
    reasons = (None, None, UnusableReason.LOW_RECALL, UnusableReason.TOO_FEW_IMAGES)
    quality = [replace(SOUND, class_id=class_id, reason=reason) for class_id, reason in enumerate(reasons)]
    circuits, again = (Circuits.ranked_by_score((0, 1, 2, 3), kept, kept.float()) for kept in (members, retest))
    studies = RoundStudies(SPEC, 1)
    studies.is_discovery_sound = is_discovery_sound
    weights = initial_weights(SPEC, torch.Generator().manual_seed(0))
    question = Question(DataKind.SERVER, None, (0, 1, 2, 3))
    return studies, studies.take(ModelKind.CLIENT, 0, question, Study(circuits, again, quality, Negatives.OWN), weights)


def logged(studies: RoundStudies) -> list[tuple[bool | None, str | None]]:
    return [(row["usable"], row["reason"]) for row in studies.rows["quality"]]


def test_verdicts_and_their_reasons_are_logged() -> None:
    studies, found = take(is_discovery_sound=True)
    assert logged(studies) == [(True, None), (True, None), (False, "low_recall"), (None, "too_few_images")]
    assert found.usable == (True, False, False, None)  # to be compared, a circuit must have been found again


def test_a_failed_check_takes_usable_circuits_and_leaves_other_reasons_as_they_are() -> None:
    studies, found = take(is_discovery_sound=False)
    failed = (False, "check_failed")
    assert logged(studies) == [failed, failed, (False, "low_recall"), (None, "too_few_images")]
    assert found.usable == (False, False, False, None)
