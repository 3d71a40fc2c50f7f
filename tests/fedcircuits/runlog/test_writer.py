import errno
import json
import os
import re
import shutil
import stat
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch import Tensor

from fedcircuits.errors import RunLogError
from fedcircuits.records import TABLES
from fedcircuits.runlog import checkpoints
from fedcircuits.runlog import writer as run_log
from fedcircuits.runlog.checkpoints import CHECKPOINTS, read_checkpoint
from fedcircuits.runlog.lock import LOCK_FILE
from fedcircuits.runlog.reader import RUN_FILE, SCHEMA_VERSION, find_run, read_info, read_table
from fedcircuits.runlog.writer import RunLog

WEIGHTS = {"conv1.weight": torch.arange(4.0), "fc.bias": torch.tensor([0.5])}


@pytest.fixture
def log(tmp_path: Path) -> RunLog:
    return RunLog.create(tmp_path, "test", {"seed": 7}, num_checkpoints=2)


def weights_of_round(server_round: int) -> dict[str, Tensor]:
    return {"fc.bias": torch.tensor([float(server_round)])}


def accuracy_row(server_round: int, class_id: int, recall: float | None) -> dict[str, Any]:
    return {
        "round": server_round,
        "model": "global",
        "partition_id": None,
        "class_id": class_id,
        "recall": recall,
        "false_positive_rate": None,
        "num_examples": 5,
    }


def write_accuracy(log: RunLog, server_round: int) -> None:
    log.write_round(server_round, {"accuracy": [accuracy_row(server_round, 0, 0.5)]}, weights_of_round(server_round))


def rounds_of(log: RunLog, table: str = "accuracy") -> list[int]:
    """Return the rounds that a reader sees, in the order in which it gets them."""
    frame = read_table(log.path, table, read_info(log.path)["last_round"])
    rounds: list[int] = frame["round"].tolist()
    return rounds


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_new_run_has_a_folder_per_table_and_says_that_it_is_running(log: RunLog) -> None:
    assert {path.name for path in log.path.iterdir()} == {*TABLES, CHECKPOINTS, RUN_FILE, LOCK_FILE}
    info = read_info(log.path)
    assert (info["status"], info["reason"], info["finished"]) == ("running", None, None)
    assert (info["last_round"], info["name"], info["seed"]) == (0, "test", 7)
    assert datetime.fromisoformat(info["started"]).utcoffset() is not None


def test_a_round_without_weights_leaves_no_checkpoint(log: RunLog) -> None:
    log.write_round(1, {}, weights=None)
    assert read_info(log.path)["last_round"] == 1
    assert not list((log.path / CHECKPOINTS).iterdir())


def test_a_run_is_named_after_its_start_in_utc(log: RunLog) -> None:
    assert re.fullmatch(r"\d{8}T\d{6}Z-test", log.path.name)
    started = datetime.fromisoformat(read_info(log.path)["started"])
    assert log.path.name.startswith(f"{started:%Y%m%dT%H%M%SZ}")


@pytest.mark.parametrize("table", list(TABLES))
def test_a_table_without_rows_is_read_with_all_its_columns(log: RunLog, table: str) -> None:
    log.write_round(1, {table: []}, WEIGHTS)
    frame = read_table(log.path, table, 1)
    assert list(frame.columns) == TABLES[table].names
    assert len(frame) == 0


@pytest.mark.parametrize("table", list(TABLES))
def test_a_part_that_was_lost_is_named_also_of_a_table_without_rows(log: RunLog, table: str) -> None:
    write_accuracy(log, 1)
    (log.path / table / "round-0001.parquet").unlink()
    with pytest.raises(RunLogError, match=r"round-0001\.parquet is missing"):
        read_table(log.path, table, 1)


def test_a_run_without_the_folder_of_a_table_is_damaged(log: RunLog) -> None:
    write_accuracy(log, 1)
    shutil.rmtree(log.path / "overlap")
    with pytest.raises(RunLogError, match=r"round-0001\.parquet is missing"):
        read_table(log.path, "overlap", 1)


def test_bytes_come_back_as_they_were_written(log: RunLog) -> None:
    row = {"round": 1, "model": "client", "partition_id": 3, "mask": b"\x00\xff\x10"}
    log.write_round(1, {"masks": [row]}, WEIGHTS)
    assert read_table(log.path, "masks", 1)["mask"].tolist() == [b"\x00\xff\x10"]


def test_rows_come_back_as_they_were_written(log: RunLog) -> None:
    rows = [accuracy_row(1, 0, 0.25), accuracy_row(1, 1, None)]
    log.write_round(1, {"accuracy": rows}, WEIGHTS)
    frame = read_table(log.path, "accuracy", 1)
    assert frame["class_id"].tolist() == [0, 1]
    assert frame["recall"].iloc[0] == 0.25
    assert frame["recall"].isna().tolist() == [False, True]
    assert frame["partition_id"].isna().all()
    assert frame["num_examples"].tolist() == [5, 5]
    assert str(frame["num_examples"].dtype) == "Int64"  # whole numbers stay whole beside nulls


def test_lists_and_truth_values_come_back_with_their_nulls(log: RunLog) -> None:
    accepted = {"round": 1, "partition_id": 0, "accepted": True, "class_counts": [3, 0], "layer_density": [0.5, 0.25]}
    rejected = {"round": 1, "partition_id": 1, "accepted": False, "reason": "no reply", "class_counts": []}
    log.write_round(1, {"clients": [accepted, rejected]}, WEIGHTS)
    frame = read_table(log.path, "clients", 1)
    assert frame["accepted"].tolist() == [True, False]
    assert [list(counts) for counts in frame["class_counts"]] == [[3, 0], []]
    assert list(frame["layer_density"].iloc[0]) == [0.5, 0.25]
    assert frame["layer_density"].iloc[1] is None
    assert frame["reason"].isna().tolist() == [True, False]
    assert frame["train_loss"].isna().all()


def test_a_missing_truth_value_stays_missing(log: RunLog) -> None:
    quality = {"round": 1, "model": "client", "partition_id": 0, "data": "client"}
    rows = [{**quality, "class_id": 0, "usable": None}, {**quality, "class_id": 1, "usable": False}]
    log.write_round(1, {"quality": rows}, WEIGHTS)
    assert read_table(log.path, "quality", 1)["usable"].isna().tolist() == [True, False]


def test_a_ready_made_table_is_written_as_it_is(log: RunLog) -> None:
    table = pa.Table.from_pylist([accuracy_row(1, 3, 1.0)], TABLES["accuracy"])
    log.write_round(1, {"accuracy": table}, WEIGHTS)
    assert read_table(log.path, "accuracy", 1)["class_id"].tolist() == [3]


def test_rounds_come_back_in_order(log: RunLog) -> None:
    for server_round in (1, 2, 3):
        write_accuracy(log, server_round)
    assert rounds_of(log) == [1, 2, 3]


def test_parts_and_checkpoints_are_named_beyond_four_digits(log: RunLog) -> None:
    for server_round in (9_999, 10_000, 10_001):
        write_accuracy(log, server_round)
    assert (log.path / "accuracy" / "round-10001.parquet").exists()
    assert read_checkpoint(log.path, 10_001)


def test_a_round_that_run_json_does_not_name_yet_is_invisible(log: RunLog) -> None:
    write_accuracy(log, 1)
    write_accuracy(log, 2)
    log.note(last_round=1)
    assert (log.path / "accuracy" / "round-0002.parquet").exists()
    assert rounds_of(log) == [1]


def test_a_part_that_cannot_be_written_leaves_the_earlier_round_readable(
    log: RunLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_accuracy(log, 1)
    before = files_in(log.path)

    def fill_the_disk(_table: pa.Table, where: Path, **_: Any) -> None:
        where.write_bytes(b"PAR1")
        raise OSError("disk full")

    with monkeypatch.context() as patched:
        patched.setattr(pq, "write_table", fill_the_disk)
        with pytest.raises(RunLogError, match="round 2 cannot be written: disk full"):
            write_accuracy(log, 2)
    assert files_in(log.path) == before
    assert rounds_of(log) == [1]
    assert torch.equal(read_checkpoint(log.path, 1)["fc.bias"], torch.tensor([1.0]))
    write_accuracy(log, 2)  # the log itself is still whole
    assert rounds_of(log) == [1, 2]


def test_a_round_whose_second_part_cannot_be_written_is_invisible_also_after_the_run_has_failed(
    log: RunLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_accuracy(log, 1)
    write, calls = pq.write_table, []

    def fail_the_second_time(table: pa.Table, where: Path, **options: Any) -> None:
        calls.append(where)
        if len(calls) == 2:
            raise OSError("disk full")
        write(table, where, **options)

    monkeypatch.setattr(pq, "write_table", fail_the_second_time)
    tables = {"accuracy": [accuracy_row(2, 0, 0.5)], "interference": [{"round": 2, "layer": "fc"}]}
    with pytest.raises(RunLogError, match="disk full"):
        log.write_round(2, tables, weights_of_round(2))
    log.fail("disk full")
    assert not list(log.path.glob("*/*0002*"))  # what was written of it made room for run.json
    assert rounds_of(log) == [1]
    assert read_info(log.path)["last_round"] == 1


def test_a_checkpoint_that_cannot_be_written_leaves_the_round_invisible(
    log: RunLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Any) -> bytes:
        raise OSError("disk full")

    monkeypatch.setattr(checkpoints, "save", fail)
    with pytest.raises(RunLogError, match="disk full"):
        write_accuracy(log, 1)
    assert rounds_of(log) == []
    assert not list((log.path / CHECKPOINTS).iterdir())


def test_a_disk_that_is_too_full_for_run_json_leaves_the_earlier_rounds_and_their_checkpoint(
    log: RunLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_accuracy(log, 1)
    before, write = files_in(log.path), Path.write_text

    def fill_the_disk(path: Path, text: str, **options: Any) -> int:
        write(path, text[: len(text) // 2], **options)
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", fill_the_disk)
        with pytest.raises(RunLogError, match=r"run\.json cannot be written: .*No space left"):
            write_accuracy(log, 2)
        with pytest.raises(RunLogError, match=r"run\.json cannot be written"):
            log.fail("disk full")
    assert files_in(log.path) == before
    assert (read_info(log.path)["status"], rounds_of(log)) == ("running", [1])
    assert read_checkpoint(log.path, 1)["fc.bias"].tolist() == [1.0]
    log.fail("disk full")  # there is room again
    assert (read_info(log.path)["status"], rounds_of(log)) == ("failed", [1])


def test_a_run_whose_first_run_json_cannot_be_written_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill_the_disk(*_: Any, **__: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", fill_the_disk)
    with pytest.raises(RunLogError, match=r"run\.json cannot be written: .*No space left"):
        RunLog.create(tmp_path, "test", {})


@pytest.fixture
def flushed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The inodes of what is flushed to disk from now on."""
    flush, inodes = os.fsync, []

    def note(descriptor: int) -> None:
        inodes.append(os.fstat(descriptor).st_ino)
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    return inodes


def test_a_new_run_s_folder_is_flushed_and_then_the_folder_of_runs(tmp_path: Path, flushed: list[int]) -> None:
    path = RunLog.create(tmp_path, "test", {}).path
    assert flushed == [(path / RUN_FILE).stat().st_ino, path.stat().st_ino, tmp_path.stat().st_ino]


def test_folders_are_flushed_before_run_json_names_a_round_and_its_own_folder_afterwards(
    log: RunLog, flushed: list[int]
) -> None:
    write_accuracy(log, 1)
    run_json = flushed.index((log.path / RUN_FILE).stat().st_ino)
    for folder in (*TABLES, CHECKPOINTS):
        last_file = max(flushed.index(path.stat().st_ino) for path in (log.path / folder).iterdir())
        assert last_file < flushed.index((log.path / folder).stat().st_ino) < run_json
    assert flushed[run_json + 1 :] == [log.path.stat().st_ino]


@pytest.fixture
def fail_to_flush(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[int]]:
    """Return a function that lets flushes of folders fail with an error, and returns the list of those that did."""
    flush: Callable[[int], None] = os.fsync
    refused: list[int] = []

    def begin(error: int) -> list[int]:
        def refuse_folders(descriptor: int) -> None:
            if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                refused.append(descriptor)
                raise OSError(error, os.strerror(error))
            flush(descriptor)

        monkeypatch.setattr(os, "fsync", refuse_folders)
        return refused

    return begin


def test_a_file_system_that_cannot_flush_folders_stops_nothing(
    log: RunLog, fail_to_flush: Callable[[int], list[int]]
) -> None:
    refused = fail_to_flush(errno.EINVAL)
    write_accuracy(log, 1)
    assert refused
    assert rounds_of(log) == [1]


def test_a_disk_that_fails_while_folders_are_flushed_leaves_the_round_invisible(
    log: RunLog, fail_to_flush: Callable[[int], list[int]]
) -> None:
    write_accuracy(log, 1)
    fail_to_flush(errno.EIO)
    with pytest.raises(RunLogError, match="Input/output error"):
        write_accuracy(log, 2)
    assert rounds_of(log) == [1]


def test_no_temporary_files_are_left_behind(log: RunLog) -> None:
    write_accuracy(log, 1)
    log.complete()
    assert files_in(log.path) == {
        "run.json",
        "run.lock",
        *(f"{table}/round-0001.parquet" for table in TABLES),
        "checkpoints/round-0001.safetensors",
    }


@pytest.mark.parametrize("damage", [b"", b"PAR1 no parquet", b"\0" * 100])
def test_a_damaged_part_is_named(log: RunLog, damage: bytes) -> None:
    write_accuracy(log, 1)
    (log.path / "accuracy" / "round-0001.parquet").write_bytes(damage)
    with pytest.raises(RunLogError, match=r"round-0001\.parquet cannot be read"):
        read_table(log.path, "accuracy", 1)


def test_a_part_that_was_cut_off_is_named(log: RunLog) -> None:
    write_accuracy(log, 1)
    part = log.path / "accuracy" / "round-0001.parquet"
    part.write_bytes(part.read_bytes()[:-20])
    with pytest.raises(RunLogError, match=r"round-0001\.parquet cannot be read"):
        read_table(log.path, "accuracy", 1)


def test_a_part_that_lacks_a_column_is_named(log: RunLog) -> None:
    write_accuracy(log, 1)
    part = log.path / "accuracy" / "round-0001.parquet"
    pq.write_table(pq.read_table(part).drop_columns(["recall"]), part)
    with pytest.raises(RunLogError, match=r"round-0001\.parquet"):
        read_table(log.path, "accuracy", 1)


def test_a_part_with_a_column_of_another_type_is_named(log: RunLog) -> None:
    write_accuracy(log, 1)
    part = log.path / "accuracy" / "round-0001.parquet"
    table = pq.read_table(part).drop_columns(["recall"])
    pq.write_table(table.append_column("recall", pa.array(["high"])), part)
    with pytest.raises(RunLogError, match=r"round-0001\.parquet"):
        read_table(log.path, "accuracy", 1)


def test_damage_in_an_invisible_round_does_not_matter(log: RunLog) -> None:
    write_accuracy(log, 1)
    (log.path / "accuracy" / "round-0002.parquet").write_bytes(b"")
    assert rounds_of(log) == [1]


def test_the_name_of_a_folder_above_does_not_leak_into_the_columns(tmp_path: Path) -> None:
    log = RunLog.create(tmp_path / "round=9", "test", {})
    write_accuracy(log, 1)
    assert rounds_of(log) == [1]


def test_only_the_newest_checkpoints_are_kept_and_they_load(log: RunLog) -> None:
    for server_round in range(1, 5):
        write_accuracy(log, server_round)
    assert files_in(log.path / CHECKPOINTS) == {"round-0003.safetensors", "round-0004.safetensors"}
    for server_round in (3, 4):
        weights = read_checkpoint(log.path, server_round)
        assert list(weights) == ["fc.bias"]
        assert weights["fc.bias"].tolist() == [server_round]
    assert rounds_of(log) == [1, 2, 3, 4]


def test_the_newest_checkpoint_is_kept_beyond_four_digits(tmp_path: Path) -> None:
    log = RunLog.create(tmp_path, "test", {}, num_checkpoints=1)
    write_accuracy(log, 9_999)
    write_accuracy(log, 10_000)
    assert read_checkpoint(log.path, 10_000)["fc.bias"].tolist() == [10_000]


def test_a_checkpoint_keeps_names_shapes_and_types(log: RunLog) -> None:
    weights = {"conv1.weight": torch.randn(2, 1, 3, 3), "fc.bias": torch.zeros(3, dtype=torch.float64)}
    log.write_round(1, {}, weights)
    loaded = read_checkpoint(log.path, 1)
    assert set(loaded) == set(weights)
    assert all(torch.equal(loaded[name], weights[name]) for name in weights)
    assert loaded["fc.bias"].dtype == torch.float64


def test_a_checkpoint_that_is_gone_is_refused(log: RunLog) -> None:
    with pytest.raises(RunLogError, match=r"round-0005\.safetensors cannot be read"):
        read_checkpoint(log.path, 5)


def test_a_damaged_checkpoint_is_named(log: RunLog) -> None:
    write_accuracy(log, 1)
    path = log.path / CHECKPOINTS / "round-0001.safetensors"
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(RunLogError, match=r"round-0001\.safetensors"):
        read_checkpoint(log.path, 1)


def test_a_completed_run_says_so(log: RunLog) -> None:
    write_accuracy(log, 1)
    log.complete()
    info = read_info(log.path)
    assert (info["status"], info["reason"], info["last_round"]) == ("completed", None, 1)
    assert info["finished"] >= info["started"]


def test_a_failed_run_gives_the_reason_and_keeps_its_rounds(log: RunLog) -> None:
    write_accuracy(log, 1)
    log.fail("round 2: too few replies")
    info = read_info(log.path)
    assert (info["status"], info["reason"], info["last_round"]) == ("failed", "round 2: too few replies", 1)
    assert rounds_of(log) == [1]


def test_what_is_learned_later_is_added_to_run_json(log: RunLog) -> None:
    log.note(num_nodes=3)
    write_accuracy(log, 1)
    info = read_info(log.path)
    assert (info["num_nodes"], info["seed"], info["last_round"]) == (3, 7, 1)


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("digits iid", "digits-iid"),
        ("a/b\\c:d*e", "a-b-c-d-e"),
        ("../../etc", "etc"),
        ("sparsity=0.9_v2", "sparsity-0.9_v2"),
        ("Zürich", "Z-rich"),
        ("", "run"),
        ("..", "run"),
        ("///", "run"),
    ],
)
def test_a_name_becomes_safe_for_a_folder(tmp_path: Path, name: str, label: str) -> None:
    log = RunLog.create(tmp_path, name, {})
    assert log.path.parent == tmp_path
    assert log.path.name.split("-", 1)[1] == label
    assert read_info(log.path)["name"] == label


class FrozenClock:
    """Stands for `datetime` in a second that does not end."""

    @staticmethod
    def now(zone: Any) -> datetime:
        return datetime(2025, 1, 2, 3, 4, 5, tzinfo=zone)


def test_runs_of_the_same_second_get_folders_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_log, "datetime", FrozenClock)
    logs = [RunLog.create(tmp_path, "test", {"number": i}) for i in range(3)]
    stem = "20250102T030405Z-test"
    assert [log.path.name for log in logs] == [stem, f"{stem}-2", f"{stem}-3"]
    assert [read_info(log.path)["number"] for log in logs] == [0, 1, 2]
    assert find_run(tmp_path) == logs[-1].path


def test_the_folder_of_runs_is_made_where_it_is_missing(tmp_path: Path) -> None:
    log = RunLog.create(tmp_path / "a" / "b", "test", {})
    assert log.path.parent == tmp_path / "a" / "b"


@pytest.mark.parametrize("below", ["", "deeper/still"])
def test_a_file_in_the_place_of_the_folder_of_runs_is_refused(tmp_path: Path, below: str) -> None:
    (tmp_path / "runs").write_text("not a folder")
    with pytest.raises(RunLogError, match=r"run-dir: cannot write to .*runs"):
        RunLog.create(tmp_path / "runs" / below, "test", {})


def test_a_run_is_found_by_its_own_folder(log: RunLog) -> None:
    assert find_run(log.path) == log.path


def test_the_newest_run_of_a_folder_is_found(tmp_path: Path) -> None:
    started = {"c": "2025-01-01T00:00:00+00:00", "a": "2025-03-01T00:00:00+00:00", "b": "2024-12-31T23:59:59+00:00"}
    for name, moment in started.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / RUN_FILE).write_text(json.dumps({"schema_version": SCHEMA_VERSION, "started": moment}))
    (tmp_path / "20260101T000000Z-no-run").mkdir()
    (tmp_path / "20260101T000000Z.txt").write_text("")
    assert find_run(tmp_path) == tmp_path / "a"


@pytest.mark.parametrize("where", ["", "missing", "file"])
def test_a_place_without_a_run_is_refused(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunLogError, match=r"no run found in .*run\.json|missing does not exist"):
        find_run(tmp_path / where)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"schema_version": 1}', '{"schema_version": "2"}'])
def test_a_run_json_that_is_damaged_or_of_another_version_is_refused(log: RunLog, text: str) -> None:
    (log.path / RUN_FILE).write_text(text)
    with pytest.raises(RunLogError, match=r"run\.json"):
        read_info(log.path)


def test_a_run_json_that_is_no_text_or_missing_is_refused(log: RunLog) -> None:
    (log.path / RUN_FILE).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RunLogError, match=r"run\.json cannot be read"):
        read_info(log.path)
    (log.path / RUN_FILE).unlink()
    with pytest.raises(RunLogError, match=r"run\.json cannot be read"):
        read_info(log.path)


def test_run_json_keeps_text_of_any_language(tmp_path: Path) -> None:
    log = RunLog.create(tmp_path, "test", {"note": "Zürich ≤ 3"})
    assert read_info(log.path)["note"] == "Zürich ≤ 3"


def test_a_row_with_a_column_that_the_table_lacks_is_refused(tmp_path: Path) -> None:
    log = RunLog.create(tmp_path, "run", {})
    with pytest.raises(RunLogError, match="accuracy: no such columns: recal"):
        log.write_round(1, {"accuracy": [{"round": 1, "recal": 0.5}]}, {})
