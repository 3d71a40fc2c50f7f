"""How much of the whole network a circuit keeps: faithfulness, and its curve over circuits of growing size.

F(C) = (M(C) - M(empty)) / (M(N) - M(empty)). M of the empty circuit is 0, for its output is constant, so F = M(C)/M(N):
0 for the empty circuit, 1 for the whole network. It may exceed 1, where channels outside the circuit get in its way,
and fall below 0. CPR and CMD are those of MIB (arXiv 2504.13151), with circuits as shares of the reachable channels.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from fedcircuits.circuits.circuit import Circuits
from fedcircuits.circuits.discovery.sizing import nested_sizes
from fedcircuits.circuits.study import Subject
from fedcircuits.data.datasets import LabelledImages
from fedcircuits.examination.trials import Trial, prepare_trial
from fedcircuits.networks.cnn import GateSite

_STOCHASTIC_DRAWS: Final = 8
"""Random sets that stay on: enough for a mean, and cheap beside the rank tests."""


@dataclass(frozen=True)
class CurvePoint:
    """One of a class's nested circuits: its `size` best channels of those that carry signal.

    Args:
        class_id: the class.
        size: channels of the circuit.
        share: the same as a fraction of the reachable channels; 0 if there are none.
        faithfulness: F; None where the whole network does not separate the class.
        recall: share of the class's images that the circuit takes for it.
        false_positive_rate: share of the other trained classes' images that it takes for the class.
        balanced_accuracy: (recall + 1 - false_positive_rate) / 2.
    """

    class_id: int
    size: int
    share: float
    faithfulness: float | None
    recall: float | None
    false_positive_rate: float | None
    balanced_accuracy: float | None


@dataclass(frozen=True)
class CurveAreas:
    """Areas of a curve over shares in 0..1; None where faithfulness is not defined.

    Args:
        cpr: area under F; 1 for a network of which any part does as well as the whole.
        cmd: area of |1 - F|; 0 for that network.
    """

    cpr: float | None
    cmd: float | None


def nested_curves(
    subject: Subject, circuits: Circuits, data: LabelledImages, trained_classes: Collection[int], site: GateSite
) -> list[CurvePoint]:
    """Return the curve of every class's ranking, classes in the order of `circuits`.

    Args:
        subject: the model to run the circuits in.
        circuits: their rankings are used, not their members.
        data: test images, balanced over classes.
        trained_classes: classes that the model was trained on.
        site: where gates act, as in discovery.
    """
    points = []
    for class_id, ranking in zip(circuits.class_ids, circuits.ranking, strict=True):
        points += nested_curve(prepare_trial(subject, data, class_id, trained_classes, site), ranking)
    return points


def nested_curve(trial: Trial, ranking: Int[Tensor, " channel"]) -> list[CurvePoint]:
    """Return the points of one class's curve, from the empty circuit to all reachable channels."""
    reachable = trial.subject.reachable
    num_reachable = int(reachable.sum())
    sizes = nested_sizes(num_reachable)
    points = []
    for size, judgement in zip(sizes, trial.judge(nested_members(ranking, reachable, sizes)), strict=True):
        faithfulness = None
        if trial.is_separable and judgement.separation is not None:
            faithfulness = judgement.separation / trial.whole if size else 0.0
        points.append(
            CurvePoint(
                class_id=trial.class_id,
                size=size,
                share=size / max(num_reachable, 1),
                faithfulness=faithfulness,
                recall=judgement.recall,
                false_positive_rate=judgement.false_positive_rate,
                balanced_accuracy=judgement.balanced_accuracy,
            )
        )
    return points


def nested_members(
    ranking: Int[Tensor, " channel"], reachable: Bool[Tensor, " channel"], sizes: Sequence[int]
) -> Bool[Tensor, "size channel"]:
    """Cut circuits of the given sizes from the best reachable channels of a ranking."""
    best = ranking[reachable[ranking]]
    members = torch.zeros(len(sizes), len(ranking), dtype=torch.bool)
    for member, size in zip(members, sizes, strict=True):
        member[best[:size]] = True
    return members


def curve_areas(points: Sequence[CurvePoint]) -> CurveAreas:
    """Return the areas of one class's curve by the trapezoidal rule; faithfulness is not clipped."""
    faithful = [point.faithfulness for point in points if point.faithfulness is not None]
    if len(faithful) != len(points) or len(points) < 2:
        return CurveAreas(None, None)
    shares = [point.share for point in points]
    missing = np.abs(1 - np.array(faithful))
    return CurveAreas(float(np.trapezoid(faithful, shares)), float(np.trapezoid(missing, shares)))


def completeness(trial: Trial, member: Bool[Tensor, " channel"]) -> float:
    """Return K(C) = (M(N) - M(N without C)) / M(N), 1 where the rest cannot do the task (Wang et al. 2022, 2211.00593).

    Args:
        trial: must be separable.
        member: the circuit; channels that carry signal.
    """
    rest = trial.subject.reachable & ~member
    return 1 - float(trial.faithfulness(rest[None])[0])


def stochastic_faithfulness(trial: Trial, member: Bool[Tensor, " channel"], generator: torch.Generator) -> float:
    """Return the mean F where each channel outside the circuit is off with a probability of one half.

    Where everything outside is always off at once, errors can be chosen that cancel; a circuit that is only good
    because of that falls below both F and 1 here. Arguments as `completeness`.
    """
    stays_on = torch.rand(_STOCHASTIC_DRAWS, len(member), generator=generator) >= 0.5
    return float(trial.faithfulness(member | (stays_on & trial.subject.reachable)).mean())
