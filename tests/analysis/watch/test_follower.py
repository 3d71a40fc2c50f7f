"""Reading a run that grows."""

import math
from pathlib import Path

import pytest

from analysis import load_run
from analysis.measures import check_failure
from analysis.measures.by_seed import seed_measures
from analysis.watch.follower import RunFollower
from fedcircuits.errors import RunLogError
from fedcircuits.runlog import reader as run_reader
from fedcircuits.runlog.reader import part_path


def follow_to_end(path):
    follower = RunFollower(path)
    while (progress := follower.poll()).is_behind:
        pass
    return progress


def without_holdings(server_round, tables):
    """Clients that do not say what they hold; in the second round, no circuit of class 0 is found."""
    for row in tables["clients"]:
        row["class_counts"] = None
    if server_round == 2:
        tables["circuits"] = [row for row in tables["circuits"] if row["class_id"] != 0]


def checked_once(server_round, tables):
    """The discovery fails its check in the first round, and is not checked again."""
    tables["validity"] = tables["validity"] if server_round == 1 else []


@pytest.mark.parametrize("change", [lambda server_round, tables: None, without_holdings, checked_once])
def test_figures_read_round_by_round_are_those_of_the_whole_run(growing_run, change):
    run = growing_run(change)
    run.grow(4)
    expected = seed_measures(load_run(run.path))
    rounds = follow_to_end(run.path).rounds
    assert [one.number for one in rounds] == [1, 2, 3, 4]
    whole = load_run(run.path)
    assert {one.number: one.failed_check for one in rounds} == {n: check_failure(whole, [n]) for n in range(1, 5)}
    for one in rounds:
        shown = {name.partition("/")[2]: value for name, value in one.scalars.items()}
        for name, value in expected.loc[one.number].items():
            assert shown.get(name, math.nan) == pytest.approx(value, nan_ok=True), (one.number, name)


def test_figures_of_the_log_have_names_of_their_own(growing_run):
    run = growing_run()
    run.grow()
    scalars = RunFollower(run.path).poll().rounds[0].scalars
    assert scalars["recall/class_1"] == 0.5
    assert scalars["clients/asked"] == 2
    assert scalars["interference/cancellation/conv1"] == 0.8
    assert scalars["density/density_clients/fc"] == 0.1
    assert scalars["overlap/same_class_expected_iou"] == pytest.approx(0.2)
    assert "clients/train_loss" not in scalars  # the clients of this run reported none


def test_a_part_is_read_once_and_large_tables_never(growing_run, monkeypatch):
    read = []
    read_part = run_reader._read_part
    monkeypatch.setattr(run_reader, "_read_part", lambda path, schema: read.append(path) or read_part(path, schema))
    run = growing_run()
    follower = RunFollower(run.path)
    for _ in range(3):
        run.grow()
        follower.poll()
        follower.poll()
    assert len(read) == len(set(read))
    assert {path.name for path in read} == {"round-0001.parquet", "round-0002.parquet", "round-0003.parquet"}
    assert {"edges", "masks"}.isdisjoint(path.parent.name for path in read)


def test_a_round_that_is_being_written_is_not_looked_at(growing_run):
    run = growing_run()
    run.grow()
    part_path(run.path, "clients", 2).write_bytes(b"half a part")
    progress = follow_to_end(run.path)
    assert [one.number for one in progress.rounds] == [1]
    assert not progress.is_over


def test_what_cannot_be_read_now_is_read_later(growing_run):
    run = growing_run()
    run.grow(2)
    follower = RunFollower(run.path)
    follower.poll()
    part = part_path(run.path, "accuracy", 2)
    hidden = part.rename(part.with_suffix(".hidden"))
    with pytest.raises(RunLogError, match="round-0002"):
        follower.poll()
    hidden.rename(part)
    assert [one.number for one in follower.poll().rounds] == [1, 2]


def test_a_round_takes_the_time_between_its_end_and_the_end_of_the_one_before(growing_run):
    run = growing_run()
    run.log.note(started="2026-01-01T00:00:00+00:00")
    start = 1767225600.0
    run.grow(3)
    for server_round, seconds in ((1, 20.0), (2, 50.0), (3, 50.0)):
        run.end_round_at(server_round, start + seconds)
    assert [one.seconds for one in follow_to_end(run.path).rounds] == [20.0, 30.0, None]


def test_a_round_after_a_resumption_begins_with_it(growing_run):
    run = growing_run()
    run.grow(2)
    run.end_round_at(1, 1767225600.0)
    run.end_round_at(2, 1767225600.0 + 7200)
    run.log.note(resumed=[{"round": 1, "time": "2026-01-01T01:59:00+00:00"}])
    assert follow_to_end(run.path).rounds[1].seconds == 60.0


def test_reasons_of_rejected_replies_name_the_client_and_are_harmless(growing_run):
    def reject(server_round, tables):
        tables["clients"][1] |= {"accepted": False, "reason": "[red]bad\x1b[2J\n" + "x" * 1000}

    run = growing_run(reject)
    run.log.note(clients=[{"partition_id": 1, "label": "ward 3"}])
    run.grow()
    (said,) = RunFollower(run.path).poll().rounds[0].rejected
    assert said.startswith("partition 1 (ward 3): [red]bad [2J xxx")
    assert len(said) == 300
    assert said.isprintable()


def test_a_run_that_has_vanished_is_an_error(tmp_path: Path):
    with pytest.raises(RunLogError, match="cannot be read"):
        RunFollower(tmp_path).poll()
