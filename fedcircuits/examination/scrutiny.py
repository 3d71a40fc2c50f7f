"""Everything that a sceptic asks about the circuits of one model, one record per circuit."""

import math
from collections.abc import Collection
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from fedcircuits.alignment.random_circuits import random_circuits
from fedcircuits.circuits.circuit import Circuits
from fedcircuits.circuits.study import Subject
from fedcircuits.data.datasets import LabelledImages
from fedcircuits.examination.faithfulness import completeness, curve_areas, nested_curve, stochastic_faithfulness
from fedcircuits.examination.hypothesis_tests import necessity_p_value, sufficiency_p_value
from fedcircuits.examination.rank_agreement import channel_effects, rank_agreement
from fedcircuits.examination.trials import Trial, prepare_trial
from fedcircuits.networks.cnn import GateSite


@dataclass(frozen=True)
class Scrutiny:
    """The columns of the table `scrutiny` that one circuit has; docs/run-log.md explains them.

    All but the first four and `rank_agreement` are shares of M(N), or p-values of tests on such shares, and None where
    the whole network does not separate the class.
    """

    class_id: int
    num_channels: int
    num_reachable: int
    separation: float | None
    faithfulness: float | None = None
    cpr: float | None = None
    cmd: float | None = None
    completeness: float | None = None
    stochastic_50: float | None = None
    rank_agreement: float | None = None
    p_sufficiency: float | None = None
    p_necessity: float | None = None


def scrutinise(
    subject: Subject,
    circuits: Circuits,
    data: LabelledImages,
    trained_classes: Collection[int],
    site: GateSite,
    draws: int,
    generator: torch.Generator,
) -> list[Scrutiny]:
    """Look at every circuit of a model.

    Args:
        subject: the model to run the circuits in.
        circuits: the circuits; channels of them that carry no signal are not counted.
        data: test images, at least one, balanced over classes.
        trained_classes: classes that the model was trained on: a circuit's own, and those it must tell it from.
        site: where gates act, as in discovery.
        draws: random circuits in each test.
        generator: draws everything, on the CPU.
    """
    effects = channel_effects(
        subject.model, data, circuits.class_ids, trained_classes, subject.ablation, site, subject.reachable
    )
    rows = []
    for i, class_id in enumerate(circuits.class_ids):
        trial = prepare_trial(subject, data, class_id, trained_classes, site)
        member = circuits.members[i] & subject.reachable
        rows.append(_scrutinise_one(trial, member, circuits.ranking[i], effects[i], draws, generator))
    return rows


def _scrutinise_one(
    trial: Trial,
    member: Bool[Tensor, " channel"],
    ranking: Int[Tensor, " channel"],
    effects: Float[Tensor, " channel"],
    draws: int,
    generator: torch.Generator,
) -> Scrutiny:
    reachable = trial.subject.reachable
    row = Scrutiny(
        class_id=trial.class_id,
        num_channels=int(member.sum()),
        num_reachable=int(reachable.sum()),
        separation=None if math.isnan(trial.whole) else trial.whole,
        rank_agreement=rank_agreement(ranking, effects, reachable),
    )
    if not trial.is_separable:
        return row
    areas = curve_areas(nested_curve(trial, ranking))
    rivals = random_circuits(member, reachable, trial.subject.model.spec.channels, draws, generator)
    return replace(
        row,
        faithfulness=float(trial.faithfulness(member[None])[0]),
        cpr=areas.cpr,
        cmd=areas.cmd,
        completeness=completeness(trial, member),
        stochastic_50=stochastic_faithfulness(trial, member, generator),
        p_sufficiency=sufficiency_p_value(trial, member, rivals),
        p_necessity=necessity_p_value(trial, member, rivals),
    )
