"""Whatever clients send, the strategy survives: random damage to sound replies, through the whole of a round."""

import copy
from contextlib import nullcontext, suppress

import pytest
from federation import InProcessGrid
from flwr.app import ConfigRecord, Message
from hostile import NUM_CLIENTS, HostileRound, MemoryLog
from hypothesis import given, settings
from hypothesis import strategies as st
from mutations import mutations
from tiny_runs import TINY

from fedcircuits.errors import FederationError
from fedcircuits.records import Key
from strategies.roster import Roster

CLIENTS = st.dictionaries(st.integers(0, NUM_CLIENTS - 1), mutations(), min_size=1)


@pytest.fixture(scope="module")
def hostile_round(make_settings) -> HostileRound:
    small = {"channels": "2,3", "circuit-classes": "0,1", "train-limit": 60, "heldout-limit": 60}
    return HostileRound(make_settings({**TINY, **small, "min-accepted-fraction": 0.0}))


def damaging(faults):
    """Return what damages the replies of some partitions."""

    def change(replies: list[Message]) -> list[Message]:
        return [message for reply in replies for message in faults.get(partition_of(reply), list_of)(reply)]

    return change


def partition_of(reply: Message) -> int:
    """Return whose reply it is; of a phase that asks some clients only, their place says nothing."""
    return reply.content[Key.UPDATE][Key.PARTITION_ID]


def list_of(reply: Message) -> list[Message]:
    return [reply]


def assert_whole(log: MemoryLog) -> None:
    """A round has one row for every client, and numbers that are finite where it has numbers."""
    rows = log.tables["clients"].to_pylist()
    assert [row["partition_id"] for row in rows] == list(range(NUM_CLIENTS))
    assert all(row["accepted"] or row["reason"] for row in rows)
    assert all(row["reason"] is None or (row["reason"].isprintable() and len(row["reason"]) < 600) for row in rows)
    assert all(value.isfinite().all() for value in log.weights.values())


def run(attempt, num_hit: int) -> None:
    """Attempt a round; it may only end where nobody is left that could be averaged."""
    with nullcontext() if num_hit < NUM_CLIENTS else suppress(FederationError):
        assert_whole(attempt())


@given(faults=CLIENTS)
def test_no_damage_to_train_replies_stops_a_round_or_gets_into_the_average(hostile_round, faults):
    run(lambda: hostile_round.attempt(in_train=damaging(faults)), len(faults))


@settings(max_examples=30)
@given(faults=CLIENTS)
def test_no_damage_to_evaluate_replies_stops_a_round(hostile_round, faults):
    run(lambda: hostile_round.attempt(in_evaluate=damaging(faults)), len(faults))


@pytest.mark.long
@settings(max_examples=1000)
@given(in_train=CLIENTS, in_evaluate=CLIENTS)
def test_no_damage_in_both_phases_stops_a_round_however_long_one_tries(hostile_round, in_train, in_evaluate):
    hit = len(in_train.keys() | in_evaluate.keys())
    run(lambda: hostile_round.attempt(damaging(in_train), damaging(in_evaluate)), hit)


@given(faults=CLIENTS)
def test_no_damage_to_introductions_at_the_start_ends_in_anything_but_a_plain_reason(hostile_round, faults):
    grid = AnsweringGrid(hostile_round.introductions())
    for partition_id, node in enumerate(grid.answers):
        if partition_id in faults:
            grid.answers[node] = faults[partition_id](grid.answers[node][0])
    roster = Roster(ConfigRecord({"config": "x"}), 10, 0)
    roster.refresh(grid, 1)
    try:
        roster.check_complete(1)
    except FederationError as error:
        reason = str(error)
        assert reason.replace("\n", " ").isprintable()
    else:
        assert roster.sample(1, 1.0) == (list(range(NUM_CLIENTS)), [])


@given(fault=mutations())
def test_no_damage_to_a_nodes_introduction_does_more_than_keep_it_out(hostile_round, fault):
    """Before a run is complete it is told why; afterwards everybody else goes on."""
    introductions = hostile_round.introductions()
    grid = AnsweringGrid(introductions)
    roster = Roster(ConfigRecord({"config": "x"}), 10, 0)
    roster.refresh(grid, 1)
    roster.check_complete(1)
    stranger = 987
    grid.answers[stranger] = [copy.deepcopy(introductions[min(introductions)])]
    grid.answers[stranger][0].metadata._src_node_id = stranger
    grid.answers[stranger] = fault(grid.answers[stranger][0])
    roster.refresh(grid, 1)
    assert roster.clients.num_partitions == NUM_CLIENTS
    assert roster.sample(1, 1.0) == (list(range(NUM_CLIENTS)), [])


class AnsweringGrid(InProcessGrid):
    """Nodes whose answers are given, whatever they are asked."""

    def __init__(self, introductions: dict[int, Message]) -> None:
        super().__init__(0)
        self.answers = {node: [copy.deepcopy(message)] for node, message in introductions.items()}

    def get_node_ids(self):
        return list(self.answers)

    def send_and_receive(self, messages, *, timeout=None):
        return [answer for message in messages for answer in self.answers[message.metadata.dst_node_id]]
