from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from own_images import write_digits

from fedcircuits.data.datasets import load_dataset
from fedcircuits.errors import DataError, SettingsError
from fedcircuits.settings import Settings

MakeSettings = Callable[[Mapping[str, Any]], Settings]
MINE = {"dataset": "folder", "class-names": "cat, dog", "image-size": 12, "image-channels": 3}


def test_the_shape_of_ones_own_images_is_what_the_settings_say(make_settings: MakeSettings) -> None:
    settings = make_settings(MINE)
    assert settings.data.shape == (2, 12, 3)
    assert settings.data.class_names == ("cat", "dog")
    assert settings.searched_classes == (0, 1)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"class-names": ""}, "needs two names or more"),
        ({"class-names": "cat"}, "needs two names or more"),
        ({"class-names": "cat,cat"}, "names a class twice"),
        ({"class-names": "cat,../dog"}, "'../dog' cannot be the name of a class's folder"),
        ({"class-names": "cat,,dog"}, "'' cannot be the name"),
        ({"class-names": "cat,.dog"}, "'.dog' cannot be the name"),
        ({"image-channels": 2}, "must be 1 .grey. or 3 .RGB."),
        ({"image-size": 4}, "leave nothing of an image of 4 pixels"),
        ({"pixel-mean": "0.1,0.2"}, "pixel-mean: 2 numbers, must be 1 or image-channels = 3"),
        ({"pixel-mean": "grey"}, "must be numbers"),
        ({"pixel-std": "0"}, "pixel-std: 0, must be above 0"),
        ({"pixel-std": "inf"}, "must be numbers"),
        ({"dataset": "mnist"}, 'only dataset = "folder" has names of its own, not mnist'),
        ({"client-classes": "0;2", "partition": "classes"}, r"no class \[2\] in folder; allowed are 0 to 1"),
        ({"classes-per-client": 3, "partition": "pathological"}, "folder has 2 classes"),
        ({"own-test-fraction": 1.0}, "own-test-fraction"),
    ],
)
def test_settings_for_ones_own_images_that_cannot_be_are_refused(
    make_settings: MakeSettings, changes: dict[str, Any], problem: str
) -> None:
    with pytest.raises(SettingsError, match=problem):
        make_settings({**MINE, **changes})


def test_a_server_without_held_out_images_of_every_class_says_which(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    write_digits(tmp_path / "test", [0], 5)
    settings = make_settings({"dataset": "folder", "class-names": "0,1,2", "image-size": 8, "data-dir": str(tmp_path)})
    with pytest.raises(DataError, match=r"test: less than two images of 1, 2; data-dir must hold"):
        load_dataset(settings.data, 0)


def test_an_empty_folder_of_training_images_is_said(make_settings: MakeSettings, tmp_path: Path) -> None:
    write_digits(tmp_path / "test", [0, 1], 4)
    (tmp_path / "train" / "0").mkdir(parents=True)
    own = {"dataset": "folder", "class-names": "0,1", "image-size": 8, "data-dir": str(tmp_path)}
    with pytest.raises(DataError, match=r"train: no image in it; it must hold a folder of images per class \(0, 1\)"):
        load_dataset(make_settings(own).data, 0)


def test_normalisation_is_what_the_settings_say(make_settings: MakeSettings, tmp_path: Path) -> None:
    write_digits(tmp_path / "test", [0, 1], 4)
    own = {"dataset": "folder", "class-names": "0,1", "image-size": 8, "data-dir": str(tmp_path)}
    plain = load_dataset(make_settings({**own, "pixel-mean": "0", "pixel-std": "1"}).data, 0).test.images
    moved = load_dataset(make_settings({**own, "pixel-mean": "0.25", "pixel-std": "0.5"}).data, 0).test.images
    assert float(plain.min()) == 0.0
    assert float(plain.max()) == 1.0
    assert float((moved - (plain - 0.25) / 0.5).abs().max()) < 1e-6  # single precision
