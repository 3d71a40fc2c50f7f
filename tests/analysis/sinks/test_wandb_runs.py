"""Rounds as a run of Weights & Biases that stays offline, read back from the file that `wandb sync` would send."""

import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from analysis import load_run
from analysis.__main__ import main
from analysis.measures.by_seed import seed_measures
from fedcircuits.runlog.writer import RunLog

pytest.importorskip("wandb", reason="the extra wandb is not installed")

BLOCK = 32768
FULL, LAST = 1, 4


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Keep wandb's files, and what it knows of this machine's user, in a folder of the test."""
    import wandb

    for name in ("WANDB_DIR", "WANDB_CONFIG_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path))
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    yield tmp_path
    wandb.teardown()  # it reads its variables once


def records(folder: Path) -> list[Any]:
    """Return what was stored: the records of a LevelDB log behind a header of 7 bytes."""
    import wandb
    from wandb.proto.wandb_internal_pb2 import Record

    wandb.teardown()  # as at the end of a process: its own one may still be writing
    (file,) = folder.glob("wandb/offline-run-*/*.wandb")
    data, found, parts, position = file.read_bytes(), [], [], 7
    while position < len(data):
        if BLOCK - position % BLOCK < 7:  # too little for a record's header: the rest of the block is empty
            position += BLOCK - position % BLOCK
        _, length, kind = struct.unpack_from("<IHB", data, position)
        parts.append(data[position + 7 : position + 7 + length])
        position += 7 + length
        if kind in {FULL, LAST}:
            found.append(Record.FromString(b"".join(parts)))
            parts = []
    return found


def history(folder: Path) -> list[dict[str, Any]]:
    rows = [record.history.item for record in records(folder) if record.HasField("history")]
    return [{item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in row} for row in rows]


def test_every_round_is_a_step_with_the_figures_of_the_run(write_run: Callable[..., RunLog], offline: Path) -> None:
    log = write_run()
    log.complete()
    assert main(["watch", str(log.path), "--to", "wandb=offline"]) == 0
    first, second = history(offline)
    expected = seed_measures(load_run(log.path))
    assert (first["round"], second["round"]) == (1, 2)
    assert second["accuracy/accuracy"] == pytest.approx(expected["accuracy"][2])
    assert first["recall/class_1"] == 0.5


def test_a_run_has_the_name_and_the_settings_of_the_run_directory(
    write_run: Callable[..., RunLog], offline: Path
) -> None:
    log = write_run()
    log.note(clients=[{"partition_id": 1, "label": "ward 3"}])
    log.fail("node lost")
    assert main(["watch", str(log.path), "--once", "--to", "wandb=offline"]) == 1
    stored = records(offline)
    (run,) = [record.run for record in stored if record.HasField("run")][:1]
    assert (run.display_name, run.run_id, run.project) == (log.path.name, log.path.name, "fedcircuits")
    config = {item.key: json.loads(item.value_json) for item in run.config.update}
    assert config["seed"] == 7
    (end,) = [record.exit for record in stored if record.HasField("exit")]
    assert end.exit_code == 1
    assert all(b"ward 3" not in record.SerializeToString() for record in stored)


def test_nobody_being_logged_in_is_one_error(
    write_run: Callable[..., RunLog], offline: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["watch", str(write_run().path), "--once", "--to", "wandb=online"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: --to wandb: ")
    assert error.count("\n") == 1
