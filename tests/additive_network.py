"""A stand-in for a network in which every channel adds its share to the log-odds of class 0.

The first pixel x of an image decides: logit 0 is x times the strengths of the channels that are on, all other logits
stay out of the way. With two classes the separation of a circuit is the sum of its strengths times the difference of
the mean pixels, so every figure can be worked out by hand.
"""

from collections.abc import Callable, Sequence

import torch

from fedcircuits.circuits.study import Subject
from fedcircuits.data.datasets import LabelledImages
from fedcircuits.networks.cnn import GateSite, Gating, SparseCNN
from fedcircuits.networks.spec import ModelSpec

SPEC = ModelSpec(in_channels=1, image_size=4, channels=(2, 2), num_classes=2)


class AdditiveNetwork(SparseCNN):
    """Four channels in two layers, each with a strength of its own."""

    def __init__(self, strengths: Sequence[float]) -> None:
        super().__init__(SPEC)
        self._strengths = torch.tensor(strengths)

    def forward(self, images: torch.Tensor, gating: Gating | None = None) -> torch.Tensor:
        assert gating is None
        return self._add(images, torch.ones(4))

    def stem(self, images: torch.Tensor) -> torch.Tensor:
        return images

    def subnetworks(self, ablation: torch.Tensor, site: GateSite) -> "AdditiveNetwork":
        return self

    def of(self, member: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
        return lambda images: self._add(images, member.float())

    def _add(self, images: torch.Tensor, gates: torch.Tensor) -> torch.Tensor:
        first = images[:, 0, 0, 0] * (gates @ self._strengths)
        return torch.stack([first, torch.zeros_like(first)], 1)


def pixel_images(pixels: Sequence[float], labels: Sequence[int]) -> LabelledImages:
    """Return images whose every pixel has the value given."""
    return LabelledImages(torch.tensor(pixels)[:, None, None, None].expand(-1, 1, 4, 4).clone(), torch.tensor(labels))


def additive_subject(strengths: Sequence[float], reachable: Sequence[bool] = (True,) * 4) -> Subject:
    """Return the stand-in, ready to be studied."""
    return Subject(AdditiveNetwork(strengths), torch.tensor(reachable), torch.zeros(4))


def members(*rows: Sequence[int]) -> torch.Tensor:
    """Return circuits from rows of 0 and 1."""
    return torch.tensor(rows, dtype=torch.bool)


SITE = GateSite.POST

IMAGES = pixel_images([1.0, 3.0, -1.0, 1.0], [0, 0, 1, 1])
"""Mean pixels 2 and 0: the separation of a circuit is twice the sum of its strengths."""
