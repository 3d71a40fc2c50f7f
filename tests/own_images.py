"""Folders of image files: scikit-learn's digits as PNG, one folder per class."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits


def write_digits(folder: Path, class_ids: Sequence[int], per_class: int, start: int = 0) -> Path:
    """Write `per_class` digits of each class, from the `start`-th on, and return the folder."""
    digits = load_digits()
    for class_id in class_ids:
        chosen = np.flatnonzero(digits.target == class_id)[start : start + per_class]
        (folder / str(class_id)).mkdir(parents=True)
        for index in chosen:
            write_image(folder / str(class_id) / f"{index}.png", np.round(digits.images[index] * 255 / 16))
    return folder


def write_image(path: Path, pixels: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)
