import struct
from pathlib import Path

import numpy as np
import pytest

from fedcircuits.data.idx_files import has_idx_files, read_idx_files
from fedcircuits.errors import DataError

IMAGES = np.arange(12, dtype=np.uint8).reshape(3, 2, 2)
LABELS = np.array([7, 0, 9], dtype=np.uint8)


def write(folder: Path, name: str, magic: int, *sizes: int, values: bytes) -> None:
    (folder / name).write_bytes(struct.pack(f">{1 + len(sizes)}I", magic, *sizes) + values)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for part in ("train", "t10k"):
        write(tmp_path, f"{part}-images-idx3-ubyte", 0x803, 3, 2, 2, values=IMAGES.tobytes())
        write(tmp_path, f"{part}-labels-idx1-ubyte", 0x801, 3, values=LABELS.tobytes())
    return tmp_path


def test_images_and_labels_come_as_they_were_written(folder: Path) -> None:
    assert has_idx_files(folder)
    for images, labels in read_idx_files(folder):
        assert np.array_equal(images, IMAGES)
        assert np.array_equal(labels, LABELS)


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
def test_files_are_in_place_only_if_all_four_are(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert not has_idx_files(folder)


@pytest.mark.parametrize("damage", [b"", b"\0\0\x08", b"\0\0\x08\x03" + b"\0" * 3, b"\x1f\x8b\x08\x00" + b"\0" * 40])
def test_a_file_of_another_format_is_refused_by_its_name(folder: Path, damage: bytes) -> None:
    (folder / "t10k-images-idx3-ubyte").write_bytes(damage)
    with pytest.raises(DataError, match="t10k-images-idx3-ubyte is damaged or of another format"):
        read_idx_files(folder)


@pytest.mark.parametrize("change", [lambda content: content[:-1], lambda content: content + b"\0"])
def test_a_file_that_was_cut_off_or_goes_on_is_refused(folder: Path, change) -> None:  # type: ignore[no-untyped-def]
    path = folder / "train-labels-idx1-ubyte"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(DataError, match="train-labels-idx1-ubyte"):
        read_idx_files(folder)


def test_labels_for_another_number_of_images_are_refused(folder: Path) -> None:
    write(folder, "train-labels-idx1-ubyte", 0x801, 2, values=b"\1\2")
    with pytest.raises(DataError, match="3 images of train, but 2 labels"):
        read_idx_files(folder)


def test_a_file_that_cannot_be_read_is_refused(folder: Path) -> None:
    path = folder / "train-images-idx3-ubyte"
    path.unlink()
    path.mkdir()
    with pytest.raises(DataError, match="cannot be read"):
        read_idx_files(folder)
