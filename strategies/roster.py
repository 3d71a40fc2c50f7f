"""Which node is which client: Flower's node ids are random, partition ids are stable.

Every node is asked once which partition it is, what it holds and which code it runs. From then on clients are
addressed, sampled and ordered by partition id, which is what makes rounds reproducible.
"""

import time
from collections.abc import Iterable, Sequence
from typing import cast

from flwr.app import ConfigRecord, Message, MessageType, RecordDict
from flwr.serverapp import Grid

from fedcircuits.digest import code_digest
from fedcircuits.errors import FederationError, ReplyError
from fedcircuits.messages import decode_node
from fedcircuits.records import Key
from fedcircuits.replies import NodeInfo
from fedcircuits.seeding import Purpose, numpy_generator
from strategies.screening import one_line

_POLL_S = 0.5


class Roster:
    """The nodes of a federation and the partitions they serve."""

    def __init__(self, config: ConfigRecord, seed: int) -> None:
        self._config = config
        self._seed = seed
        self._nodes: dict[int, NodeInfo] = {}

    @property
    def partitions(self) -> list[int]:
        """Partition ids of the nodes known at present, ascending."""
        return sorted(info.partition_id for info in self._nodes.values())

    @property
    def num_partitions(self) -> int:
        """Number of clients that the federation is made of; 0 until a node has answered."""
        return max((info.num_partitions for info in self._nodes.values()), default=0)

    def class_counts(self, partition_id: int) -> list[int]:
        """Return the images of each class that a client holds."""
        return self._nodes[self.node_id(partition_id)].class_counts

    def node_id(self, partition_id: int) -> int:
        """Return the node that serves a partition."""
        return next(node for node, info in self._nodes.items() if info.partition_id == partition_id)

    def wait(self, grid: Grid, timeout_s: float) -> None:
        """Wait until every client of the federation has been heard.

        How many there are, the nodes themselves say (`num-partitions`).

        Raises:
            FederationError: if some are missing when the time is up, if a node fails or runs other code, or if two
                nodes serve the same partition.
        """
        deadline = time.monotonic() + timeout_s
        while not self._nodes or len(self._nodes) < self.num_partitions:
            self.refresh(grid, max(deadline - time.monotonic(), 1.0))
            if time.monotonic() > deadline:
                break
            if not self._nodes or len(self._nodes) < self.num_partitions:
                time.sleep(_POLL_S)
        if not self._nodes:
            raise FederationError(
                f"no SuperNode answered within {timeout_s:g} s (node-timeout-s). In simulation check the federation's "
                "num-supernodes; in deployment start SuperNodes that point at this SuperLink."
            )
        missing = sorted(set(range(self.num_partitions)) - set(self.partitions))
        if missing:
            raise FederationError(
                f"only {len(self._nodes)} of {self.num_partitions} clients answered within {timeout_s:g} s "
                f"(node-timeout-s); partitions {missing} are missing. Start a SuperNode for each of them with "
                f"--node-config 'partition-id={missing[0]} num-partitions={self.num_partitions}'."
            )

    def check_ready(self) -> None:
        """Check that every client known can take part.

        Raises:
            FederationError: with the problems of all that cannot.
        """
        partitions_by_problem: dict[str, list[int]] = {}
        for info in self._nodes.values():
            if info.problem:
                partitions_by_problem.setdefault(info.problem, []).append(info.partition_id)
        if partitions_by_problem:
            lines = [f"  - partitions {sorted(ids)}: {problem}" for problem, ids in partitions_by_problem.items()]
            raise FederationError("clients cannot start:\n" + "\n".join(lines))

    def refresh(self, grid: Grid, timeout_s: float) -> None:
        """Forget nodes that are gone and ask new ones who they are.

        Raises:
            FederationError: as `wait`, apart from missing nodes.
        """
        present = set(grid.get_node_ids())
        self._nodes = {node: info for node, info in self._nodes.items() if node in present}
        new = sorted(present - set(self._nodes))
        if not new:
            return
        content = RecordDict({Key.CONFIG: self._config})
        queries = [Message(content, dst_node_id=node, message_type=MessageType.QUERY) for node in new]
        for reply in grid.send_and_receive(queries, timeout=timeout_s):
            self._admit(reply)

    def sample(self, server_round: int, fraction: float) -> list[int]:
        """Return the partitions that take part in a round, ascending: at least one, the same for the same seed.

        Raises:
            FederationError: if no client is left.
        """
        partitions = self.partitions
        if not partitions:
            raise FederationError(f"round {server_round}: no client is left")
        size = max(1, round(fraction * len(partitions)))
        generator = numpy_generator(self._seed, Purpose.SAMPLING, server_round=server_round)
        return sorted(int(p) for p in generator.choice(partitions, size=size, replace=False))

    def _admit(self, reply: Message) -> None:
        """Enter a node that answered, unless it does not belong here."""
        node = reply.metadata.src_node_id
        if reply.has_error():
            raise FederationError(f"a client cannot start: {one_line(reply.error.reason)}")
        try:
            info = decode_node(reply.content)
        except ReplyError as error:
            raise FederationError(f"node {node} does not speak this project's messages: {error}") from error
        if info.code_digest != code_digest():
            raise FederationError(
                f"partition {info.partition_id} runs other code than the server (digest {info.code_digest[:12]}, "
                f"server {code_digest()[:12]}). Install the same version everywhere; in simulation, a background "
                "SuperLink that was started in another folder serves that folder's code: stop it and run again."
            )
        if info.partition_id in self.partitions:
            raise FederationError(f"two nodes serve partition {info.partition_id}; give each its own partition-id")
        self._nodes[node] = info


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
