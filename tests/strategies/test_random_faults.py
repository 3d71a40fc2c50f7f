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
from strategies.roster import Roster

CLIENTS = st.dictionaries(st.integers(0, NUM_CLIENTS - 1), mutations(), min_size=1)


@pytest.fixture(scope="module")
def hostile_round(make_settings) -> HostileRound:
    small = {"channels": "2,3", "circuit-classes": "0,1", "train-limit": 60, "heldout-limit": 60}
    return HostileRound(make_settings({**TINY, **small, "min-accepted-fraction": 0.0}))


def damaging(faults):
    """Return what damages the replies of some partitions."""

    def change(replies: list[Message]) -> list[Message]:
        return [
            message
            for partition_id, reply in enumerate(replies)
            for message in faults.get(partition_id, list_of)(reply)
        ]

    return change


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


@settings(max_examples=100)
@given(faults=CLIENTS)
def test_no_damage_to_train_replies_stops_a_round_or_gets_into_the_average(hostile_round, faults):
    run(lambda: hostile_round.attempt(in_train=damaging(faults)), len(faults))


@settings(max_examples=60)
@given(faults=CLIENTS)
def test_no_damage_to_evaluate_replies_stops_a_round(hostile_round, faults):
    run(lambda: hostile_round.attempt(in_evaluate=damaging(faults)), len(faults))


@settings(max_examples=60)
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
    assert roster.num_partitions == NUM_CLIENTS
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
