"""Which node is which client: Flower's node ids are random, partition ids are stable.

Every node is asked once which partition it is, what it holds and which code it runs. From then on clients are
addressed, sampled and ordered by partition id, which is what makes rounds reproducible.
"""

import logging
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, cast

from flwr.app import ConfigRecord, Message, MessageType, RecordDict
from flwr.common.constant import ErrorCode
from flwr.serverapp import Grid

from fedcircuits.digest import code_digest
from fedcircuits.errors import FederationError, ReplyError
from fedcircuits.labels import client_name, is_label
from fedcircuits.messages import decode_node
from fedcircuits.privacy import OPEN, PrivacySettings
from fedcircuits.records import Key
from fedcircuits.replies import NodeInfo
from fedcircuits.seeding import Purpose, numpy_generator
from strategies.plain_text import few_lines, one_line
from strategies.refusals import by_reason

_log = logging.getLogger("fedcircuits")

_POLL_S = 0.5

_MOST_NAMED = 20
"""Missing partitions that a message names."""

_FOREIGN = re.compile("No module named|cannot import name|Can't get attribute")
"""What Python says where a client's code is not the one that it was sent."""

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
        self._refused: dict[int, tuple[str, str]] = {}
        self._passing: dict[int, str] = {}
        self._registered_names: dict[int, str] = {}
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

    @property
    def all_have_own_images(self) -> bool:
        """Tell whether no client takes a part of a shared dataset, as far as they have been heard."""
        return bool(self._heard) and all(info.has_own_images for info in self._heard.values())

    def has_own_images(self, partition_id: int) -> bool:
        """Tell whether a client's images are its own, and no part of the dataset that the server has."""
        return self._heard[partition_id].has_own_images

    def name(self, partition_id: int) -> str:
        """Return what a client is called where people read: its partition, and its label if it has one."""
        info = self._heard.get(partition_id)
        return client_name(partition_id, info.label if info else "")

    def descriptions(self) -> list[dict[str, Any]]:
        """Return what run.json says of the clients that have a label or images of their own, by partition."""
        return [
            {
                "partition_id": partition_id,
                "label": info.label or None,
                "num_images": info.num_held,
                "has_own_images": info.has_own_images,
            }
            for partition_id, info in sorted(self._heard.items())
            if info.has_own_images or info.label
        ]

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
            raise FederationError("clients cannot start:\n" + "\n".join(by_reason(self._refused.values())))
        if not self._nodes:
            raise FederationError(
                f"no SuperNode answered within {timeout_s:g} s (node-timeout-s). In simulation say how many there are: "
                'flwr run . --federation-config "num-supernodes=5 client-resources-num-cpus=1"; in deployment start '
                "one for each client, with the options for your SuperLink: flower-supernode --superlink HOST:PORT "
                f"--node-config 'partition-id=0 num-partitions=5'{self._errors()}"
            )
        missing = sorted(set(range(self._num_partitions)) - set(self._node_of))
        if missing:
            raise FederationError(
                f"only {len(self._nodes)} of {self._num_partitions} clients answered within {timeout_s:g} s "
                f"(node-timeout-s); partitions {_shortened(missing)} are missing. In simulation allow more time: "
                f'--run-config "node-timeout-s={2 * timeout_s:g}"; in deployment start a SuperNode for each of them, '
                "with the options for your SuperLink: flower-supernode --superlink HOST:PORT "
                f"--node-config 'partition-id={missing[0]} num-partitions={self._num_partitions}'{self._errors()}"
            )
        self._is_complete = True

    def refresh(self, grid: Grid, timeout_s: float) -> None:
        """Forget nodes that are gone, and ask new ones who they are; one that does not fit is left out and logged."""
        nodes = list(grid.get_nodes())
        self._registered_names = {node.node_id: node.name for node in nodes if is_label(node.name)}
        present = {node.node_id for node in nodes}
        # A registered node keeps its id: one that was refused, and comes back mended, is asked again.
        self._refused = {node: refusal for node, refusal in self._refused.items() if node in present}
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
            reason = one_line(reply.error.reason) + _hint(reply.error.reason)
            if reply.error.code in _FINAL_ERRORS or _FOREIGN.search(reply.error.reason or ""):
                self._refuse(node, reason, self._registered_names.get(node, ""))
            else:
                self._passing[node] = reason
            return
        try:
            info = decode_node(reply.content, self._num_classes, self._privacy)
        except Exception as error:
            # Bytes from another machine can make any decoder raise anything; none of it may end the run.
            said = str(error) if isinstance(error, ReplyError) else f"{type(error).__name__}: {error}"
            self._refuse(node, one_line(f"node {node} does not speak this project's messages: {said}"))
            return
        self._num_partitions = self._num_partitions or info.num_partitions
        info = replace(info, label=info.label or self._registered_names.get(node, ""))
        twin = self._node_of.get(info.partition_id)
        problem = self._misfit(info, has_twin=twin is not None and not self._is_complete)
        if problem:
            self._refuse(node, problem, client_name(info.partition_id, info.label) if info.problem else "")
            return
        if twin is not None:
            # A client that was restarted comes back under a new id while Flower still lists the old one.
            self._refused[twin] = ("", f"replaced by node {node}")
            del self._nodes[twin]
        self._nodes[node] = info
        self._node_of[info.partition_id] = node
        self._heard[info.partition_id] = info

    def _misfit(self, info: NodeInfo, has_twin: bool) -> str:
        """Return why a node cannot take part; empty if it can."""
        if info.problem:
            return few_lines(info.problem)
        who = client_name(info.partition_id, info.label)
        if info.code_digest != code_digest():
            return (
                f"{who} runs other code than the server (digest {info.code_digest[:12]}, "
                f"server {code_digest()[:12]}). Install the same version everywhere; in simulation, a background "
                "SuperLink that was started in another folder serves that folder's code: stop it and run again."
            )
        if info.num_partitions != self._num_partitions:
            return (
                f"{who} believes in {info.num_partitions} clients, others in "
                f"{self._num_partitions}; give every node the same num-partitions"
            )
        if has_twin:
            return f"two nodes serve partition {info.partition_id}; give each its own partition-id"
        return ""

    def _errors(self) -> str:
        """Return what nodes that did not answer failed with, if they did; one line for each error."""
        reasons = sorted({reason for node, reason in self._passing.items() if node not in self._nodes})
        return "".join(f"\n  - {reason}" for reason in reasons)

    def _refuse(self, node: int, reason: str, who: str = "") -> None:
        """Note why a node cannot take part, and who it is if the reason does not say."""
        self._refused[node] = (who, reason)
        if self._is_complete:
            _log.warning("a node that joined cannot take part: %s", f"{who}: {reason}" if who else reason)


def _shortened(partitions: list[int]) -> str:
    """Return the list as text, of many the first ones."""
    return str(partitions) if len(partitions) <= _MOST_NAMED else f"{str(partitions[:_MOST_NAMED])[:-1]}, …]"


def _hint(reason: str | None) -> str:
    """Say what is likely behind an error that does not name its cause."""
    if not _FOREIGN.search(reason or ""):
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
