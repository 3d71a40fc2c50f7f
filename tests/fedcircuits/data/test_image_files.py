import io
import logging
import os
import unicodedata
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from own_images import write_image
from PIL import Image

from fedcircuits.data.image_files import ImageRules, Pictures, find_class_files, read_class_files
from fedcircuits.errors import DataError

GREY = ImageRules(("cat", "dog"), 2, 1, is_fitted=False)
FITTED = ImageRules(("cat", "dog"), 2, 1, is_fitted=True)
NUM_DAMAGED = 100
"""Damaged files of each format; 25,000 in all were once tried."""

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


def test_what_systems_leave_behind_is_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_image(tmp_path / "dog" / "a.PNG", PIXELS)
    hidden = (".ipynb_checkpoints/a.png", ".Trash-1000/a.png", "@eaDir/a.png", ".AppleDouble/a.png", "._a.png")
    for name in ("readme.txt", ".trash/x.png", "@eaDir/x.png", "dog/Thumbs.db", *(f"dog/{name}" for name in hidden)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("no image")
    assert read(tmp_path, GREY).labels.tolist() == [1]
    assert caplog.text == ""


def test_what_lies_in_a_class_and_is_no_image_is_counted_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_image(tmp_path / "dog" / "a.png", PIXELS)
    (tmp_path / "dog" / "notes.txt").write_text("no image")
    (tmp_path / "dog" / "empty").write_text("")
    os.mkfifo(tmp_path / "dog" / "pipe.png")
    assert len(read(tmp_path, GREY).labels) == 1
    assert "3 files in the classes' folders are no images and are not used" in caplog.text
    assert "notes.txt" in caplog.text


@pytest.mark.parametrize("name", ["a.gif", "a.jfif", "a.jpe", "a.tiff", "a.webp", "a.avif", "a.jp2", "a", "a.b1"])
def test_images_are_known_by_their_content_where_their_names_say_little(tmp_path: Path, name: str) -> None:
    suffix = Path(name).suffix
    formats = {".jfif": "JPEG", ".jpe": "JPEG", ".jp2": "JPEG2000", "": "PNG", ".b1": "PNG"}
    (tmp_path / "cat").mkdir()
    grey = Image.fromarray(np.full((2, 2), 128, np.uint8))
    grey.save(tmp_path / "cat" / name, format=formats.get(suffix, suffix[1:].upper()))
    assert read(tmp_path, FITTED).pixels.float().mean() == pytest.approx(128, abs=2)


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


def test_links_to_files_and_folders_are_followed(tmp_path: Path) -> None:
    store, cat = tmp_path / "store", tmp_path / "data" / "cat"
    write_image(store / "a.png", PIXELS)
    write_image(store / "deeper" / "b.png", PIXELS)
    cat.mkdir(parents=True)
    (cat / "c.png").symlink_to(store / "a.png")
    (cat / "folder").symlink_to(store)
    (store / "round").symlink_to(store)
    assert len(read(tmp_path / "data", GREY).labels) == 3
    (tmp_path / "data" / "dog").symlink_to(store)
    assert read(tmp_path / "data", GREY).labels.tolist() == [0, 0, 0, 1, 1]


def test_a_link_to_nothing_is_an_error_unless_it_may_be_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_image(tmp_path / "cat" / "a.png", PIXELS)
    write_image(tmp_path / "dog" / "c.png", 0 * PIXELS)
    (tmp_path / "cat" / "b.png").symlink_to(tmp_path / "annex" / "b.png")
    (tmp_path / "cat" / "key").symlink_to(tmp_path / "annex" / "key")
    (tmp_path / "cat" / "d.png").write_bytes(b"damaged")
    with pytest.raises(DataError) as caught:
        read(tmp_path, GREY)
    message = str(caught.value)
    assert message.startswith(
        "3 of 5 images cannot be used (2 not there, behind links that lead nowhere; 1 cannot be decoded)"
    )
    assert "skip-unreadable = true" in message
    pictures = read(tmp_path, replace(GREY, skips_unreadable=True))
    assert pictures.labels.tolist() == [0, 1]
    assert pictures.pixels[:, 0].tolist() == [PIXELS.tolist(), [[0, 0], [0, 0]]]
    assert "3 of 5 images cannot be used" in caplog.text


def test_a_picture_is_turned_as_its_camera_says(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    Image.fromarray(PIXELS.astype(np.uint8)).save(tmp_path / "cat" / "a.png", exif=exif)
    assert read(tmp_path, GREY).pixels[0, 0].tolist() == PIXELS[::-1, ::-1].tolist()


def test_black_ink_on_a_transparent_ground_lies_on_white(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    ink = np.zeros((2, 2, 4), np.uint8)
    ink[0, 0, 3] = 255
    Image.fromarray(ink, "RGBA").save(tmp_path / "cat" / "a.png")
    Image.fromarray(ink, "RGBA").quantize(2).save(tmp_path / "cat" / "b.png", transparency=1)
    assert read(tmp_path, FITTED).pixels[0, 0].tolist() == [[0, 255], [255, 255]]
    with pytest.raises(DataError, match="1 of 2 x 2 pixels, RGBA, with transparent pixels"):
        read(tmp_path, GREY)


@pytest.mark.parametrize("suffix", [".gif", ".tiff", ".png"])
def test_several_frames_or_pages_are_refused(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "cat").mkdir()
    frames = [Image.fromarray(np.full((2, 2), value, np.uint8)) for value in (0, 255)]
    frames[0].save(tmp_path / "cat" / f"a{suffix}", save_all=True, append_images=frames[1:])
    with pytest.raises(DataError, match="1 of several frames or pages"):
        read(tmp_path, FITTED)


def test_the_second_picture_of_a_photograph_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    frames = [Image.fromarray(np.full((2, 2), value, np.uint8)) for value in (0, 255)]
    frames[0].save(tmp_path / "cat" / "a.jpg", format="MPO", save_all=True, append_images=frames[1:])
    assert read(tmp_path, GREY).pixels.max() < 5


def test_accents_are_the_same_however_a_system_writes_them(tmp_path: Path) -> None:
    for name, form in (("a.png", "NFC"), ("b.png", "NFD")):
        write_image(tmp_path / unicodedata.normalize(form, "Mädchen") / name, PIXELS)
    rules = ImageRules((unicodedata.normalize("NFD", "Mädchen"), "dog"), 2, 1, is_fitted=False)
    assert read(tmp_path, rules).labels.tolist() == [0, 0]


@pytest.mark.parametrize("picture", [*("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP"),
                                     *("DDS", "ICO", "TGA", "PCX", "SGI")])  # fmt: skip
def test_no_damage_gets_past_the_reader(tmp_path: Path, picture: str, caplog: pytest.LogCaptureFixture) -> None:
    """What Pillow raises for damaged files is no short list; whatever it is, it counts as one unreadable image."""
    caplog.set_level(logging.CRITICAL)
    generator, path = np.random.default_rng(0), tmp_path / "cat" / "photo.jpg"
    path.parent.mkdir()
    buffer = io.BytesIO()
    Image.fromarray(generator.integers(0, 256, (16, 16, 3), np.uint8)).save(buffer, format=picture)
    whole = np.frombuffer(buffer.getvalue(), np.uint8)
    for _ in range(NUM_DAMAGED):
        damaged = whole.copy()
        at = generator.integers(0, len(damaged), generator.integers(1, 12))
        damaged[at] = generator.integers(0, 256, len(at), np.uint8)
        path.write_bytes(damaged[: generator.integers(1, len(damaged) + 1)].tobytes())
        with suppress(DataError):
            read(tmp_path, FITTED)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read: No such file"):
        find_class_files(tmp_path / "gone", ("cat",))
