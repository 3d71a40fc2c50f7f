"""Replies that are false in ways that random damage hardly hits upon, and what the log and the console say of them."""

import errno
import logging
import math

import pytest
import torch
from federation import InProcessGrid
from flwr.app import Array, ArrayRecord, ConfigRecord, Error, Message, MessageType, RecordDict
from hostile import NUM_CLIENTS, HostileRound
from tiny_runs import TINY, table

from analysis.__main__ import main
from fedcircuits.errors import FederationError, RunLogError
from fedcircuits.records import Key
from fedcircuits.runlog import writer as run_log
from fedcircuits.runlog.checkpoints import read_checkpoint
from fedcircuits.runlog.reader import read_info
from strategies import introductions

BAD = 1


@pytest.fixture(scope="module")
def hostile_round(make_settings) -> HostileRound:
    small = {"channels": "2,3", "circuit-classes": "0,1", "train-limit": 60, "heldout-limit": 60}
    return HostileRound(make_settings({**TINY, **small}))


def row_of(log, partition_id):
    return log.tables["clients"].to_pylist()[partition_id]


def by_partition_one(change):
    """Let partition 1 reply otherwise."""

    def damaged(replies: list[Message]) -> list[Message]:
        change(replies[BAD].content)
        return replies

    return damaged


def filled(number):
    def change(content):
        arrays = dict(content[Key.ARRAYS].items())
        arrays["fc.bias"] = Array(torch.full((10,), number).numpy())
        content[Key.ARRAYS] = ArrayRecord(arrays)

    return change


def with_value(record, key, value):
    def change(content):
        content[record][key] = value

    return change


@pytest.mark.parametrize("number", [math.nan, math.inf, 1e30, -1e5])
def test_weights_that_would_spoil_the_average_are_left_out_of_it(hostile_round, number):
    spoilt = hostile_round.attempt(in_train=by_partition_one(filled(number)))
    without = hostile_round.attempt(in_train=lambda replies: [replies[0], replies[2]])
    assert all(torch.equal(spoilt.weights[name], without.weights[name]) for name in spoilt.weights)
    assert row_of(spoilt, BAD)["reason"].startswith("weights: fc.bias has values")


def test_the_largest_weights_that_are_believed_still_give_a_round_of_finite_numbers(hostile_round):
    log = hostile_round.attempt(in_train=by_partition_one(filled(1e4)))
    assert row_of(log, BAD)["accepted"]
    assert all(value.isfinite().all() for value in log.weights.values())
    for name, rows in log.tables.items():
        for column in rows.to_pydict().values():
            assert all(math.isfinite(value) for value in column if isinstance(value, float)), name


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (with_value(Key.METRICS, Key.NUM_EXAMPLES, 10**9), "but the client holds 20 images"),
        (with_value(Key.METRICS, Key.PLAIN_WEIGHT, 0.0), "plain-weight must be 1.0"),
        (with_value(Key.METRICS, Key.EVALUATE_SECONDS, math.nan), "evaluate-seconds = nan"),
        (with_value(Key.UPDATE, Key.PARTITION_ID, 2), "claims to be partition 2"),
        (with_value(Key.UPDATE, Key.PARTITION_ID, 2**62), "claims to be partition"),
        (with_value(Key.UPDATE, "more", bytes(10**6)), "bytes, at most"),
    ],
)
def test_a_bad_view_costs_itself_only(hostile_round, change, reason):
    log = hostile_round.attempt(in_evaluate=by_partition_one(change))
    row = row_of(log, BAD)
    assert row["accepted"]  # its training was sound
    assert row["reason"].startswith("evaluate: ")
    assert reason in row["reason"]
    assert row["evaluate_seconds"] is None
    assert all(row_of(log, good)["evaluate_seconds"] is not None for good in (0, 2))


@pytest.mark.parametrize("partition_id", [2, 17, -1, 2**62])
def test_a_claim_to_be_another_partition_is_refused_also_if_there_is_none_of_that_number(hostile_round, partition_id):
    log = hostile_round.attempt(in_train=by_partition_one(with_value(Key.UPDATE, Key.PARTITION_ID, partition_id)))
    assert row_of(log, BAD)["reason"] == f"claims to be partition {partition_id}"
    assert [row_of(log, good)["accepted"] for good in (0, 2)] == [True, True]


def test_a_reply_that_is_far_too_large_is_refused_before_its_arrays_are_read(hostile_round, monkeypatch):
    big = Array(torch.zeros(2**20).numpy())
    read, decode = [], Array.numpy
    monkeypatch.setattr(Array, "numpy", lambda array: read.append(array) or decode(array))

    def inflate(content):
        content[Key.ARRAYS]["fc.bias"] = big

    log = hostile_round.attempt(in_train=by_partition_one(inflate))
    assert "bytes, at most" in row_of(log, BAD)["reason"]
    assert read
    assert big not in read


@pytest.fixture
def console(caplog, monkeypatch):
    """The project's warnings, as they are printed."""
    monkeypatch.setattr(logging.getLogger("fedcircuits"), "propagate", True)
    with caplog.at_level(logging.WARNING, logger="fedcircuits"):
        yield lambda: [record.getMessage() for record in caplog.records if record.name == "fedcircuits"]


def test_nothing_that_a_client_writes_reaches_console_or_log_as_it_is(hostile_round, console):
    evil = "\x1b]0;owned\x07\x1b[2J\u202e\r\nround 9/9 | all is well"
    log = hostile_round.attempt(
        in_train=by_partition_one(lambda content: content[Key.ARRAYS].update({evil: Array(torch.ones(1).numpy())})),
    )
    view = hostile_round.attempt(in_train=by_partition_one(with_value(Key.NEGATIVES, Key.NEGATIVES, evil)))
    said = console()
    assert [line for line in said if "partition 1" in line]
    assert all(line.isprintable() for line in said)
    assert row_of(log, BAD)["reason"].isprintable()
    assert row_of(view, BAD)["reason"].isprintable()


def test_what_a_node_gives_as_its_problem_is_printed_without_its_escape_sequences(federate):
    def tamper(reply: Message, partition_id: int) -> Message:
        if reply.metadata.message_type == MessageType.QUERY and partition_id == 1:
            reply.content[Key.NODE][Key.PROBLEM] = "2 problems:\n  - \x1b[2Jone\n  - two\x07"
        return reply

    with pytest.raises(FederationError) as caught:
        federate(InProcessGrid(2, tamper))
    assert "  - partition 1: 2 problems:\n  - one\n  - two" in str(caught.value)
    assert read_info(federate.directory)["reason"].replace("\n", " ").isprintable()


def test_an_introduction_that_breaks_the_decoder_is_a_refusal(federate, monkeypatch):
    def explode(*_):
        raise OverflowError("too large\x07")

    monkeypatch.setattr(introductions, "decode_node", explode)
    with pytest.raises(FederationError, match=r"does not speak this project's messages: OverflowError: too large$"):
        federate(InProcessGrid(1), node_timeout_s=0.5)


def failing(code, reason):
    def tamper(reply: Message, partition_id: int) -> Message:
        question = Message(RecordDict(), dst_node_id=reply.metadata.src_node_id, message_type=MessageType.QUERY)
        question.metadata._message_id = reply.metadata.reply_to_message_id
        return Message(Error(code=code, reason=reason), reply_to=question)

    return tamper


@pytest.mark.parametrize("reason", ["No module named 'fedcircuits.data'", "Can't get attribute 'query' on <module …>"])
def test_code_of_another_app_is_recognised_at_once_whatever_code_the_error_has(federate, reason):
    with pytest.raises(FederationError, match="clients cannot start") as caught:
        federate(InProcessGrid(2, failing(0, f"ray: {reason}")), node_timeout_s=60)
    assert reason in str(caught.value)
    assert "modules of the same names as this app's" in str(caught.value)


def test_what_nodes_failed_with_is_said_if_none_ever_answers(federate):
    with pytest.raises(FederationError, match=r"no SuperNode answered within 0\.6 s .*\n  - the actor died$") as caught:
        federate(InProcessGrid(2, failing(0, "the actor\x07 died")), node_timeout_s=0.6)
    assert 'flwr run . --federation-config "num-supernodes=' in str(caught.value)
    assert "flower-supernode --superlink HOST:PORT" in str(caught.value)


def test_a_node_that_introduces_itself_as_one_of_billions_does_not_cost_the_server_its_memory(federate):
    def tamper(reply: Message, partition_id: int) -> Message:
        if reply.metadata.message_type == MessageType.QUERY:
            reply.content[Key.NODE][Key.NUM_PARTITIONS] = 10**12
        return reply

    with pytest.raises(FederationError, match="num-partitions = 1000000000000: must be 1 to 1000000"):
        federate(InProcessGrid(1, tamper), node_timeout_s=0.5)


def test_of_many_missing_partitions_the_first_are_named(federate):
    with pytest.raises(FederationError, match=r"partitions \[2, 3, .*, 21, …\] are missing") as caught:
        federate(InProcessGrid(2, num_missing=80), node_timeout_s=0.5, train_limit=100)
    assert "flower-supernode --superlink HOST:PORT --node-config 'partition-id=2 num-partitions=82'" in str(
        caught.value
    )
    assert '--run-config "node-timeout-s=1"' in str(caught.value)


def test_a_run_with_a_hostile_client_ends_completed_and_says_of_every_round_why_it_was_left_out(federate, console):
    def tamper(reply: Message, partition_id: int) -> Message:
        if reply.metadata.message_type == MessageType.TRAIN and partition_id == BAD:
            reply.content[Key.UPDATE] = ConfigRecord({Key.PARTITION_ID: BAD, Key.PARAMETER_MASK: b"\xff"})
        return reply

    run = federate(InProcessGrid(NUM_CLIENTS, tamper))
    assert read_info(run)["status"] == "completed"
    clients = table(run, "clients")
    assert (clients.groupby(["round", "partition_id"]).size() == 1).all()
    reasons = clients.query("partition_id == @BAD")["reason"]
    assert reasons.str.startswith("parameter mask: 1 bytes of bits").all()
    assert len(reasons) == 2
    assert all(value.isfinite().all() for value in read_checkpoint(run, 2).values())
    for number in (1, 2):
        assert f"round {number}: partition 1 rejected: {reasons.iloc[0]}" in console()


def test_a_run_whose_log_cannot_be_written_ends_with_that_reason_and_no_other(federate, monkeypatch, console):
    write = run_log.write_whole

    def fill_the_disk(path, fill):
        if path.parent.name == "accuracy" or is_full:
            is_full.append(path)
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write(path, fill)

    is_full = []
    monkeypatch.setattr(run_log, "write_whole", fill_the_disk)
    with pytest.raises(RunLogError, match=r"^round 1 cannot be written: .*No space left on device.*accuracy"):
        federate(InProcessGrid(2))
    words = (
        "run.json does not say that the run has failed, so status will call it interrupted: run.json cannot be written"
    )
    assert any(words in line for line in console())
    assert read_info(federate.directory)["status"] == "running"
    assert main(["status", str(federate.directory)]) == 1


def test_a_run_whose_disk_was_full_once_is_marked_as_failed(federate, monkeypatch):
    def fill_the_disk(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(run_log, "_write_part", fill_the_disk)
    with pytest.raises(RunLogError, match="round 1 cannot be written"):
        federate(InProcessGrid(2))
    info = read_info(federate.directory)
    assert (info["status"], info["last_round"]) == ("failed", 0)
    assert "No space left on device" in info["reason"]
    assert main(["status", str(federate.directory)]) == 1
