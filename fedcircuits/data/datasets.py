"""Datasets as tensors: decoded and normalised once per process, held-out images split into probe and test.

The probe set serves the server's circuit discovery and the ablation means; every reported score comes from the test
set; no image is in both, nor are two images that were made of one.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from fedcircuits.data.cluttered_digits import Clutter, place_digits
from fedcircuits.data.fingerprints import fingerprint
from fedcircuits.data.idx_files import has_idx_files, read_idx_files
from fedcircuits.data.image_files import ImageRules, Pictures, find_class_files, read_class_files
from fedcircuits.errors import DataError
from fedcircuits.seeding import Purpose, numpy_generator
from fedcircuits.settings import CLUTTERED_DIGITS, FOLDER, DataSettings

DIGITS_HELDOUT_FRACTION = 0.5
"""Of scikit-learn's 1,797 digits, which come without an official test split. A quarter of a class's images, some 45,
are then probe images, in halves of 22, and as many test images; found on halves of 13, circuits hardly hold elsewhere.
"""

HELDOUT_SEED = 0
"""Probe and test set are the same in every run, so that runs of different seeds are scored on the same images."""

CLUTTER_SEED = 0
"""Clutter is the same in every run, for the same reason."""

_NORMALISATION: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "digits": ((0.3062,), (0.3763,)),
    "cluttered-digits": ((0.1546,), (0.3126,)),
    "mnist": ((0.1307,), (0.3081,)),
    "fashion-mnist": ((0.2860,), (0.3530,)),
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
}
"""Mean and standard deviation of the training pixels in 0..1, per channel; those of `folder` are settings."""

_TORCHVISION_FILES: dict[str, tuple[str, str]] = {
    "mnist": ("MNIST", "MNIST/raw/{train,t10k}-{images-idx3,labels-idx1}-ubyte"),
    "fashion-mnist": ("FashionMNIST", "FashionMNIST/raw/{train,t10k}-{images-idx3,labels-idx1}-ubyte"),
    "cifar10": ("CIFAR10", "cifar-10-batches-py/{data_batch_1..5,test_batch,batches.meta}"),
}
"""Dataset to the name of its torchvision class and to the files that it expects in `data-dir`."""

_IDX_DATASETS = ("mnist", "fashion-mnist")
"""Datasets in files that are read without torchvision where they are in place."""


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Normalised images and their classes.

    Args:
        images: `[image, channel, height, width]`, float32, channels last in memory.
        labels: `[image]`, class ids, int64.
        origins: `[image]`, int64, which original each image was made of; images of one original are never parted. None
            where each image is its own. `originals` serves both.
    """

    images: Float[Tensor, "image channel height width"]
    labels: Int[Tensor, " image"]
    origins: Int[Tensor, " image"] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def device(self) -> torch.device:
        """Where the tensors live."""
        return self.labels.device

    def select(self, indices: Int[Tensor, " selected"]) -> "LabelledImages":
        """Return the images at `indices`, in that order."""
        origins = None if self.origins is None else self.origins[indices]
        return LabelledImages(self.images[indices], self.labels[indices], origins)

    def of_classes(self, class_ids: Collection[int]) -> "LabelledImages":
        """Return the images of some classes, in their order."""
        wanted = torch.tensor(sorted(class_ids), dtype=torch.int64, device=self.device)
        return self.select(torch.isin(self.labels, wanted).nonzero().flatten())

    def to(self, device: torch.device) -> "LabelledImages":
        """Return the images on `device`."""
        origins = None if self.origins is None else self.origins.to(device)
        return LabelledImages(self.images.to(device), self.labels.to(device), origins)

    def joined(self, others: "LabelledImages") -> "LabelledImages":
        """Return these images, and after them others of the same dataset."""
        images, labels = torch.cat([self.images, others.images]), torch.cat([self.labels, others.labels])
        if self.origins is None or others.origins is None:
            return LabelledImages(images, labels)
        return LabelledImages(images, labels, torch.cat([self.origins, others.origins]))

    def originals(self) -> tuple[Int[Tensor, " original"], Int[Tensor, " image"]]:
        """Return what can be shared out: the class of each original, and for each image the position of its original.

        Originals come in the order of their ids or, where each image is its own, of the images. The class of an
        original is that of its first image.
        """
        positions = torch.arange(len(self), device=self.device)
        if self.origins is None:
            return self.labels, positions
        ids, original = self.origins.unique(return_inverse=True)
        first = torch.full_like(ids, len(self)).scatter_reduce(0, original, positions, "amin")
        return self.labels[first], original

    def class_counts(self, num_classes: int) -> list[int]:
        """Return the number of images of each class."""
        counts: list[int] = torch.bincount(self.labels, minlength=num_classes).tolist()
        return counts


@dataclass(frozen=True)
class _Source:
    """What decides which images a dataset has, and the key under which it is kept."""

    name: str
    folder: Path
    rules: ImageRules
    mean: tuple[float, ...]
    std: tuple[float, ...]
    clutter: Clutter


@dataclass(frozen=True)
class Dataset:
    """One dataset: what clients train on, and the two held-out parts.

    Args:
        train: training images.
        probe: images that circuits are found on.
        test: images that everything is scored on.
        fingerprints: of the parts `train` and `heldout` before limits, where they were taken.
    """

    train: LabelledImages
    probe: LabelledImages
    test: LabelledImages
    fingerprints: Mapping[str, str] = field(default_factory=dict)

    def to(self, device: torch.device) -> "Dataset":
        """Return the dataset on `device`; itself if it is there already."""
        if self.train.device == device:
            return self
        return Dataset(self.train.to(device), self.probe.to(device), self.test.to(device), self.fingerprints)


def stratified_split(
    data: LabelledImages, fraction: float, generator: np.random.Generator
) -> tuple[LabelledImages, LabelledImages]:
    """Split images in two within each class; all images of one original go to the same side.

    Args:
        data: at least one image.
        fraction: of each class's originals that go to the first side, rounded, but at least one to each side if the
            class has two; a class of one is on the first side.
        generator: draws the sides.

    Returns:
        Both sides, in the order of `data`.
    """
    labels, original = data.originals()
    classes = labels.cpu().numpy()
    first: list[NDArray[Any]] = []
    for class_id in np.unique(classes):
        members = generator.permutation(np.flatnonzero(classes == class_id))
        cut = min(max(round(len(members) * fraction), 1), max(len(members) - 1, 1))
        first.append(members[:cut])
    is_first = torch.isin(original, torch.from_numpy(np.concatenate(first)).to(data.device))
    return data.select(is_first.nonzero().flatten()), data.select((~is_first).nonzero().flatten())


def load_dataset(settings: DataSettings, seed: int, *, is_identified: bool = False) -> Dataset:
    """Return the dataset as tensors on the CPU; a second call in the same process costs nothing.

    Args:
        settings: names the dataset, its folder, the limits and the probe set's share.
        seed: decides which training images `train-limit` keeps; probe and test set are the same for every seed.
        is_identified: whether fingerprints are taken, which costs a second for every GB.

    Raises:
        DataError: if the files are neither in `data-dir` nor can be downloaded, or if the limits leave too few
            images to score on.
    """
    limits = settings.train_limit, settings.heldout_limit, settings.probe_fraction
    return _load(_source(settings), *limits, seed, is_identified)


def image_rules(settings: DataSettings) -> ImageRules:
    """Return what image files of the dataset must be; folders of classes without names are called by the class ids."""
    shape = settings.shape
    names = settings.class_names or tuple(str(class_id) for class_id in range(shape.num_classes))
    return ImageRules(names, shape.image_size, shape.in_channels, settings.fit_images, settings.skip_unreadable)


def normalised(settings: DataSettings, pictures: Pictures) -> LabelledImages:
    """Return images that were read from files as the network takes them."""
    return _labelled(_source(settings), _pixels(pictures.pixels.numpy()), pictures.labels.numpy())


def _source(settings: DataSettings) -> _Source:
    mean, std = _NORMALISATION.get(settings.dataset, (settings.pixel_mean, settings.pixel_std))
    folder = Path(settings.data_dir).expanduser().resolve()
    return _Source(settings.dataset, folder, image_rules(settings), mean, std, Clutter.of(settings))


@lru_cache(maxsize=2)
def _load(
    source: _Source, train_limit: int, heldout_limit: int, probe_fraction: float, seed: int, is_identified: bool
) -> Dataset:
    readers = {"digits": _read_digits, CLUTTERED_DIGITS: _read_cluttered_digits, FOLDER: _read_folder}
    train, heldout = readers.get(source.name, _read_torchvision)(source)
    known_by = {"train": fingerprint(train), "heldout": fingerprint(heldout)} if is_identified else {}
    train = _limit(train, train_limit, numpy_generator(seed, Purpose.TRAIN_LIMIT))
    heldout = _limit(heldout, heldout_limit, numpy_generator(HELDOUT_SEED, Purpose.HELDOUT_LIMIT))
    names, (originals, _) = source.rules.class_names, heldout.originals()
    counts = torch.bincount(originals, minlength=len(names)).tolist()
    if few := {name: count for name, count in zip(names, counts, strict=True) if count < 2}:
        limited = f" under heldout-limit = {heldout_limit}" if heldout_limit else ""
        raise DataError(
            f"{source.name}: too few held-out images{limited}: "
            f"{', '.join(f'{count} of class {name}' for name, count in few.items())}; each class needs two, one for "
            "the probe set and one for the test set"
        )
    probe, test = stratified_split(heldout, probe_fraction, numpy_generator(HELDOUT_SEED, Purpose.PROBE_SPLIT))
    return Dataset(train, probe, test, known_by)


def _read_digits(source: _Source) -> tuple[LabelledImages, LabelledImages]:
    """Return scikit-learn's digits as (train, held-out); the split is the same for every seed."""
    train, heldout = (_labelled(source, part.images.numpy(), part.labels.numpy()) for part in _digits())
    return train, heldout


def _read_cluttered_digits(source: _Source) -> tuple[LabelledImages, LabelledImages]:
    """Return the same digits among clutter as (train, held-out), each part with fragments of its own digits only."""
    generator = np.random.default_rng(CLUTTER_SEED)
    parts = []
    for digits in _digits():
        pixels = place_digits(digits.images[:, 0].numpy(), digits.labels.numpy(), source.clutter, generator)
        shown = digits.select(torch.arange(len(digits)).repeat_interleave(source.clutter.num_copies))
        parts.append(replace(_labelled(source, _channels_first(pixels), shown.labels.numpy()), origins=shown.origins))
    train, heldout = parts
    return train, heldout


def _digits() -> tuple[LabelledImages, LabelledImages]:
    """Return scikit-learn's digits, pixels in 0..1, as (train, held-out); their origins are their rows there."""
    from sklearn.datasets import load_digits  # noqa: PLC0415  (a second of import that other datasets need not pay)

    digits = load_digits()
    pixels, labels = torch.from_numpy(digits.images[:, None] / 16.0), torch.from_numpy(digits.target)
    everything = LabelledImages(pixels, labels, torch.arange(len(labels)))
    heldout, train = stratified_split(everything, DIGITS_HELDOUT_FRACTION, np.random.default_rng(0))
    return train, heldout


def _read_folder(source: _Source) -> tuple[LabelledImages, LabelledImages]:
    """Return the user's own images as (train, held-out); without a folder `train`, all clients must have their own."""
    parts = []
    for part in ("train", "test"):
        folder = source.folder / part
        files = find_class_files(folder, source.rules.class_names) if folder.is_dir() else []
        if part == "train" and folder.is_dir() and not files:
            raise DataError(
                f"{folder}: no image in it; it must hold a folder of images per class "
                f"({', '.join(source.rules.class_names)}), or not be there where all clients have images of their own"
            )
        try:
            parts.append(read_class_files(files, source.rules))
        except DataError as error:
            raise DataError(f"{folder}: {error}") from error
    counts = torch.bincount(parts[1].labels, minlength=len(source.rules.class_names)).tolist()
    few = [name for name, count in zip(source.rules.class_names, counts, strict=True) if count < 2]
    if few:
        raise DataError(
            f"{source.folder / 'test'}: less than two images of {', '.join(few)}; data-dir must hold "
            "test/<class>/<image> with two images of every class, one for the probe set and one for the test set"
        )
    train, heldout = (_labelled(source, _pixels(part.pixels.numpy()), part.labels.numpy()) for part in parts)
    return train, heldout


def _read_torchvision(source: _Source) -> tuple[LabelledImages, LabelledImages]:
    """Return the official (train, test) splits from torchvision's files, downloading them if there is a way."""
    name, folder = source.name, source.folder
    class_name, files = _TORCHVISION_FILES[name]
    if name in _IDX_DATASETS and has_idx_files(folder / class_name / "raw"):
        parts: list[tuple[Any, Any]] = [*read_idx_files(folder / class_name / "raw")]
    else:
        from torchvision import datasets  # noqa: PLC0415  (a second of import that files in place need not pay)

        try:
            loaded = [getattr(datasets, class_name)(folder, train=train, download=True) for train in (True, False)]
        except (OSError, RuntimeError) as error:
            raise DataError(
                f"{name} is not in {folder} and could not be downloaded ({error}). Put torchvision's files there "
                f"({files}), or name their folder with data-dir."
            ) from error
        parts = [(part.data, part.targets) for part in loaded]
    for part, (data, labels) in zip(("training", "test"), parts, strict=True):
        _check_part(source, part, np.shape(data), np.asarray(labels))
    train, heldout = (_labelled(source, _channels_first(_pixels(data)), labels) for data, labels in parts)
    return train, heldout


def _check_part(source: _Source, part: str, shape: Sequence[int], labels: NDArray[Any]) -> None:
    """Refuse files that have the dataset's format and are not the dataset."""
    rules, where = source.rules, f"{source.name} in {source.folder}, {part} part"
    num_classes = len(rules.class_names)
    if tuple(shape[1:3]) != (rules.size, rules.size):
        found = " x ".join(map(str, shape[1:3]))
        raise DataError(f"{where}: images of {found} pixels; {source.name} has {rules.size} x {rules.size}")
    outside = sorted({int(label) for label in labels} - {*range(num_classes)})
    if outside:
        raise DataError(f"{where}: labels {outside}; {source.name} has classes 0 to {num_classes - 1}")


def _pixels(data: Any) -> NDArray[Any]:
    """Return bytes as numbers in 0..1."""
    array = np.array(data, dtype=np.float32)
    array /= 255.0
    return array


def _channels_first(array: NDArray[Any]) -> NDArray[Any]:
    """Return torchvision's `[image, h, w]` or `[image, h, w, channel]` as `[image, channel, h, w]`."""
    if array.ndim == 4:
        return array.transpose(0, 3, 1, 2)
    # Not array[:, None], whose stride of 0 would follow the images into convolutions.
    return array.reshape(len(array), 1, *array.shape[1:])


def _labelled(source: _Source, pixels: NDArray[Any], labels: Any) -> LabelledImages:
    """Normalise pixels, in place: every copy of a large dataset is memory that each worker holds for good."""
    mean, std = (np.asarray(values, np.float32)[:, None, None] for values in (source.mean, source.std))
    pixels -= mean
    pixels /= std
    images = torch.from_numpy(pixels.astype(np.float32, copy=False))
    return LabelledImages(
        images.contiguous(memory_format=torch.channels_last),
        torch.from_numpy(np.array(labels, dtype=np.int64)),
    )


def _limit(data: LabelledImages, limit: int, generator: np.random.Generator) -> LabelledImages:
    """Keep about `limit` images, each class in proportion; 0 keeps everything."""
    if limit == 0 or limit >= len(data):
        return data
    return stratified_split(data, limit / len(data), generator)[0]
