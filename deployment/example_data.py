"""Images for a federation to try out: scikit-learn's digits as PNG files, a folder per site and class."""

from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits


def write_example(folder: Path, num_sites: int) -> Path:
    """Write the digits as `<folder>/site-<i>/<class>/<number>.png`, image by image to the sites in turn.

    Returns:
        The folder; it is left alone if it is there already.
    """
    if folder.exists():
        return folder
    digits = load_digits()
    for number, (pixels, class_id) in enumerate(zip(digits.images, digits.target, strict=True)):
        path = folder / f"site-{number % num_sites}" / str(class_id) / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.round(pixels * 255 / 16).astype(np.uint8)).save(path)
    return folder
