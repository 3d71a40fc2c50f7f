"""Hits and false alarms of circuits on test images, with the errors that they are known to."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool
from torch import Tensor

from fedcircuits.config_values import ClassIds
from fedcircuits.deep.controls import Candidate
from fedcircuits.deep.random_circuits import random_circuits
from fedcircuits.deep.trials import Trial, prepare_trial
from fedcircuits.models import GateSite

RANDOM_QUANTILE = 0.95
"""Of the random circuits of a class, the one that stands for them: chance does better in one case of twenty."""


@dataclass(frozen=True)
class Score:
    """One circuit's hits and false alarms on the test set, and its reachable channels; None without images."""

    recall: float | None
    false_positive_rate: float | None
    num_positive: int
    num_negative: int
    size: int

    @property
    def balanced_accuracy(self) -> float | None:
        """Mean of recall and of one less the false-positive rate."""
        if self.recall is None or self.false_positive_rate is None:
            return None
        return (self.recall + 1 - self.false_positive_rate) / 2

    @property
    def variance(self) -> float:
        """Binomial variance of the balanced accuracy; one hit and one miss are added, so that it is never 0."""
        parts = ((self.recall, self.num_positive), (self.false_positive_rate, self.num_negative))
        return sum(_binomial_variance(share or 0.0, number) for share, number in parts) / 4


def score_circuits(candidate: Candidate, trained: ClassIds, site: GateSite) -> dict[int, Score]:
    """Score every circuit on the candidate's own test images."""
    scores = {}
    for class_id, member in zip(candidate.circuits.class_ids, candidate.circuits.members, strict=True):
        kept = (member & candidate.subject.reachable)[None]
        trial = prepare_trial(candidate.subject, candidate.test, class_id, trained, site)
        scores[class_id] = _judge_all(trial, kept)[0]
    return scores


def score_random_circuits(
    candidate: Candidate, trained: ClassIds, site: GateSite, num_draws: int, generator: torch.Generator
) -> dict[int, Score]:
    """Score random circuits of the candidate's sizes, and return for each class the one at `RANDOM_QUANTILE`."""
    subject, scores = candidate.subject, {}
    for class_id, member in zip(candidate.circuits.class_ids, candidate.circuits.members, strict=True):
        drawn = random_circuits(member, subject.reachable, subject.model.spec.channels, num_draws, generator)
        rivals = _judge_all(prepare_trial(subject, candidate.test, class_id, trained, site), drawn)
        rivals.sort(key=lambda score: score.balanced_accuracy or 0.0)
        scores[class_id] = rivals[math.ceil(RANDOM_QUANTILE * num_draws) - 1]
    return scores


def _judge_all(trial: Trial, members: Bool[Tensor, "circuit channel"]) -> list[Score]:
    num_positive = int((trial.data.labels == trial.class_id).sum())
    num_negative = len(trial.data) - num_positive
    return [
        Score(found.recall, found.false_positive_rate, num_positive, num_negative, int(member.sum()))
        for found, member in zip(trial.judge(members), members, strict=True)
    ]


def _binomial_variance(share: float, number: int) -> float:
    smoothed = (share * number + 1) / (number + 2)
    return smoothed * (1 - smoothed) / max(number, 1)
