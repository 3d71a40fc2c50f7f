import gzip
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from own_images import write_digits, write_image

from fedcircuits.data.datasets import LabelledImages, load_dataset
from fedcircuits.data.own_images import load_own_images
from fedcircuits.errors import DataError
from fedcircuits.settings import Settings

MakeSettings = Callable[[Mapping[str, Any]], Settings]


def load(folder: Path, settings: Settings) -> tuple[LabelledImages, LabelledImages]:
    return load_own_images(folder, settings.data, cache=None)


def keys(data: LabelledImages) -> set[bytes]:
    return {image.numpy().tobytes() for image in data.images}


def write_idx(folder: Path, prefix: str, images: Any, labels: Any, suffix: str = "") -> None:
    pack = gzip.compress if suffix else bytes
    header = struct.pack(">4I", 0x803, *images.shape)
    (folder / f"{prefix}images-idx3-ubyte{suffix}").write_bytes(pack(header + images.astype(np.uint8).tobytes()))
    header = struct.pack(">2I", 0x801, len(labels))
    (folder / f"{prefix}labels-idx1-ubyte{suffix}").write_bytes(pack(header + labels.astype(np.uint8).tobytes()))


def test_each_class_is_split_into_images_to_train_on_and_images_to_score_on(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    write_digits(tmp_path, [0, 3], 20)
    write_digits(tmp_path, [7], 2)
    train, test = load(tmp_path, make_settings({"own-test-fraction": 0.25}))
    assert train.class_counts(10) == [15, 0, 0, 15, 0, 0, 0, 1, 0, 0]
    assert test.class_counts(10) == [5, 0, 0, 5, 0, 0, 0, 1, 0, 0]
    assert not keys(train) & keys(test)


def test_the_split_hangs_on_the_images_and_neither_on_their_names_nor_on_the_others(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    settings = make_settings({"own-test-fraction": 0.25})
    write_digits(tmp_path / "some", [0], 20)
    write_digits(tmp_path / "more", [0], 24)
    for number, path in enumerate(sorted((tmp_path / "some" / "0").iterdir(), reverse=True)):
        path.rename(path.with_name(f"image{number}.png"))
    _, some = load(tmp_path / "some", settings)
    _, more = load(tmp_path / "more", settings)
    # Four more images: one more of 24 is scored on, and new ones may take the places of those at the edge.
    assert (len(some), len(more)) == (5, 6)
    assert len(keys(some) & keys(more)) >= 5 - 4
    assert keys(load(tmp_path / "some", settings)[1]) == keys(some)


def test_copies_of_an_image_are_never_on_both_sides(make_settings: MakeSettings, tmp_path: Path) -> None:
    settings = make_settings({"own-test-fraction": 0.4})  # 5 of 12, in the midst of three copies
    for number in range(12):
        write_image(tmp_path / "4" / f"{number}.png", np.full((8, 8), 20 * (number // 3)))
    train, test = load(tmp_path, settings)
    assert (len(train), len(test)) == (9, 3)
    assert not keys(train) & keys(test)


def test_pixels_are_normalised_as_those_of_the_dataset(make_settings: MakeSettings, tmp_path: Path) -> None:
    settings = make_settings({})
    train, test = load(write_digits(tmp_path, range(10), 174), settings)
    digits = load_dataset(settings.data, 0)
    everything = torch.cat([digits.train.images, digits.probe.images, digits.test.images])
    # A file has 255 steps for 16 levels: rounding moves a pixel by half a step at most.
    assert float(train.images.max()) == pytest.approx(float(everything.max()), abs=0.5 / 255 / 0.376)
    assert float(torch.cat([train.images, test.images]).mean()) == pytest.approx(float(everything.mean()), abs=0.02)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_pair_of_idx_files_does_as_well(make_settings: MakeSettings, tmp_path: Path, suffix: str) -> None:
    images = np.arange(6 * 64).reshape(6, 8, 8) % 256
    write_idx(tmp_path, "site0-", images, np.array([1, 1, 1, 2, 2, 2]), suffix)
    train, test = load(tmp_path, make_settings({}))
    assert train.class_counts(3) == [0, 2, 2]
    assert test.class_counts(3) == [0, 1, 1]


def test_idx_files_that_do_not_fit_are_refused(make_settings: MakeSettings, tmp_path: Path) -> None:
    settings = make_settings({})
    write_idx(tmp_path, "", np.zeros((2, 8, 8)), np.array([1, 10]))
    with pytest.raises(DataError, match="the highest 10; must be one or more, each 0 to 9"):
        load(tmp_path, settings)
    write_idx(tmp_path, "", np.zeros((2, 9, 8)), np.array([1, 1]))
    with pytest.raises(DataError, match="IDX images of 9 x 8 pixels, L; allowed are 8 x 8 pixels, grey"):
        load(tmp_path, settings)
    write_idx(tmp_path, "more-", np.zeros((2, 8, 8)), np.array([1, 1]))
    with pytest.raises(DataError, match=r"2 files .*images-idx3.* must be one of each"):
        load(tmp_path, settings)


def test_a_damaged_archive_is_refused(make_settings: MakeSettings, tmp_path: Path) -> None:
    write_idx(tmp_path, "", np.zeros((2, 8, 8)), np.array([1, 1]), ".gz")
    path = tmp_path / "images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"the IDX file of images cannot be read"):
        load(tmp_path, make_settings({}))


def test_a_folder_without_images_says_what_it_must_hold(make_settings: MakeSettings, tmp_path: Path) -> None:
    for folder, message in ((tmp_path, "no image under data-path; it must hold"), (tmp_path / "gone", "is no folder")):
        with pytest.raises(DataError, match=message):
            load(folder, make_settings({}))


def test_a_client_with_nothing_to_score_on_is_refused(make_settings: MakeSettings, tmp_path: Path) -> None:
    write_digits(tmp_path, [0, 1], 1)
    with pytest.raises(DataError, match="2 images under data-path, none of them to score on"):
        load(tmp_path, make_settings({}))
