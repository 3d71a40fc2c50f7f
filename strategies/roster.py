"""Which node is which client: Flower's node ids are random, partition ids are stable.

Every node is asked once which partition it is, what it holds and which code it runs. From then on clients are
addressed, sampled and ordered by partition id, which is what makes rounds reproducible.
"""

import logging
import time
from collections.abc import Iterable, Sequence
from typing import cast

from flwr.app import ConfigRecord, Message, MessageType, RecordDict
from flwr.common.constant import ErrorCode
from flwr.serverapp import Grid

from fedcircuits.digest import code_digest
from fedcircuits.errors import FederationError, ReplyError
from fedcircuits.messages import decode_node
from fedcircuits.privacy import OPEN, PrivacySettings
from fedcircuits.records import Key
from fedcircuits.replies import NodeInfo
from fedcircuits.seeding import Purpose, numpy_generator
from strategies.plain_text import few_lines, one_line

_log = logging.getLogger("fedcircuits")

_POLL_S = 0.5

_MOST_NAMED = 20
"""Missing partitions that a message names."""

_FINAL_ERRORS = frozenset(
    {ErrorCode.LOAD_CLIENT_APP_EXCEPTION, ErrorCode.CLIENT_APP_RAISED_EXCEPTION, ErrorCode.INVALID_FAB}
)
"""Errors that asking again does not mend; others pass, such as a node that is not reachable for a moment."""


class Roster:
    """The nodes of a federation and the partitions they serve.

    Args:
        config: the settings as clients get them, for the query.
        num_classes: classes of the dataset.
        seed: seed of the run, for sampling.
        privacy: says what clients tell of what they hold.
    """

    def __init__(self, config: ConfigRecord, num_classes: int, seed: int, privacy: PrivacySettings = OPEN) -> None:
        self._config = config
        self._num_classes = num_classes
        self._seed = seed
        self._privacy = privacy
        self._nodes: dict[int, NodeInfo] = {}
        self._node_of: dict[int, int] = {}
        self._refused: dict[int, str] = {}
        self._heard: dict[int, NodeInfo] = {}
        self._num_partitions = 0
        self._is_complete = False

    @property
    def num_partitions(self) -> int:
        """Number of clients that the federation is made of, as the nodes say; 0 until one has answered."""
        return self._num_partitions

    @property
    def num_images(self) -> int:
        """Training images that clients hold, counted once for each client that holds them."""
        return sum(info.num_held for info in self._heard.values())

    def num_examples(self, partition_id: int) -> int:
        """Return how many images a client holds, also of one that is gone for the moment."""
        return self._heard[partition_id].num_held

    def class_counts(self, partition_id: int) -> list[int] | None:
        """Return the images of each class that a client holds, also of one that is gone; None if clients do not say."""
        return self._heard[partition_id].class_counts or None

    def node_id(self, partition_id: int) -> int:
        """Return the node that serves a partition at present."""
        return self._node_of[partition_id]

    def wait(self, grid: Grid, timeout_s: float) -> None:
        """Wait until every client of the federation has been heard, one cannot take part, or the time is up."""
        deadline = time.monotonic() + timeout_s
        while True:
            left = deadline - time.monotonic()
            self.refresh(grid, max(left, 1.0))
            if left <= 0 or self._refused or 0 < self._num_partitions == len(self._nodes):
                return
            time.sleep(min(_POLL_S, max(left, 0)))

    def check_complete(self, timeout_s: float) -> None:
        """Check that the federation is complete and can start.

        Raises:
            FederationError: naming the clients that are missing after `timeout_s`, or every reason for which a client
                cannot take part.
        """
        if self._refused:
            reasons = sorted(set(self._refused.values()))
            raise FederationError("clients cannot start:\n" + "\n".join(f"  - {reason}" for reason in reasons))
        if not self._nodes:
            raise FederationError(
                f"no SuperNode answered within {timeout_s:g} s (node-timeout-s). In simulation say how many there are: "
                'flwr run . --federation-config "num-supernodes=5 client-resources-num-cpus=1"; in deployment start '
                "one for each client, with the options for your SuperLink: flower-supernode --superlink HOST:PORT "
                "--node-config 'partition-id=0 num-partitions=5'"
            )
        missing = sorted(set(range(self._num_partitions)) - set(self._node_of))
        if missing:
            raise FederationError(
                f"only {len(self._nodes)} of {self._num_partitions} clients answered within {timeout_s:g} s "
                f"(node-timeout-s); partitions {_shortened(missing)} are missing. In simulation allow more time: "
                f'--run-config "node-timeout-s={2 * timeout_s:g}"; in deployment start a SuperNode for each of them, '
                "with the options for your SuperLink: flower-supernode --superlink HOST:PORT "
                f"--node-config 'partition-id={missing[0]} num-partitions={self._num_partitions}'"
            )
        self._is_complete = True

    def refresh(self, grid: Grid, timeout_s: float) -> None:
        """Forget nodes that are gone, and ask new ones who they are; one that does not fit is left out and logged."""
        present = set(grid.get_node_ids())
        self._nodes = {node: info for node, info in self._nodes.items() if node in present}
        self._node_of = {info.partition_id: node for node, info in self._nodes.items()}
        new = sorted(present - set(self._nodes) - set(self._refused))
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
        size = max(1, round(fraction * self._num_partitions))
        generator = numpy_generator(self._seed, Purpose.SAMPLING, server_round=server_round)
        drawn = sorted(generator.choice(self._num_partitions, size=size, replace=False).tolist())
        return [p for p in drawn if p in self._node_of], [p for p in drawn if p not in self._node_of]

    def _admit(self, reply: Message) -> None:
        """Enter a node that answered, or note why it cannot take part."""
        node = reply.metadata.src_node_id
        if reply.has_error():
            if reply.error.code in _FINAL_ERRORS:
                self._refuse(node, one_line(reply.error.reason) + _hint(reply.error.reason))
            return
        try:
            info = decode_node(reply.content, self._num_classes, self._privacy)
        except Exception as error:
            # Bytes from another machine can make any decoder raise anything; none of it may end the run.
            said = str(error) if isinstance(error, ReplyError) else f"{type(error).__name__}: {error}"
            self._refuse(node, one_line(f"node {node} does not speak this project's messages: {said}"))
            return
        self._num_partitions = self._num_partitions or info.num_partitions
        twin = self._node_of.get(info.partition_id)
        problem = self._misfit(info, has_twin=twin is not None and not self._is_complete)
        if problem:
            self._refuse(node, problem)
            return
        if twin is not None:
            # A client that was restarted comes back under a new id while Flower still lists the old one.
            self._refused[twin] = f"replaced by node {node}"
            del self._nodes[twin]
        self._nodes[node] = info
        self._node_of[info.partition_id] = node
        self._heard[info.partition_id] = info

    def _misfit(self, info: NodeInfo, has_twin: bool) -> str:
        """Return why a node cannot take part; empty if it can."""
        if info.problem:
            return few_lines(info.problem)
        if info.code_digest != code_digest():
            return (
                f"partition {info.partition_id} runs other code than the server (digest {info.code_digest[:12]}, "
                f"server {code_digest()[:12]}). Install the same version everywhere; in simulation, a background "
                "SuperLink that was started in another folder serves that folder's code: stop it and run again."
            )
        if info.num_partitions != self._num_partitions:
            return (
                f"partition {info.partition_id} believes in {info.num_partitions} clients, others in "
                f"{self._num_partitions}; give every node the same num-partitions"
            )
        if has_twin:
            return f"two nodes serve partition {info.partition_id}; give each its own partition-id"
        return ""

    def _refuse(self, node: int, reason: str) -> None:
        self._refused[node] = reason
        if self._is_complete:
            _log.warning("a node that joined cannot take part: %s", reason)


def _shortened(partitions: list[int]) -> str:
    """Return the list as text, of many the first ones."""
    return str(partitions) if len(partitions) <= _MOST_NAMED else f"{str(partitions[:_MOST_NAMED])[:-1]}, …]"


def _hint(reason: str | None) -> str:
    """Say what is likely behind an error that does not name its cause."""
    if "No module named" not in (reason or ""):
        return ""
    return (
        " – Flower's background process was probably started in a folder that holds modules of the same names as this "
        "app's; stop it, and run again from this project's folder"
    )


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
