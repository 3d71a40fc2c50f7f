"""The window around a simulation's grid: few messages at a time, every reply in the end."""

import pytest
from flwr.app import ConfigRecord, Message, MessageType, RecordDict
from flwr.serverapp import Grid
from flwr.supercore.task_identity import TaskIdentity
from flwr.superlink.grid import InMemoryGrid

from strategies import window
from strategies.window import WindowedGrid, eased


class SlowGrid(Grid):
    """Answers `per_look` of the messages that wait, at each look; never those to `silent` nodes."""

    def __init__(self, per_look: int, silent: int | None = None) -> None:
        TaskIdentity.task_id, TaskIdentity.run_id, TaskIdentity.node_id = 1, 1, 1
        self.per_look, self.silent = per_look, silent
        self.unanswered: dict[str, Message] = {}
        self.most_unanswered = 0
        self.num_pushed = 0

    def push_messages(self, messages):
        ids = []
        for message in messages:
            self.num_pushed += 1
            message.metadata._message_id = str(self.num_pushed)
            self.unanswered[message.metadata.message_id] = message
            ids.append(message.metadata.message_id)
        self.most_unanswered = max(self.most_unanswered, len(self.unanswered))
        return ids

    def pull_messages(self, message_ids):
        assert set(message_ids) == set(self.unanswered)
        due = [one for one in self.unanswered.values() if one.metadata.dst_node_id != self.silent][: self.per_look]
        for message in due:
            del self.unanswered[message.metadata.message_id]
        return [Message(RecordDict(), reply_to=message) for message in due]

    def get_node_ids(self):
        return [7, 8]

    def send_and_receive(self, messages, *, timeout=None):
        raise NotImplementedError

    create_message = set_run = run = None  # type: ignore[assignment]


class NextGrid(SlowGrid):
    """The same with the signature that Flower has announced for 1.43."""

    def pull_messages(self, reply_to_message_ids=None, *, message_ids=None):
        assert message_ids is None
        return super().pull_messages(reply_to_message_ids)


@pytest.fixture(autouse=True)
def _no_sleep(monkeypatch):
    monkeypatch.setattr(window, "_POLL_S", 0)
    monkeypatch.setattr(window, "_STEPS_PER_LOOK", 8)  # of the two nodes that there are: four messages


def queries(num: int) -> list[Message]:
    SlowGrid(0)  # Flower lets nobody write messages who has no identity
    content = RecordDict({"config": ConfigRecord({"a": 1})})
    return [Message(content, dst_node_id=node, message_type=MessageType.QUERY) for node in range(10, 10 + num)]


@pytest.mark.parametrize("kind", [SlowGrid, NextGrid])
@pytest.mark.parametrize("per_look", [1, 3, 100])
def test_every_message_is_answered_and_few_wait_at_a_time(kind, per_look):
    grid = kind(per_look)
    replies = WindowedGrid(grid, 1).send_and_receive(queries(10), timeout=60)
    assert sorted(reply.metadata.src_node_id for reply in replies) == list(range(10, 20))
    assert grid.most_unanswered == 4


@pytest.mark.parametrize(("kind", "name"), [(SlowGrid, "message_ids"), (NextGrid, "reply_to_message_ids")])
def test_replies_are_asked_for_in_the_words_of_either_flower(kind, name):
    grid = kind(100)
    windowed = WindowedGrid(grid, 1)
    ids = windowed.push_messages(queries(2))
    assert len(windowed.pull_messages(**{name: ids})) == 2


def test_workers_get_their_messages_however_many_nodes_there_are():
    grid = SlowGrid(1)
    WindowedGrid(grid, 6).send_and_receive(queries(10), timeout=60)
    assert grid.most_unanswered == 6


def test_a_node_that_never_answers_costs_its_place_and_the_time_but_no_other_reply():
    grid = SlowGrid(100, silent=10)
    replies = WindowedGrid(grid, 1).send_and_receive(queries(5), timeout=0.05)
    assert sorted(reply.metadata.src_node_id for reply in replies) == [11, 12, 13, 14]


def test_what_was_not_sent_in_time_is_not_sent():
    grid = SlowGrid(0)
    assert WindowedGrid(grid, 1).send_and_receive(queries(5), timeout=0.02) == []
    assert grid.num_pushed == 4


def test_no_messages_are_no_replies_at_once():
    assert WindowedGrid(SlowGrid(1), 4).send_and_receive([]) == []


def test_only_a_simulation_gets_a_window():
    grid = SlowGrid(1)
    assert eased(grid) is grid
    simulated = object.__new__(InMemoryGrid)
    assert isinstance(eased(simulated), WindowedGrid)


def test_nodes_are_those_of_the_grid():
    assert list(WindowedGrid(SlowGrid(1), 4).get_node_ids()) == [7, 8]
