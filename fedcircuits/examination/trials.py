"""One class of one model on test images: what every value about a circuit is measured against.

M(C) is the separation (see `circuit_scores`) with only circuit C on. Channels that carry no signal say the same of
every image, so they belong to no circuit and are never switched off, as biases are not. The circuit of all reachable
channels is then the whole network N, and the circuit of none has M = 0 whatever the weights.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from fedcircuits.circuits.scores import MIN_SEPARATION, Judgement, circuit_logits, judge, log_odds
from fedcircuits.circuits.study import Subject
from fedcircuits.data.datasets import LabelledImages
from fedcircuits.networks.cnn import GateSite


@dataclass(frozen=True)
class Trial:
    """One class of one model, with the images that decide.

    Args:
        subject: the model.
        class_id: the class in question.
        data: images of the class and of those that it must be told from.
        negatives: the other classes.
        site: where gates act, as in discovery.
        whole: M(N), nats; NaN if there is no image of the class or none of another.
    """

    subject: Subject
    class_id: int
    data: LabelledImages
    negatives: tuple[int, ...]
    site: GateSite
    whole: float

    @property
    def is_separable(self) -> bool:
        """Tell whether the whole network tells the class from others, so that shares of M(N) are defined."""
        return self.whole >= MIN_SEPARATION

    def judge(self, members: Bool[Tensor, "circuit channel"]) -> list[Judgement]:
        """Tell how well each circuit tells the class from the others."""
        return [judge(logits, self.data, self.class_id, self.negatives) for logits in self._logits(members)]

    def hits(self, members: Bool[Tensor, "circuit channel"]) -> Bool[Tensor, "circuit image"]:
        """Tell which images each circuit takes for the class."""
        return self._logits(members).argmax(-1) == self.class_id

    def log_odds(self, members: Bool[Tensor, "circuit channel"]) -> Float[Tensor, "circuit image"]:
        """Return the log-odds of the class for every image, through every circuit."""
        return log_odds(self._logits(members), self.class_id)

    def faithfulness(self, members: Bool[Tensor, "circuit channel"]) -> Float[Tensor, " circuit"]:
        """Return F = M(C) / M(N) of every circuit, on the CPU; means nothing unless `is_separable`."""
        return separations(self._logits(members), self.data, self.class_id, self.negatives) / self.whole

    def _logits(self, members: Tensor) -> Tensor:
        """Run every image through every circuit; channels that carry no signal stay on."""
        if not len(self.data):
            return torch.zeros(len(members), 0, self.subject.model.spec.num_classes, device=self.data.device)
        on = members | ~self.subject.reachable
        return circuit_logits(self.subject.model, self.data.images, on, self.subject.ablation, self.site)


def prepare_trial(
    subject: Subject, data: LabelledImages, class_id: int, trained_classes: Collection[int], site: GateSite
) -> Trial:
    """Gather what one class is judged by: all its images, and as many of the other trained classes (`trial_positions`).

    Args:
        subject: the model, and what its off channels become.
        data: test images, balanced over classes and sorted by them.
        class_id: the class in question.
        trained_classes: classes that the model was trained on.
        site: where gates act, as in discovery.
    """
    negatives = tuple(sorted(set(trained_classes) - {class_id}))
    images = data.select(trial_positions(data, class_id, negatives))
    trial = Trial(subject, class_id, images, negatives, site, whole=math.nan)
    # Through gates like every circuit: the whole is then exactly the circuit of all channels.
    whole = trial.judge(subject.reachable[None])[0].separation
    return trial if whole is None else replace(trial, whole=whole)


def trial_positions(data: LabelledImages, class_id: int, negatives: Collection[int]) -> Int[Tensor, " image"]:
    """Return where in `data` the images of a trial are: all of the class, then as many of other classes.

    Both sides count alike in M, so more images of one than of the other would cost passes and gain little. The others
    are taken at even distances, so that classes that lie one after the other in `data` have equal parts.
    """
    own = (data.labels == class_id).nonzero().flatten()
    others = torch.isin(data.labels, torch.tensor(sorted(negatives), device=data.device)).nonzero().flatten()
    if 0 < len(own) < len(others):
        places = (torch.arange(len(own), device=data.device) + 0.5) * (len(others) / len(own))
        others = others[places.long()]
    return torch.cat([own, others])


def separations(
    logits: Float[Tensor, "circuit image num_classes"], data: LabelledImages, class_id: int, negatives: Collection[int]
) -> Float[Tensor, " circuit"]:
    """Return M of many circuits at once, nats, float64, on the CPU; NaN if there is no image of either side.

    Args:
        logits: one row per image of `data` in each circuit.
        data: the images and their classes.
        class_id: the class in question.
        negatives: the classes that it must be told from; the class itself does not count among them.
    """
    own = data.labels == class_id
    other = torch.isin(data.labels, torch.tensor(sorted(negatives), device=data.device)) & ~own
    odds = log_odds(logits, class_id)
    return (odds[:, own].mean(1) - odds[:, other].mean(1)).cpu().double()
