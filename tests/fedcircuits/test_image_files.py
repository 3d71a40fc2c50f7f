import logging
from pathlib import Path

import numpy as np
import pytest
from own_images import write_image
from PIL import Image

from fedcircuits.errors import DataError
from fedcircuits.image_files import ImageRules, Pictures, find_class_files, read_class_files

GREY = ImageRules(("cat", "dog"), 2, 1, is_fitted=False)
FITTED = ImageRules(("cat", "dog"), 2, 1, is_fitted=True)
PIXELS = np.array([[0.0, 64.0], [128.0, 255.0]])


def read(folder: Path, rules: ImageRules) -> Pictures:
    return read_class_files(find_class_files(folder, rules.class_names), rules)


def test_folders_are_classes_in_the_order_of_their_names_in_the_settings(tmp_path: Path) -> None:
    write_image(tmp_path / "dog" / "a.png", PIXELS)
    write_image(tmp_path / "cat" / "b.png", 0 * PIXELS)
    write_image(tmp_path / "cat" / "deeper" / "a.png", 0 * PIXELS + 7)
    pictures = read(tmp_path, GREY)
    assert pictures.labels.tolist() == [0, 0, 1]
    assert pictures.pixels[:, 0].tolist() == [[[0, 0], [0, 0]], [[7, 7], [7, 7]], [[0, 64], [128, 255]]]


def test_hidden_files_and_files_that_are_no_images_are_left_alone(tmp_path: Path) -> None:
    write_image(tmp_path / "dog" / "a.PNG", PIXELS)
    for name in ("readme.txt", "dog/notes.txt", "dog/.hidden.png", ".trash/x.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("no image")
    assert read(tmp_path, GREY).labels.tolist() == [1]


def test_a_folder_that_is_no_class_is_refused_and_named_in_the_log_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_image(tmp_path / "John Smith" / "a.png", PIXELS)
    with (
        caplog.at_level(logging.ERROR),
        pytest.raises(DataError, match=r"1 of 1 folders .* allowed are cat, dog") as caught,
    ):
        read(tmp_path, GREY)
    assert "Smith" not in str(caught.value)
    assert "Smith" in caplog.text


def test_wrong_files_are_counted_by_reason_and_named_in_the_log_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_image(tmp_path / "cat" / "good.png", PIXELS)
    write_image(tmp_path / "cat" / "wide.png", np.zeros((2, 3)))
    Image.new("RGB", (2, 2)).save(tmp_path / "cat" / "colour.png")
    (tmp_path / "dog").mkdir()
    (tmp_path / "dog" / "smith.png").write_bytes(b"")
    whole = (tmp_path / "cat" / "good.png").read_bytes()
    (tmp_path / "dog" / "cut.png").write_bytes(whole[:45])
    with caplog.at_level(logging.ERROR), pytest.raises(DataError) as caught:
        read(tmp_path, GREY)
    message = str(caught.value)
    assert message.startswith("4 of 5 images cannot be used (2 cannot be decoded; ")
    for part in ("1 of 2 x 3 pixels, L", "1 of 2 x 2 pixels, RGB", "2 x 2 pixels, grey, 8 bits", "fit-images = true"):
        assert part in message
    assert "smith" not in message
    assert "smith.png" in caplog.text


def test_images_are_resized_and_turned_grey_only_when_asked_to(tmp_path: Path) -> None:
    Image.new("RGB", (40, 20), (255, 255, 255)).save(tmp_path / "white.png")
    (tmp_path / "cat").mkdir()
    (tmp_path / "white.png").rename(tmp_path / "cat" / "white.png")
    with pytest.raises(DataError, match="1 of 20 x 40 pixels, RGB"):
        read(tmp_path, GREY)
    assert read(tmp_path, FITTED).pixels.tolist() == [[[[255, 255], [255, 255]]]]


def test_grey_images_get_three_channels_where_the_settings_say_so(tmp_path: Path) -> None:
    write_image(tmp_path / "cat" / "a.png", PIXELS)
    pictures = read(tmp_path, ImageRules(("cat", "dog"), 2, 3, is_fitted=True))
    assert pictures.pixels[0].tolist() == [PIXELS.tolist()] * 3


def test_sixteen_bits_are_refused_rather_than_cut_off(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    Image.fromarray(np.full((2, 2), 40_000, np.uint16)).save(tmp_path / "cat" / "deep.png")
    with pytest.raises(DataError, match="1 with more than 8 bits a pixel"):
        read(tmp_path, FITTED)


def test_links_to_files_are_followed(tmp_path: Path) -> None:
    write_image(tmp_path / "store" / "a.png", PIXELS)
    (tmp_path / "data" / "cat").mkdir(parents=True)
    (tmp_path / "data" / "cat" / "a.png").symlink_to(tmp_path / "store" / "a.png")
    assert len(read(tmp_path / "data", GREY).labels) == 1


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read: No such file"):
        find_class_files(tmp_path / "gone", ("cat",))
