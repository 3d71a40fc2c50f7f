"""A round of the real strategy, fed with replies that were sound before a test changed them."""

import copy
from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa
from federation import InProcessGrid
from flwr.app import ConfigRecord, Message, MessageType, RecordDict

from fedcircuits.data.datasets import load_dataset
from fedcircuits.federation.messages import encode_config, encode_weights
from fedcircuits.networks.cnn import initial_weights
from fedcircuits.records import TABLES, Key
from fedcircuits.seeding import Purpose, torch_generator
from fedcircuits.settings import Settings
from strategies.observed import CircuitObserver
from strategies.observer import RoundObserver
from strategies.registry import build_strategy
from strategies.roster import Roster

NUM_CLIENTS = 3

Replies = list[Message]
Change = Callable[[Replies], Replies]


class MemoryLog:
    """Takes a round as a run log does, by the schemas of its tables, and keeps it."""

    def __init__(self) -> None:
        self.tables: dict[str, pa.Table] = {}
        self.weights: Mapping[str, Any] = {}

    def write_round(self, server_round, tables, weights, state):
        for name, schema in TABLES.items():
            rows = tables.get(name, ())
            self.tables[name] = rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(list(rows), schema)
        self.weights = weights


class HostileRound:
    """The first round of a federation whose clients have answered once; every attempt starts from the same replies."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.spec = settings, settings.spec
        self._dataset = load_dataset(settings.data, settings.run.seed)
        self._grid = InProcessGrid(NUM_CLIENTS, seed=0)
        self._config = encode_config(settings)
        self.roster = Roster(self._config, self.spec.num_classes, settings.run.seed)
        self.roster.wait(self._grid, 30)
        self.roster.check_complete(30)
        weights = initial_weights(self.spec, torch_generator(settings.run.seed, Purpose.INITIAL_WEIGHTS))
        self._arrays = encode_weights(weights)
        self._answers: dict[tuple[str, int], RecordDict] = {}
        self.attempt()

    def introductions(self) -> dict[int, Message]:
        """Return what each node says about itself, by node id."""
        queries = [
            Message(RecordDict({Key.CONFIG: self._config}), dst_node_id=node, message_type=MessageType.QUERY)
            for node in self._grid.contexts
        ]
        return {reply.metadata.src_node_id: reply for reply in self._grid.send_and_receive(queries)}

    def attempt(self, in_train: Change = list, in_evaluate: Change = list) -> MemoryLog:
        """Run the round with changed replies and return what it logged."""
        log = MemoryLog()
        observer = RoundObserver(self.settings, self.spec, self._dataset, self.roster.clients, log)
        strategy = build_strategy(self.settings, self.spec, self.roster, observer)
        asked = strategy.configure_train(1, self._arrays, ConfigRecord(dict(self._config)), self._grid)
        arrays, _ = strategy.aggregate_train(1, in_train(self._replies(asked)))
        self._finish(strategy, arrays, in_evaluate)
        return log

    def _finish(self, strategy: CircuitObserver, arrays: Any, in_evaluate: Change) -> None:
        asked = strategy.configure_evaluate(1, arrays, ConfigRecord(dict(self._config)), self._grid)
        strategy.aggregate_evaluate(1, in_evaluate(self._replies(asked)))

    def _replies(self, asked: list[Message]) -> Replies:
        """Answer messages as the clients did, once; only circuits of the global model then are of another model."""
        replies = []
        for number, message in enumerate(asked):
            partition_id = self._grid.contexts[message.metadata.dst_node_id].node_config["partition-id"]
            key = (message.metadata.message_type, partition_id)
            if key not in self._answers:
                (reply,) = self._grid.send_and_receive([message])
                self._answers[key] = reply.content
            message.metadata._message_id = f"{message.metadata.message_type} {number}"
            replies.append(Message(copy.deepcopy(self._answers[key]), reply_to=message))
        return replies
