"""A circuit against its rivals: random circuits of its size in the same weights, on the same images.

Whatever makes a class easy (the images, the whole network, a bias) helps both sides, so what is left is what the
choice of channels is worth.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from fedcircuits.alignment.random_circuits import random_circuits
from fedcircuits.circuits.study import Subject
from fedcircuits.data.datasets import LabelledImages
from fedcircuits.examination.trials import prepare_trial, trial_positions
from fedcircuits.networks.cnn import GateSite
from fedcircuits.settings.config_values import ClassIds


@dataclass(frozen=True)
class Contest:
    """What a circuit and its rivals say of each image, for one class of one client; all on the CPU.

    Args:
        partition_id: the client; None for the server.
        class_id: the class.
        positions: `[image]`, where the images are in the sample that all contests of a check share.
        is_own: `[image]`, the image is of the class.
        hits: `[image]`, the circuit takes the image for the class.
        rival_hits: `[draw, image]`, so does a rival.
    """

    partition_id: int | None
    class_id: int
    positions: Int[Tensor, " image"]
    is_own: Bool[Tensor, " image"]
    hits: Bool[Tensor, " image"]
    rival_hits: Bool[Tensor, "draw image"]

    @property
    def is_decidable(self) -> bool:
        """Tell whether there are images of the class and of others."""
        return bool(self.is_own.any()) and not bool(self.is_own.all())

    @property
    def balanced_accuracy(self) -> float:
        """Of the circuit; meaningful, like all that follows, where `is_decidable`."""
        return float(self._balanced_accuracies(self.hits[None])[0])

    @property
    def rival_balanced_accuracies(self) -> Float[Tensor, " draw"]:
        """Return those of the rivals."""
        return self._balanced_accuracies(self.rival_hits)

    @property
    def lead(self) -> Float[Tensor, " image"]:
        """Return what each image adds to the difference of the circuit's and the mean rival's balanced accuracy."""
        ahead = self.hits.double() - self.rival_hits.double().mean(0)
        return torch.where(self.is_own, ahead, -ahead) * self._image_weights

    @property
    def deviations(self) -> Float[Tensor, " image"]:
        """Return `lead` less its mean over images of the same side."""
        lead = self.lead
        means = torch.stack([lead[~self.is_own].mean(), lead[self.is_own].mean()])
        return lead - means[self.is_own.long()]

    @property
    def side_weights(self) -> Float[Tensor, " 2"]:
        """Return how much of a balanced accuracy hangs on one image of another class, and on one of the class.

        Each side has half of it, however many images it has.
        """
        return 0.5 / torch.stack([(~self.is_own).sum(), self.is_own.sum()]).double()

    @property
    def _image_weights(self) -> Float[Tensor, " image"]:
        return self.side_weights[self.is_own.long()]

    def _balanced_accuracies(self, hits: Bool[Tensor, "circuit image"]) -> Float[Tensor, " circuit"]:
        is_right = hits == self.is_own
        return (is_right.double() * self._image_weights).sum(1)


def hold_contest(
    partition_id: int | None,
    subject: Subject,
    class_id: int,
    member: Bool[Tensor, " channel"],
    classes: ClassIds,
    sample: LabelledImages,
    site: GateSite,
    num_draws: int,
    generator: torch.Generator,
) -> Contest:
    """Draw the rivals of a circuit and run all of them on the images that decide.

    Args:
        partition_id: whose model it is; None for the server's.
        subject: the model.
        class_id: the circuit's class.
        member: the circuit.
        classes: those that the model knows; others are not shown to it.
        sample: test images, balanced over classes and sorted by them.
        site: where gates act, as in discovery.
        num_draws: rivals, at least one.
        generator: draws them, on the CPU.
    """
    trial = prepare_trial(subject, sample, class_id, classes, site)
    kept = (member & subject.reachable)[None]
    rivals = random_circuits(member, subject.reachable, subject.model.spec.channels, num_draws, generator)
    hits, *rival_hits = trial.hits(torch.cat([kept, rivals])).cpu()
    return Contest(
        partition_id=partition_id,
        class_id=class_id,
        positions=trial_positions(sample, class_id, trial.negatives).cpu(),
        is_own=(trial.data.labels == class_id).cpu(),
        hits=hits,
        rival_hits=torch.stack(rival_hits),
    )
