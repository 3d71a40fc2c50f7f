"""A client's own images: read from its folder, and split into those it trains on and those it scores on.

Nothing else is loaded: neither a shared dataset nor the server's held-out images.
"""

import hashlib
import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fedcircuits.data.datasets import LabelledImages, image_rules, normalised
from fedcircuits.data.idx_files import find_idx_pair, read_idx_pair
from fedcircuits.data.image_files import ImageRules, Pictures, find_class_files, fitted, read_class_files
from fedcircuits.data.picture_cache import cached_pictures
from fedcircuits.errors import DataError
from fedcircuits.settings import DataSettings

_log = logging.getLogger("fedcircuits")


def load_own_images(folder: Path, settings: DataSettings, cache: Path | None) -> tuple[LabelledImages, LabelledImages]:
    """Return the images that a client trains on, and those that it scores on.

    Args:
        folder: holds a folder per class, or one IDX file of images and one of labels, raw or `.gz`.
        settings: say what images must be, and the share of each class to score on.
        cache: folder for decoded images; None = none.

    Raises:
        DataError: if there is no image, some cannot be used, or no class has two of them.
    """
    if not folder.is_dir():
        raise DataError("data-path is no folder")
    pictures = _read(folder, image_rules(settings), cache)
    test = torch.tensor(sorted(_held_out(pictures, settings.own_test_fraction)), dtype=torch.int64)
    if not len(test):
        raise DataError(
            f"{len(pictures.labels)} images under data-path, none of them to score on: a class needs two, one to train "
            "on and one to score on"
        )
    is_test = torch.zeros(len(pictures.labels), dtype=torch.bool)
    is_test[test] = True
    images = normalised(settings, pictures)
    return images.select((~is_test).nonzero().flatten()), images.select(test)


def _read(folder: Path, rules: ImageRules, cache: Path | None) -> Pictures:
    """Read the folder in whichever of the two layouts it has."""
    pair = find_idx_pair(folder)
    if pair is not None:
        return cached_pictures(pair, folder, rules, cache, lambda: _read_idx(*pair, rules))
    files = find_class_files(folder, rules.class_names)
    if not files:
        raise DataError(
            f"no image under data-path; it must hold a folder of images per class ({', '.join(rules.class_names)}), or "
            "the files *images-idx3-ubyte[.gz] and *labels-idx1-ubyte[.gz]"
        )
    paths = [path for path, _ in files]
    return cached_pictures(paths, folder, rules, cache, lambda: read_class_files(files, rules))


def _read_idx(images_path: Path, labels_path: Path, rules: ImageRules) -> Pictures:
    """Read a pair of IDX files, which hold grey images of one size."""
    try:
        images, labels = read_idx_pair(images_path, labels_path)
    except DataError as error:
        # Errors travel, and where a site keeps its images is nobody else's business.
        _log.error("%s", error)
        raise DataError(_without_names(str(error), images_path, labels_path)) from error
    num_classes = len(rules.class_names)
    if not len(labels) or labels.max() >= num_classes:
        raise DataError(
            f"{len(labels)} labels in the IDX file, the highest {labels.max(initial=0)}; must be one or more, each 0 "
            f"to {num_classes - 1}"
        )
    try:
        pixels = np.stack([fitted(Image.fromarray(image), rules) for image in images])
    except DataError as error:
        raise DataError(f"IDX images {error}; allowed are {rules}, or any with fit-images = true") from error
    return Pictures(torch.from_numpy(pixels), torch.from_numpy(labels.astype(np.int64)))


def _without_names(text: str, images_path: Path, labels_path: Path) -> str:
    names = {
        images_path: "the IDX file of images",
        labels_path: "the IDX file of labels",
        images_path.parent: "data-path",
    }
    for path, name in names.items():
        text = text.replace(str(path), name)
    return text


def _held_out(pictures: Pictures, fraction: float) -> Iterator[int]:
    """Choose the images to score on: of each class the share with the smallest digests.

    The choice hangs on the images alone. It is the same in every round and run, an image that is added moves others at
    the edge at most, and copies of one image are all on the same side.
    """
    digests = [hashlib.sha256(image.numpy()).digest() for image in pictures.pixels]
    for class_id in pictures.labels.unique().tolist():
        rows = sorted((digests[row], row) for row in _rows_of(pictures.labels, class_id))
        cut = min(max(round(len(rows) * fraction), 1), len(rows) - 1)
        while cut and rows[cut - 1][0] == rows[cut][0]:
            cut -= 1
        yield from (row for _, row in rows[:cut])


def _rows_of(labels: Tensor, class_id: int) -> list[int]:
    rows: list[int] = (labels == class_id).nonzero().flatten().tolist()
    return rows
