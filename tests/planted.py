"""Networks whose class circuits are known, because they were wired by hand, and images that light them.

Every class but the last has two 3x3 patterns of its own, and an image of the class shows both; the last class shows
none. Two channels of each convolution serve a class: one for each pattern. In the first they match the pattern, in the
second they pass on what they saw, and the readout adds them up. All other channels are distractors with random
weights, which lead to the classes too, but weakly.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from fedcircuits.data.datasets import LabelledImages
from fedcircuits.networks.cnn import SparseCNN, build_model
from fedcircuits.networks.spec import ModelSpec

NUM_PLANTED = 3
"""Classes with a circuit; one more class has none."""

SPEC = ModelSpec(in_channels=1, image_size=12, channels=(16, 24), num_classes=NUM_PLANTED + 1)

PATTERNS = (
    torch.tensor([[1, 1, 1], [-1, -1, -1], [1, 1, 1]]),
    torch.tensor([[1, -1, 1], [1, -1, 1], [1, -1, 1]]),
    torch.tensor([[1, -1, -1], [-1, 1, -1], [-1, -1, 1]]),
    torch.tensor([[-1, -1, 1], [-1, 1, -1], [1, -1, -1]]),
    torch.tensor([[-1, 1, -1], [1, 1, 1], [-1, 1, -1]]),
    torch.tensor([[1, -1, 1], [-1, 1, -1], [1, -1, 1]]),
)
"""Two for each class in turn. A pattern's filter gives 9 on itself and 5 at most on another."""


@dataclass(frozen=True)
class Planted:
    """A network, and the channels that were wired for each class: `[class, channel]`."""

    model: SparseCNN
    members: Tensor


def planted_network(generator: torch.Generator, density: float = 0.1, strength: float = 0.1) -> Planted:
    """Wire a network.

    Args:
        generator: draws the distractors, and the places of the wired channels.
        density: share of all other weights that are not zero.
        strength: standard deviation of those weights, where a wired path has 1.
    """
    weights = {}
    for name, shape in SPEC.state_shapes.items():
        alive = torch.rand(shape, generator=generator) < density
        weights[name] = torch.randn(shape, generator=generator) * strength * alive
    places = [torch.randperm(width, generator=generator) for width in SPEC.channels]
    members = torch.zeros(NUM_PLANTED, SPEC.num_channels, dtype=torch.bool)
    block = SPEC.feature_size**2
    weights["fc.bias"][:NUM_PLANTED] = -4.0
    weights["fc.bias"][NUM_PLANTED] = 0.0
    for i, pattern in enumerate(PATTERNS):
        class_id, first, second = i // 2, int(places[0][i]), int(places[1][i])
        weights["conv1.weight"][first] = pattern
        weights["conv1.bias"][first] = -7.0  # a match leaves 2, anything else nothing
        weights["conv2.weight"][second] = 0.0
        weights["conv2.weight"][second, first, 1, 1] = 1.0
        weights["conv2.bias"][second] = 0.0
        weights["fc.weight"][class_id, second * block : (second + 1) * block] = 2.0
        members[class_id, [first, SPEC.channels[0] + second]] = True
    return Planted(build_model(SPEC, weights, torch.device("cpu")), members)


def planted_images(per_class: int, generator: torch.Generator) -> LabelledImages:
    """Return images of every class: a faint noise, and the class's patterns in the left and in the right half."""
    labels = torch.arange(SPEC.num_classes).repeat_interleave(per_class)
    images = 0.1 * torch.randn(len(labels), 1, SPEC.image_size, SPEC.image_size, generator=generator)
    for image, class_id in zip(images, labels.tolist(), strict=True):
        for half, pattern in enumerate(PATTERNS[2 * class_id : 2 * class_id + 2]):
            row = int(torch.randint(0, 10, (1,), generator=generator))
            column = 6 * half + int(torch.randint(0, 4, (1,), generator=generator))
            image[0, row : row + 3, column : column + 3] += pattern
    return LabelledImages(images, labels)
