"""Digits among clutter: each at random places of a larger canvas, over fragments of digits of other classes.

Unlike the digits themselves, these are hard for a readout on an untrained network's features, so that damage to the
features that a network has learned can be seen.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from fedcircuits.settings import DataSettings

FRAGMENT_SIZE = 4
"""Height and width of a fragment, in pixels."""


@dataclass(frozen=True)
class Clutter:
    """How digits are cluttered.

    Args:
        size: height and width of the canvas in pixels, at least those of a digit.
        num_fragments: behind each placement of a digit, 0 or more.
        num_copies: placements of each digit, 1 or more.
    """

    size: int
    num_fragments: int
    num_copies: int

    @classmethod
    def of(cls, settings: DataSettings) -> "Clutter":
        """Return what the settings say."""
        return cls(settings.clutter_size, settings.clutter_fragments, settings.clutter_copies)


def place_digits(
    digits: Float[np.ndarray, "digit height width"],
    labels: Int[np.ndarray, " digit"],
    clutter: Clutter,
    generator: np.random.Generator,
) -> Float[np.ndarray, "image size size"]:
    """Place each digit on canvases of its own, the placements of one digit one after another.

    A fragment is a window at a random place of a digit of another class, and lies at a random place of the canvas.
    Strokes are bright on black: where a digit and fragments lie over each other, the brightest pixel shows, so the
    digit is always there as a whole.

    Args:
        digits: pixels in 0..1, 0 being black, of two classes or more; fragments are taken from them, too.
        labels: their classes, 0 or more.
        clutter: how large canvases are, and how many there are of each digit.
        generator: draws every place and every fragment.

    Returns:
        The canvases; number `i` shows digit `i // clutter.num_copies`.
    """
    own = np.repeat(np.arange(len(digits)), clutter.num_copies)
    canvases = np.zeros((len(own), clutter.size, clutter.size), digits.dtype)
    for _ in range(clutter.num_fragments):
        others = _of_other_classes(labels, labels[own], generator)
        _lay(canvases, _windows(digits[others], FRAGMENT_SIZE, generator), generator)
    _lay(canvases, digits[own], generator)
    return canvases


def _of_other_classes(
    labels: NDArray[np.int64], own: NDArray[np.int64], generator: np.random.Generator
) -> NDArray[np.int64]:
    """Return for each class in `own` the position of a random label that is another one."""
    by_class, counts = labels.argsort(kind="stable"), np.bincount(labels)
    starts = counts.cumsum() - counts
    drawn = generator.integers(0, len(labels) - counts[own])
    return by_class[drawn + np.where(drawn < starts[own], 0, counts[own])]


def _windows(images: NDArray[np.floating], size: int, generator: np.random.Generator) -> NDArray[np.floating]:
    """Cut a square out of each image at a random place."""
    return images[_random_squares(images, size, generator)]


def _lay(canvases: NDArray[np.floating], patches: NDArray[np.floating], generator: np.random.Generator) -> None:
    """Lay a patch on each canvas at a random place."""
    square = _random_squares(canvases, patches.shape[1], generator)
    canvases[square] = np.maximum(canvases[square], patches)


def _random_squares(
    images: NDArray[np.floating], size: int, generator: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return an index into `[image, height, width]` that selects a square of each image at a random place."""
    tops, lefts = generator.integers(0, images.shape[1] - size + 1, (2, len(images), 1, 1))
    reach = np.arange(size)
    return np.arange(len(images))[:, None, None], tops + reach[:, None], lefts + reach
