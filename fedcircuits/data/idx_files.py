"""Reads the files of MNIST and Fashion-MNIST where they are in place already.

The format is that of http://yann.lecun.com/exdb/mnist: a magic number that names type and dimensions, the sizes, then
the bytes. torchvision reads it too, but its import costs every worker a second and 100 MB.
"""

import gzip
import zlib
from math import prod
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fedcircuits.errors import DataError

_UNSIGNED_BYTES: Final = 0x0800
"""The magic number without its last byte, the number of dimensions."""

_PARTS: Final = ("train", "t10k")


def has_idx_files(folder: Path) -> bool:
    """Tell whether all four files are in a folder, uncompressed."""
    return all(path.is_file() for part in _PARTS for path in _paths(folder, part))


def read_idx_files(folder: Path) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """Return (images `[image, height, width]`, labels `[image]`) of the training and of the held-out part, as bytes.

    Raises:
        DataError: if a file cannot be read, is of another format, was cut off, or has not as many labels as images.
    """
    parts = []
    for part in _PARTS:
        images_path, labels_path = _paths(folder, part)
        images, labels = _read(images_path, 3), _read(labels_path, 1)
        if len(images) != len(labels):
            raise DataError(f"{folder}: {len(images)} images of {part}, but {len(labels)} labels")
        parts.append((images, labels))
    return parts


def find_idx_pair(folder: Path) -> tuple[Path, Path] | None:
    """Return the one file of images and the one of labels in a folder, raw or compressed; None if it has neither.

    Raises:
        DataError: if the folder cannot be read, or has one without the other or several of a kind.
    """
    try:
        names = sorted(
            path.name
            for path in folder.iterdir()
            if path.name.removesuffix(".gz").endswith("-ubyte") and not path.name.startswith(".")
        )
    except OSError as error:
        raise DataError(f"the folder of images cannot be read: {error.strerror}") from error
    pair = [[name for name in names if f"{kind}-ubyte" in name] for kind in ("images-idx3", "labels-idx1")]
    if not any(pair):
        return None
    if any(len(found) != 1 for found in pair):
        raise DataError(
            f"{len(pair[0])} files *images-idx3-ubyte[.gz] and {len(pair[1])} files *labels-idx1-ubyte[.gz] in the "
            "folder of images; must be one of each"
        )
    return folder / pair[0][0], folder / pair[1][0]


def read_idx_pair(images_path: Path, labels_path: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return (images `[image, height, width]`, labels `[image]`) as bytes.

    Raises:
        DataError: as `read_idx_files`.
    """
    images, labels = _read(images_path, 3), _read(labels_path, 1)
    if len(images) != len(labels):
        raise DataError(f"{images_path.parent}: {len(images)} images, but {len(labels)} labels")
    return images, labels


def _paths(folder: Path, part: str) -> tuple[Path, Path]:
    return folder / f"{part}-images-idx3-ubyte", folder / f"{part}-labels-idx1-ubyte"


def _read(path: Path, num_dimensions: int) -> NDArray[Any]:
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    num_header_bytes = 4 * (1 + num_dimensions)
    magic, *shape = np.frombuffer(content[:num_header_bytes].ljust(num_header_bytes, b"\0"), ">u4").tolist()
    expected = _UNSIGNED_BYTES + num_dimensions
    if magic != expected or len(content) != num_header_bytes + prod(shape):
        raise DataError(
            f"{path} is damaged or of another format: {len(content)} bytes that begin with {content[:4].hex()}, "
            f"expected {expected:08x}, {num_dimensions} sizes of four bytes, and a byte for each value"
        )
    return np.frombuffer(content, np.uint8, offset=num_header_bytes).reshape(shape)
