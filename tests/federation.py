"""A federation in one process: the real apps behind a grid that calls clients directly, for tests without Ray."""

import copy
import itertools
import random
import traceback
from collections.abc import Callable, Iterable
from typing import Any

from flwr.app import Context, Error, Message, RecordDict
from flwr.serverapp import Grid
from flwr.supercore.task_identity import TaskIdentity

from client_app.app import app as client_app

SERVER_NODE = 1
FLOWER_LOST_THE_NODE = 5

Handler = Callable[[Message, Context], Message]
Tamper = Callable[[Message, int], Message | None]


def lost(question: Message) -> Message:
    """Return what Flower answers, in its own name, for a node that it lost."""
    reply = Message(Error(code=FLOWER_LOST_THE_NODE, reason="Node Unavailable"), reply_to=question)
    reply.metadata._src_node_id = SERVER_NODE
    return reply


class InProcessGrid(Grid):
    """Nodes with random ids that answer in random order, as Flower's do.

    Args:
        num_clients: nodes, each with its own partition.
        tamper: gets every reply and its partition id; returns what arrives instead, None = nothing.
        num_missing: nodes that the configuration promises but that never appear.
    """

    def __init__(
        self,
        num_clients: int,
        tamper: Tamper = lambda reply, _: reply,
        num_missing: int = 0,
        handler: Handler = client_app,
        seed: int | None = None,
    ) -> None:
        TaskIdentity.task_id, TaskIdentity.run_id, TaskIdentity.node_id = 1, 1, SERVER_NODE
        self._random = random.Random(seed)
        self._tamper = tamper
        self._handler = handler
        self._ids = itertools.count(1)
        total = num_clients + num_missing
        self.contexts = {
            self._random.getrandbits(60): Context(
                run_id=1,
                node_id=0,
                node_config={"partition-id": partition_id, "num-partitions": total},
                state=RecordDict(),
                run_config={},
            )
            for partition_id in range(num_clients)
        }
        self.sent: list[Message] = []

    def get_node_ids(self) -> Iterable[int]:
        ids = list(self.contexts)
        self._random.shuffle(ids)
        return ids

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        replies = [reply for message in messages if (reply := self._deliver(message)) is not None]
        self._random.shuffle(replies)
        return replies

    def _deliver(self, message: Message) -> Message | None:
        message.metadata._message_id = str(next(self._ids))
        self.sent.append(message)
        context = self.contexts.get(message.metadata.dst_node_id)
        if context is None:
            return lost(message)
        received = Message(content=copy.deepcopy(message.content), metadata=message.metadata)
        try:
            reply = self._handler(received, context)
        except Exception:
            reply = Message(Error(code=2, reason=traceback.format_exc(limit=1)), reply_to=message)
        return self._tamper(reply, int(context.node_config.get("partition-id", -1)))

    def set_run(self, run: Any) -> None:
        raise NotImplementedError

    @property
    def run(self) -> Any:
        raise NotImplementedError

    def create_message(self, *args: Any, **kwargs: Any) -> Message:
        raise NotImplementedError

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        raise NotImplementedError

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        raise NotImplementedError
