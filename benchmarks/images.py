"""The images of the benchmarks: real MNIST, or a stand-in of the same shape, for both sides alike.

The stand-in is written as MNIST's own files, so that torchvision and the product read it as they would read MNIST.
"""

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from naive.loaders import TensorLoader, loader_of, mnist
from naive.training import Loader
from numpy.typing import NDArray

from fedcircuits.data.datasets import LabelledImages

SIZES = {"train": 60_000, "t10k": 10_000}
MEAN, STD = 0.1307, 0.3081


def add_image_options(parser: argparse.ArgumentParser) -> None:
    """Add the option that says where images are."""
    parser.add_argument("--data-dir", type=Path, help="folder of torchvision's MNIST; without it, a synthetic stand-in")


@contextmanager
def mnist_folder(data_dir: Path | None) -> Iterator[Path]:
    """Give a folder with MNIST's files, and say on the console if they are not real."""
    if data_dir is not None:
        if not (data_dir / "MNIST" / "raw").is_dir():
            raise SystemExit(f"{data_dir} holds no MNIST/raw with torchvision's files")
        print("Images: MNIST.")
        yield data_dir.resolve()
        return
    print("Images: a synthetic stand-in of MNIST's shape (noise with a blob whose place depends on the class).")
    with tempfile.TemporaryDirectory() as folder:
        _write_stand_in(Path(folder))
        yield Path(folder)


def positions_in(folder: Path, train: bool, images: LabelledImages) -> list[int]:
    """Return where images of the product stand in torchvision's dataset, so that both sides work on the same ones."""
    raw = mnist(folder, train).data.numpy()
    place = {pixels.tobytes(): position for position, pixels in enumerate(raw)}
    bytes_ = ((images.images * STD + MEAN) * 255).round().to(torch.uint8)
    return [place[pixels.tobytes()] for pixels in bytes_.squeeze(1).numpy()]


def naive_loader(
    folder: Path, train: bool, images: LabelledImages, batch_size: int = 256, shuffle: bool = True
) -> Loader:
    """Return how the naive side loads these images: by a DataLoader, or from tensors where they are on a GPU."""
    if images.device.type == "cpu":
        return loader_of(mnist(folder, train), positions_in(folder, train, images), batch_size, shuffle)
    return tensor_loader(images, batch_size, shuffle)


def tensor_loader(images: LabelledImages, batch_size: int = 256, shuffle: bool = True) -> TensorLoader:
    """Return a loader over tensors in PyTorch's default layout."""
    return TensorLoader(images.images.clone(memory_format=torch.contiguous_format), images.labels, batch_size, shuffle)


def _write_stand_in(folder: Path) -> None:
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    generator = np.random.default_rng(0)
    for part, count in SIZES.items():
        labels = generator.integers(10, size=count, dtype=np.uint8)
        images = generator.integers(80, size=(count, 28, 28), dtype=np.uint8)
        for class_id in range(10):
            row, column = 2 + 12 * (class_id // 5), 1 + 5 * (class_id % 5)
            images[labels == class_id, row : row + 12, column : column + 6] += 150
        _write_idx(raw / f"{part}-images-idx3-ubyte", images)
        _write_idx(raw / f"{part}-labels-idx1-ubyte", labels)


def _write_idx(path: Path, values: NDArray[np.uint8]) -> None:
    """Write bytes in MNIST's format: a magic number with the number of axes, their lengths, the values."""
    header = np.array([0x0800 + values.ndim, *values.shape], dtype=">i4")
    path.write_bytes(header.tobytes() + values.tobytes())
