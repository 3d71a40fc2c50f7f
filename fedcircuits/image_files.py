"""Reads image files that lie in one folder per class, as torchvision's `ImageFolder` has them.

Errors may travel to another machine, and names of files may be names of people: they say how many files are wrong in
which way, and the names go to this machine's log alone.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Int, UInt8
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from fedcircuits.errors import DataError

_log = logging.getLogger("fedcircuits")

SUFFIXES: Final = frozenset({".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
"""Files whose names end otherwise are no images, as in torchvision."""

_MODES: Final = {1: "L", 3: "RGB"}
"""Channels to Pillow's name for 8 bits in each of them."""

_NUM_NAMED: Final = 20
"""Names of wrong files that are logged at most."""


@dataclass(frozen=True)
class ImageRules:
    """What images must be.

    Args:
        class_names: names of the classes' folders; the position is the class id.
        size: height and width in pixels.
        channels: 1 (grey) or 3 (RGB).
        is_fitted: images of another size or colour are resized and converted, instead of refused.
    """

    class_names: tuple[str, ...]
    size: int
    channels: int
    is_fitted: bool

    def __str__(self) -> str:
        return f"{self.size} x {self.size} pixels, {'grey' if self.channels == 1 else 'RGB'}, 8 bits"


@dataclass(frozen=True)
class Pictures:
    """Images as bytes, and their class ids."""

    pixels: UInt8[Tensor, "image channel height width"]
    labels: Int[Tensor, " image"]


def find_class_files(folder: Path, class_names: Sequence[str]) -> list[tuple[Path, int]]:
    """Return every image file in the folders of the classes, with its class id, by class and then by name.

    A class without a folder has no images; whatever is hidden, or lies beside the folders, is left alone.

    Raises:
        DataError: if the folder cannot be read, or holds a folder that is no class.
    """
    try:
        folders = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
        unknown = [path for path in folders if path.name not in class_names]
        if unknown:
            _log.error("folders that are no class: %s", _named(unknown))
            raise DataError(
                f"{len(unknown)} of {len(folders)} folders have names that are no class; "
                f"allowed are {', '.join(class_names)}"
            )
        return [
            (path, class_id)
            for class_id, name in enumerate(class_names)
            for path in sorted((folder / name).rglob("*"))
            if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
        ]
    except OSError as error:
        _log.error("images cannot be listed: %s", error)
        raise DataError(f"the folder of images cannot be read: {error.strerror}") from error


def read_class_files(files: Sequence[tuple[Path, int]], rules: ImageRules) -> Pictures:
    """Decode image files.

    Args:
        files: paths and class ids.
        rules: what every image must be.

    Raises:
        DataError: counting the files that cannot be used, by reason.
    """
    pixels = np.empty((len(files), rules.channels, rules.size, rules.size), np.uint8)
    wrong: dict[Path, str] = {}
    for row, (path, _) in enumerate(files):
        try:
            with Image.open(path) as image:
                pixels[row] = fitted(image, rules)
        except DataError as error:
            wrong[path] = str(error)
        except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError):
            # What Pillow raises for files that are damaged, or are something else than their names say.
            wrong[path] = "cannot be decoded"
    if wrong:
        _log.error("images that cannot be used: %s", _named(list(wrong)))
        reasons = "; ".join(f"{count} {reason}" for reason, count in Counter(wrong.values()).most_common(5))
        raise DataError(
            f"{len(wrong)} of {len(files)} images cannot be used ({reasons}); allowed are {rules}"
            + ("" if rules.is_fitted else ", or any with fit-images = true")
        )
    return Pictures(torch.from_numpy(pixels), torch.tensor([class_id for _, class_id in files], dtype=torch.int64))


def fitted(image: Image.Image, rules: ImageRules) -> NDArray[Any]:
    """Return one image's bytes, `[channel, height, width]`.

    Raises:
        DataError: if it is of another size or colour and may not be changed, or has more than 8 bits.
    """
    mode = _MODES[rules.channels]
    if image.mode != mode or image.size != (rules.size, rules.size):
        if image.mode.startswith(("I", "F")):
            raise DataError("with more than 8 bits a pixel")  # Pillow would cut them off instead of scaling
        if not rules.is_fitted:
            raise DataError(f"of {image.height} x {image.width} pixels, {image.mode}")
        image = image.convert(mode).resize((rules.size, rules.size), Image.Resampling.BILINEAR)
    return np.asarray(image).reshape(rules.size, rules.size, rules.channels).transpose(2, 0, 1)


def _named(paths: Sequence[Path]) -> str:
    listed = ", ".join(str(path) for path in paths[:_NUM_NAMED])
    return listed + (f" and {len(paths) - _NUM_NAMED} more" if len(paths) > _NUM_NAMED else "")
