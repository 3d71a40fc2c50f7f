"""What may be wrong with the images of a site, and what the centre is told; `smith` is what it must never read."""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def write_idx(folder: Path, name: str, *sizes: int, cut: int = 0) -> None:
    values = np.zeros(sizes, np.uint8)
    content = struct.pack(f">{1 + values.ndim}I", 0x800 + values.ndim, *sizes) + values.tobytes()
    (folder / f"{name}-ubyte").write_bytes(content[: len(content) - cut])


def idx_files(**changes: Any) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        images, labels = ("smith-images-idx3", "smith-labels-idx1")
        write_idx(folder, images, 4, changes.get("size", 8), 8, cut=changes.get("cut_images", 0))
        write_idx(folder, labels, changes.get("num_labels", 4), cut=changes.get("cut_labels", 0))

    return write


def image_file(name: str, content: bytes | None) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        path = folder / name
        path.parent.mkdir(parents=True)
        if content is None:
            path.symlink_to("/gone/smith")
        else:
            path.write_bytes(content)

    return write


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "gone": (lambda folder: folder.rmdir(), "data-path is no folder"),
    "empty": (lambda _: None, "no image under data-path"),
    "images cut off": (idx_files(cut_images=5), "the IDX file of images is damaged"),
    "labels cut off": (idx_files(cut_labels=2), "the IDX file of labels is damaged"),
    "more labels": (idx_files(num_labels=5), "data-path: 4 images, but 5 labels"),
    "other size": (idx_files(size=9), "IDX images of 9 x 8 pixels"),
    "one of a pair": (lambda folder: write_idx(folder, "smith-labels-idx1", 3), "must be one of each"),
    "no class": (image_file("smith/a.png", b""), "1 of 1 folders have names that are no class"),
    "damaged": (image_file("1/smith.png", b"smith"), "1 of 1 images cannot be used (1 cannot be decoded)"),
    "a link to nothing": (image_file("1/smith.png", None), "1 not there, behind links that lead nowhere"),
}
"""What may be wrong at a site, and what the centre is told."""
