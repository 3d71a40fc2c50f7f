"""Which node is which client: Flower's node ids are random, partition ids are stable.

Every node is asked once which partition it is, what it holds and which code it runs. From then on clients are
addressed, sampled and ordered by partition id, which is what makes rounds reproducible.
"""

import logging
import time
from collections.abc import Iterable, Sequence
from typing import cast

from flwr.app import ConfigRecord, Message, MessageType, RecordDict
from flwr.serverapp import Grid

from fedcircuits.data.labels import is_label
from fedcircuits.errors import FederationError
from fedcircuits.records import Key
from fedcircuits.seeding import Purpose, numpy_generator
from fedcircuits.settings import round_size
from fedcircuits.settings.privacy import OPEN, PrivacySettings
from strategies.clients import Clients
from strategies.introductions import PassingError, misfit, read_introduction
from strategies.refusals import Refusal, by_reason

_log = logging.getLogger("fedcircuits")

_POLL_S = 0.5

_MOST_NAMED = 20
"""Missing partitions that a message names."""


class Roster:
    """The nodes of a federation and the partitions they serve; `clients` has what these hold.

    Args:
        config: the settings as clients get them, for the query.
        num_classes: classes of the dataset.
        seed: seed of the run, for sampling.
        privacy: says what clients tell of what they hold.
    """

    def __init__(self, config: ConfigRecord, num_classes: int, seed: int, privacy: PrivacySettings = OPEN) -> None:
        self.clients = Clients()
        self._config = config
        self._num_classes = num_classes
        self._seed = seed
        self._privacy = privacy
        self._partition_of: dict[int, int] = {}
        self._node_of: dict[int, int] = {}
        self._refused: dict[int, Refusal] = {}
        self._passing: dict[int, PassingError] = {}
        self._registered_names: dict[int, str] = {}
        self._is_complete = False

    def node_id(self, partition_id: int) -> int:
        """Return the node that serves a partition at present."""
        return self._node_of[partition_id]

    def wait(self, grid: Grid, timeout_s: float) -> None:
        """Wait until every client of the federation has been heard, one cannot take part, or the time is up."""
        deadline = time.monotonic() + timeout_s
        while True:
            left = deadline - time.monotonic()
            self.refresh(grid, max(left, 1.0))
            if left <= 0 or self._refused or 0 < self.clients.num_partitions == len(self._partition_of):
                return
            time.sleep(min(_POLL_S, max(left, 0)))

    def check_complete(self, timeout_s: float) -> None:
        """Check that the federation is complete and can start.

        Raises:
            FederationError: naming the clients that are missing after `timeout_s`, or every reason for which a client
                cannot take part.
        """
        if self._refused:
            raise FederationError("clients cannot start:\n" + "\n".join(by_reason(self._refused.values())))
        if not self._partition_of:
            raise FederationError(
                f"no SuperNode answered within {timeout_s:g} s (node-timeout-s). In simulation say how many there are: "
                'flwr run . --federation-config "num-supernodes=5 client-resources-num-cpus=1"; in deployment start '
                "one for each client, with the options for your SuperLink: flower-supernode --superlink HOST:PORT "
                f"--node-config 'partition-id=0 num-partitions=5'{self._errors()}"
            )
        num_partitions = self.clients.num_partitions
        missing = sorted(set(range(num_partitions)) - set(self._node_of))
        if missing:
            raise FederationError(
                f"only {len(self._partition_of)} of {num_partitions} clients answered within {timeout_s:g} s "
                f"(node-timeout-s); partitions {_shortened(missing)} are missing. In simulation allow more time: "
                f'--run-config "node-timeout-s={2 * timeout_s:g}"; in deployment start a SuperNode for each of them, '
                "with the options for your SuperLink: flower-supernode --superlink HOST:PORT "
                f"--node-config 'partition-id={missing[0]} num-partitions={num_partitions}'{self._errors()}"
            )
        self._is_complete = True

    def refresh(self, grid: Grid, timeout_s: float) -> None:
        """Forget nodes that are gone, and ask new ones who they are; one that does not fit is left out and logged."""
        nodes = list(grid.get_nodes())
        self._registered_names = {node.node_id: node.name for node in nodes if is_label(node.name)}
        present = {node.node_id for node in nodes}
        # A registered node keeps its id: one that was refused, and comes back mended, is asked again.
        self._refused = {node: refusal for node, refusal in self._refused.items() if node in present}
        self._partition_of = {node: partition for node, partition in self._partition_of.items() if node in present}
        self._node_of = {partition: node for node, partition in self._partition_of.items()}
        new = sorted(present - set(self._partition_of) - set(self._refused))
        if not new:
            return
        content = RecordDict({Key.CONFIG: self._config})
        queries = [Message(content, dst_node_id=node, message_type=MessageType.QUERY) for node in new]
        unheard = set(new)
        for reply in grid.send_and_receive(queries, timeout=timeout_s):
            # Flower answers in its own name for nodes that it lost; a node that answers twice is heard once.
            if reply.metadata.src_node_id in unheard:
                unheard.remove(reply.metadata.src_node_id)
                self._admit(reply)

    def sample(self, server_round: int, fraction: float) -> tuple[list[int], list[int]]:
        """Draw the partitions of a round, at least one, from (seed, round) alone.

        Returns:
            Those that can be asked, and those whose node is gone; both ascending.
        """
        size = round_size(fraction, self.clients.num_partitions)
        generator = numpy_generator(self._seed, Purpose.SAMPLING, server_round=server_round)
        drawn = sorted(generator.choice(self.clients.num_partitions, size=size, replace=False).tolist())
        return [p for p in drawn if p in self._node_of], [p for p in drawn if p not in self._node_of]

    def _admit(self, reply: Message) -> None:
        """Enter a node that answered, or note why it cannot take part."""
        node = reply.metadata.src_node_id
        name = self._registered_names.get(node, "")
        info = read_introduction(reply, self._num_classes, self._privacy, name)
        if isinstance(info, PassingError):
            self._passing[node] = info
            return
        if isinstance(info, Refusal):
            self._refuse(node, info)
            return
        self.clients.count(info.num_partitions)
        twin = self._node_of.get(info.partition_id)
        refusal = misfit(info, self.clients.num_partitions, has_twin=twin is not None and not self._is_complete)
        if refusal is not None:
            self._refuse(node, refusal)
            return
        if twin is not None:
            # A client that was restarted comes back under a new id while Flower still lists the old one.
            self._refused[twin] = Refusal(f"replaced by node {node}")
            del self._partition_of[twin]
        self._partition_of[node] = info.partition_id
        self._node_of[info.partition_id] = node
        self.clients.enter(info)

    def _refuse(self, node: int, refusal: Refusal) -> None:
        """Note why a node cannot take part."""
        self._refused[node] = refusal
        if self._is_complete:
            _log.warning("a node that joined cannot take part: %s", refusal)

    def _errors(self) -> str:
        """Return what nodes that did not answer failed with, if they did; one line for each error."""
        reasons = sorted({error.reason for node, error in self._passing.items() if node not in self._partition_of})
        return "".join(f"\n  - {reason}" for reason in reasons)


def _shortened(partitions: list[int]) -> str:
    """Return the list as text, of many the first ones."""
    return str(partitions) if len(partitions) <= _MOST_NAMED else f"{str(partitions[:_MOST_NAMED])[:-1]}, …]"


class SelectedNodes:
    """Shows Flower's strategies the chosen nodes of a round and no others."""

    def __init__(self, node_ids: Sequence[int]) -> None:
        self._node_ids = list(node_ids)

    def get_node_ids(self) -> Iterable[int]:
        """Return the chosen nodes; the one thing that strategies ask a grid for when they configure a round."""
        return list(self._node_ids)

    def as_grid(self) -> Grid:
        """Return this under the type that strategies declare."""
        return cast(Grid, self)
