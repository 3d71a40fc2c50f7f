"""Files that are there as a whole or not at all."""

import os
import threading
from pathlib import Path

import pytest

from fedcircuits.whole_files import write_whole


def put(path: Path, text: str) -> None:
    write_whole(path, lambda temporary: temporary.write_text(text))


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "folder" / "file", tmp_path / "link"
    target.parent.mkdir()
    target.write_text("old")
    link.symlink_to(target)
    put(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert sorted(tmp_path.rglob(".*")) == []


def test_what_is_no_file_is_left_alone(tmp_path: Path) -> None:
    pipe, folder = tmp_path / "pipe", tmp_path / "folder"
    os.mkfifo(pipe)
    folder.mkdir()
    for path in (pipe, folder, Path("/dev/null")):
        with pytest.raises(OSError, match="is there already and is no regular file"):
            put(path, "new")
    assert pipe.is_fifo()
    assert Path("/dev/null").is_char_device()
    assert list(tmp_path.iterdir()) in ([pipe, folder], [folder, pipe])


def test_writers_of_one_path_do_not_tear_each_others_files(tmp_path: Path) -> None:
    path, texts = tmp_path / "file", {letter * 100_000 for letter in "abcd"}
    threads = [threading.Thread(target=lambda text=text: [put(path, text) for _ in range(20)]) for text in texts]
    for thread in threads:
        thread.start()
    seen = set()
    while any(thread.is_alive() for thread in threads):
        if path.exists():
            seen.add(path.read_text())
    for thread in threads:
        thread.join()
    assert seen | {path.read_text()} <= texts
    assert list(tmp_path.iterdir()) == [path]


def test_a_name_as_long_as_a_file_system_takes_can_be_written(tmp_path: Path) -> None:
    put(tmp_path / ("a" * 255), "new")
    assert [len(path.name) for path in tmp_path.iterdir()] == [255]
