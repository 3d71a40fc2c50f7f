"""Reads image files that lie in one folder per class, as torchvision's `ImageFolder` has them.

Errors may travel to another machine, and names of files may be names of people: they say how many files are wrong in
which way, and the names go to this machine's log alone.
"""

import logging
import os
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

import numpy as np
import torch
from jaxtyping import Int, UInt8
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from fedcircuits.errors import DataError

_log = logging.getLogger("fedcircuits")

_FORMATS: Final = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
"""What is read, whatever a file's name says; Pillow's other decoders are kept away from files that others made."""

SUFFIXES: Final = frozenset({
    *(".avif", ".bmp", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pgm", ".png", ".pnm", ".ppm"),
    *(".tif", ".tiff", ".webp"),
})  # fmt: skip
"""Files whose names end so must be images; of others those are used that turn out to be some."""

_SYSTEM_NAMES: Final = frozenset({"@eadir", "__macosx", "$recycle.bin", "system volume information", "thumbs.db",
                                  "desktop.ini"})  # fmt: skip
"""What file managers and network drives leave in folders; like names with a dot in front, none of the user's."""

_GROUND: Final = (255, 255, 255, 255)
"""What shows through transparent pixels: white, as on paper."""

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
        skips_unreadable: files that cannot be read are left out and said, instead of refused.
    """

    class_names: tuple[str, ...]
    size: int
    channels: int
    is_fitted: bool
    skips_unreadable: bool = False

    def __str__(self) -> str:
        return f"{self.size} x {self.size} pixels, {'grey' if self.channels == 1 else 'RGB'}, 8 bits"


@dataclass(frozen=True)
class Pictures:
    """Images as bytes, and their class ids."""

    pixels: UInt8[Tensor, "image channel height width"]
    labels: Int[Tensor, " image"]


class _UnreadableError(Exception):
    """A file that is no image, or a damaged one."""


def find_class_files(folder: Path, class_names: Sequence[str]) -> list[tuple[Path, int]]:
    """Return every image file in the folders of the classes, with its class id, by class and then by name.

    Links are followed, to folders, too. A class without a folder has no images. Hidden names, what file managers leave
    behind, and whatever lies beside the folders is left alone; any other file that is no image is named in the log.
    Letters with accents are the same however a system writes them (NFC or NFD).

    Raises:
        DataError: if the folder cannot be read, or holds a folder that is no class.
    """
    ids = {_plain(name): class_id for class_id, name in enumerate(class_names)}
    try:
        folders = sorted(path for path in folder.iterdir() if path.is_dir() and not _is_of_the_system(path.name))
        unknown = [path for path in folders if _plain(path.name) not in ids]
        if unknown:
            _log.error("folders that are no class: %s", _named(unknown))
            raise DataError(
                f"{len(unknown)} of {len(folders)} folders have names that are no class; "
                f"allowed are {', '.join(class_names)}"
            )
        files = [(file, ids[_plain(path.name)]) for path in folders for file in sorted(_files_under(path))]
    except OSError as error:
        _log.error("images cannot be listed: %s", error)
        raise DataError(f"the folder of images cannot be read: {error.strerror}") from error
    unused = [path for path, _ in files if not _is_image(path)]
    if unused:
        _log.warning("%d files in the classes' folders are no images and are not used: %s", len(unused), _named(unused))
    left_out = {*unused}
    return sorted((file for file in files if file[0] not in left_out), key=lambda file: file[1])


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _is_of_the_system(name: str) -> bool:
    return name.startswith(".") or name.lower() in _SYSTEM_NAMES


def _files_under(folder: Path) -> Iterator[Path]:
    """Return what lies in a folder and in those in it; of links that lead round in a circle each folder once."""
    seen = set()
    for root, folders, names in os.walk(folder, followlinks=True, onerror=_refuse):
        real = Path(root).resolve()
        is_new = real not in seen
        seen.add(real)
        folders[:] = [name for name in folders if is_new and not _is_of_the_system(name)]
        yield from (Path(root, name) for name in names if is_new and not _is_of_the_system(name))


def _refuse(error: OSError) -> NoReturn:
    raise error


def _is_image(path: Path) -> bool:
    """Tell whether a file is an image by its name or its first bytes; what cannot be read may be one."""
    if path.exists() and not path.is_file():
        return False  # a pipe would never end
    if path.suffix.lower() in SUFFIXES or not os.access(path, os.R_OK):
        return True
    try:
        with _opened(path):
            return True
    except _UnreadableError:
        return False


def read_class_files(files: Sequence[tuple[Path, int]], rules: ImageRules) -> Pictures:
    """Decode image files.

    Args:
        files: paths and class ids.
        rules: what every image must be.

    Returns:
        the images in their order; without those that cannot be read where the rules let them be left out.

    Raises:
        DataError: counting the files that cannot be used, by reason.
    """
    pixels = np.empty((len(files), rules.channels, rules.size, rules.size), np.uint8)
    wrong: dict[Path, str] = {}
    unreadable: dict[Path, str] = {}
    for row, (path, _) in enumerate(files):
        try:
            with _opened(path) as image:
                pixels[row] = fitted(image, rules)
        except DataError as error:
            wrong[path] = str(error)
        except _UnreadableError as error:
            unreadable[path] = str(error)
    if unreadable and rules.skips_unreadable:
        _log.warning("%s; they are left out: %s", _counted(unreadable, len(files)), _named([*unreadable]))
    else:
        wrong |= unreadable
    if wrong:
        _log.error("images that cannot be used: %s", _named([*wrong]))
        raise DataError(f"{_counted(wrong, len(files))}; allowed are {rules}{_remedies(rules, bool(unreadable))}")
    used = [row for row, (path, _) in enumerate(files) if path not in unreadable]
    labels = torch.tensor([class_id for _, class_id in files], dtype=torch.int64)
    return Pictures(torch.from_numpy(pixels[used]), labels[used])


def _counted(wrong: Mapping[Path, str], num_files: int) -> str:
    reasons = "; ".join(f"{count} {reason}" for reason, count in Counter(wrong.values()).most_common(5))
    return f"{len(wrong)} of {num_files} images cannot be used ({reasons})"


def _remedies(rules: ImageRules, has_unreadable: bool) -> str:
    fit = "" if rules.is_fitted else ", or any with fit-images = true"
    return fit + ("; skip-unreadable = true leaves out what cannot be read" if has_unreadable else "")


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Open an image file, and let nothing but our own errors out: decoders raise what they please at damaged files."""
    try:
        with Image.open(path, formats=_FORMATS) as image:
            yield image
    except DataError:
        raise
    except FileNotFoundError as error:
        raise _UnreadableError("not there, behind links that lead nowhere") from error
    except Exception as error:
        raise _UnreadableError("cannot be decoded") from error


def fitted(image: Image.Image, rules: ImageRules) -> NDArray[Any]:
    """Return one image's bytes, `[channel, height, width]`.

    It is turned as its Exif data say, and lies on white where it is transparent.

    Raises:
        DataError: if it is of another size or colour and may not be changed, has more than 8 bits, or several frames.
    """
    # A photograph may carry a second, small picture of itself (MPO).
    if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
        raise DataError("of several frames or pages")
    image = ImageOps.exif_transpose(image)
    mode, is_transparent = _MODES[rules.channels], image.has_transparency_data
    if is_transparent or image.mode != mode or image.size != (rules.size, rules.size):
        if image.mode.startswith(("I", "F")):
            raise DataError("with more than 8 bits a pixel")  # Pillow would cut them off instead of scaling
        if not rules.is_fitted:
            seen = ", with transparent pixels" if is_transparent else ""
            raise DataError(f"of {image.height} x {image.width} pixels, {image.mode}{seen}")
        if is_transparent:
            image = Image.alpha_composite(Image.new("RGBA", image.size, _GROUND), image.convert("RGBA"))
        image = image.convert(mode).resize((rules.size, rules.size), Image.Resampling.BILINEAR)
    return np.asarray(image).reshape(rules.size, rules.size, rules.channels).transpose(2, 0, 1)


def _named(paths: Sequence[Path]) -> str:
    listed = ", ".join(str(path) for path in paths[:_NUM_NAMED])
    return listed + (f" and {len(paths) - _NUM_NAMED} more" if len(paths) > _NUM_NAMED else "")
