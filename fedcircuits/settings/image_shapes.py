"""What is known of a dataset before any of its images is loaded."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class ImageShape(NamedTuple):
    """What is known of a dataset before it is loaded."""

    num_classes: int
    image_size: int
    in_channels: int


DIGIT_SIZE = 8
"""Height and width of scikit-learn's digits, in pixels."""

SHAPES: dict[str, ImageShape] = {
    "digits": ImageShape(10, DIGIT_SIZE, 1),
    "mnist": ImageShape(10, 28, 1),
    "fashion-mnist": ImageShape(10, 28, 1),
    "cifar10": ImageShape(10, 32, 3),
}

CLUTTERED_DIGITS = "cluttered-digits"
"""The digits on a larger canvas, whose size is a setting."""

FOLDER = "folder"
"""The dataset whose images, classes and shape are the user's own."""


def shape_of(values: Mapping[str, Any]) -> ImageShape:
    """Return the shape of the dataset that the values of `DataSettings` describe."""
    if values["dataset"] == FOLDER:
        return ImageShape(len(values["class_names"]), values["image_size"], values["image_channels"])
    if values["dataset"] == CLUTTERED_DIGITS:
        return SHAPES["digits"]._replace(image_size=values["clutter_size"])
    return SHAPES[values["dataset"]]
