import logging
import os
import stat
from pathlib import Path

import pytest
import torch
from own_images import write_digits

from fedcircuits.data import picture_cache
from fedcircuits.data.image_files import ImageRules, Pictures, find_class_files, read_class_files
from fedcircuits.data.picture_cache import cached_pictures, default_cache_folder

RULES = ImageRules(("0", "1"), 8, 1, is_fitted=False)


class Reader:
    """Reads a folder through the cache, and counts how often images were decoded."""

    def __init__(self, folder: Path, cache: Path | None, rules: ImageRules = RULES) -> None:
        self.folder, self.cache, self.rules, self.num_reads = folder, cache, rules, 0

    def __call__(self) -> Pictures:
        files = find_class_files(self.folder, self.rules.class_names)

        def read() -> Pictures:
            self.num_reads += 1
            return read_class_files(files, self.rules)

        return cached_pictures([path for path, _ in files], self.folder, self.rules, self.cache, read)


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    return Reader(write_digits(tmp_path / "data", [0, 1], 3), tmp_path / "new" / "cache")


def cache_file(reader: Reader) -> Path:
    assert reader.cache is not None
    (path,) = reader.cache.iterdir()
    return path


def same(one: Pictures, other: Pictures) -> bool:
    return torch.equal(one.pixels, other.pixels) and torch.equal(one.labels, other.labels)


def test_images_are_decoded_once_and_come_back_as_they_were(reader: Reader) -> None:
    first, second = reader(), reader()
    assert reader.num_reads == 1
    assert same(first, second)
    assert second.labels.tolist() == [0, 0, 0, 1, 1, 1]


def test_the_cache_is_for_its_owners_eyes_only(reader: Reader) -> None:
    reader()
    assert stat.S_IMODE(cache_file(reader).stat().st_mode) == 0o600
    assert stat.S_IMODE(cache_file(reader).parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("change", ["added", "removed", "touched", "renamed"])
def test_a_change_in_the_folder_is_seen(reader: Reader, change: str) -> None:
    before, path = reader(), next(iter(sorted((reader.folder / "0").iterdir())))
    if change == "added":
        write_digits(reader.folder / "1" / "new", [1], 1, start=3)
    elif change == "removed":
        path.unlink()
    elif change == "touched":
        os.utime(path, ns=(1, 1))
    else:
        path.rename(path.with_name("other.png"))
    after = reader()
    assert reader.num_reads == 2
    assert len(after.labels) - len(before.labels) == {"added": 1, "removed": -1}.get(change, 0)
    reader()
    assert reader.num_reads == 2


def test_other_rules_are_other_images(reader: Reader) -> None:
    reader()
    assert reader.cache is not None
    small = Reader(reader.folder, reader.cache, ImageRules(("0", "1"), 4, 1, is_fitted=True))
    assert small().pixels.shape == (6, 1, 4, 4)
    assert reader().pixels.shape == (6, 1, 8, 8)
    assert (reader.num_reads, small.num_reads) == (1, 1)


@pytest.mark.parametrize("damage", ["cut off", "empty", "flipped"])
def test_a_damaged_cache_is_made_anew(reader: Reader, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    first, path = reader(), cache_file(reader)
    content = path.read_bytes()
    flipped = content[:-50] + bytes([content[-50] ^ 1]) + content[-49:]
    path.write_bytes({"cut off": content[:-10], "empty": b"", "flipped": flipped}[damage])
    with caplog.at_level(logging.WARNING):
        assert same(reader(), first)
    assert reader.num_reads == 2
    assert "is damaged" in caplog.text
    reader()
    assert reader.num_reads == 2


def test_a_full_disk_costs_time_and_nothing_else(
    reader: Reader, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(path: Path, content: bytes) -> int:
        with path.open("wb") as file:
            file.write(content[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with caplog.at_level(logging.WARNING):
        assert same(reader(), reader())
    assert reader.num_reads == 2
    assert "No space left on device" in caplog.text
    assert reader.cache is not None
    assert list(reader.cache.iterdir()) == []


def test_a_cache_folder_that_cannot_be_made_costs_time_and_nothing_else(
    reader: Reader, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    reader.cache = tmp_path / "file" / "cache"
    with caplog.at_level(logging.WARNING):
        assert len(reader().labels) == 6
    assert "every message decodes them again" in caplog.text


def test_without_a_folder_nothing_is_kept(reader: Reader) -> None:
    reader.cache = None
    reader()
    reader()
    assert reader.num_reads == 2


def test_caches_lie_in_the_users_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache_folder() == tmp_path / "fedcircuits"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(picture_cache.Path, "home", lambda: tmp_path / "home")
    assert default_cache_folder() == tmp_path / "home" / ".cache" / "fedcircuits"
