"""What a round's studies leave in the log: verdicts and their reasons."""

from dataclasses import replace

import torch

from fedcircuits.circuits import Circuits
from fedcircuits.discovery import Negatives
from fedcircuits.model_spec import ModelSpec
from fedcircuits.models import initial_weights
from fedcircuits.records import DataKind, ModelKind, UnusableReason
from fedcircuits.study import Study
from fedcircuits.verdicts import CircuitQuality
from strategies.round_studies import RoundStudies

SPEC = ModelSpec(in_channels=1, image_size=4, channels=(4, 6), num_classes=3)
SOUND = CircuitQuality(0, 0.9, 0.1, 0.1, 0.1, 0.9, 0.0, 0.9, 0.1, 0.8, 30, 60, None)


def take(is_discovery_sound: bool) -> RoundStudies:
    """Take in a study: a usable circuit, one that is not, and one without a verdict; the last two retests are large."""
    members = torch.zeros(3, 10, dtype=torch.bool)
    members[:, 0] = True
    retest = members.clone()
    retest[1, :9] = True
    retest[2, :8] = True
    reasons = (None, UnusableReason.LOW_RECALL, UnusableReason.TOO_FEW_IMAGES)
    quality = [replace(SOUND, class_id=class_id, reason=reason) for class_id, reason in enumerate(reasons)]
    circuits, again = (Circuits.ranked_by_score((0, 1, 2), kept, kept.float()) for kept in (members, retest))
    studies = RoundStudies(SPEC, 1, DataKind.CLIENT)
    studies.is_discovery_sound = is_discovery_sound
    weights = initial_weights(SPEC, torch.Generator().manual_seed(0))
    studies.take(ModelKind.CLIENT, 0, Study(circuits, again, quality, Negatives.OWN), weights)
    return studies


def logged(studies: RoundStudies) -> list[tuple[bool | None, str | None]]:
    return [(row["usable"], row["reason"]) for row in studies.rows["quality"]]


def test_verdicts_and_their_reasons_are_logged() -> None:
    studies = take(is_discovery_sound=True)
    assert logged(studies) == [(True, None), (False, "low_recall"), (None, "too_few_images")]
    ((first, second),) = studies.retested
    assert first.usable == (True, False, None)
    assert second.usable == (True, False, True)  # of ten channels nine are nearly all, and eight are not


def test_a_failed_check_takes_usable_circuits_and_leaves_other_reasons_as_they_are() -> None:
    studies = take(is_discovery_sound=False)
    assert logged(studies) == [(False, "check_failed"), (False, "low_recall"), (None, "too_few_images")]
    ((first, second),) = studies.retested
    assert first.usable == (False, False, None)
    assert second.usable == (False, False, False)
