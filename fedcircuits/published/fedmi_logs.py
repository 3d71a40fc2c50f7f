"""Reads the circuit logs that the authors of arXiv 2512.23043 published (`circuits_per_round_*.json`), free of torch.

Such a file nests round, side, client and class; `docs/run-log.md` says what each side is. Newer files hold an object
`active_nodes` per class, with `metrics` and `connectivity` beside it; in older ones the class holds the layers itself.
Nothing is taken on trust: whatever does not fit is refused with the path of keys that leads to it. Only what stands
beside these three, or beside the metrics known here, is passed over.
"""

import hashlib
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fedcircuits.errors import LogImportError

DEFAULT_CHANNELS: Final = (32, 64, 128)
"""Channels of the authors' CNN; the files do not say them."""

_LOCAL, _GLOBAL = "clients_local_model", "clients_global_model"
_NODES, _EDGES, _METRICS = "active_nodes", "connectivity", "metrics"
_SUFFICIENCY, _NECESSITY, _TRANSPLANT = "accuracy", "necessity", "local_mask_on_global_weights_acc"

_IMAGE_CHANNELS: Final = 3
"""Most channels that an image can have; the files do not say how many theirs have."""

# Nine digits are more than any log needs, and fit the columns of the run log.
_ROUND: Final = re.compile(r"round_([1-9][0-9]{0,8})")
_CLIENT: Final = re.compile(r"client_(0|[1-9][0-9]{0,8})")
_CHANNEL: Final = re.compile(r"(0|[1-9][0-9]{0,8})")
_CLASS: Final = re.compile(r"([0-9]{1,9})(?![0-9]).*")


@dataclass(frozen=True)
class LoggedCircuit:
    """One circuit as the file has it; rates are fractions in 0..1, None where the file has none.

    Args:
        class_id: its class.
        channels: layer to the channels kept, ascending; every layer is there, input to output.
        edges: layer to (channel of the layer before, channel of this layer), for each edge between channels of the
            circuit; no layer if the file has no `connectivity`. Edges of the linear layer are left out, because the
            authors' code takes its 1,152 features for 128 channels there.
        sufficiency: recall of the class with only the circuit on.
        necessity: recall of the class with only the circuit off.
        transplant: for circuits of the global model, recall of the client's local circuit on the global weights.
    """

    class_id: int
    channels: dict[str, tuple[int, ...]]
    edges: dict[str, tuple[tuple[int, int], ...]]
    sufficiency: float | None
    necessity: float | None
    transplant: float | None


@dataclass(frozen=True)
class LoggedClient:
    """The circuits found on one client's data in one round, ascending by class.

    Args:
        partition_id: the client.
        local: circuits of its own model, before averaging.
        on_global: circuits of the global model, of the same classes; None if the round has none.
    """

    partition_id: int
    local: tuple[LoggedCircuit, ...]
    on_global: tuple[LoggedCircuit, ...] | None


@dataclass(frozen=True)
class FedMILog:
    """A whole file.

    Args:
        path: where it was read.
        sha256: of its bytes, 64 hex digits.
        layers: layer to its number of channels, input to output.
        rounds: the clients of rounds 1, 2, …, ascending by partition.
    """

    path: Path
    sha256: str
    layers: dict[str, int]
    rounds: tuple[tuple[LoggedClient, ...], ...]


@dataclass(frozen=True)
class _Node:
    """A value in the file, and the keys that lead to it, the first of which is the file's name."""

    value: Any
    keys: tuple[str, ...]

    def refused(self, problem: str) -> LogImportError:
        file, *inside = self.keys
        where = f"{file}: {' / '.join(inside)}" if inside else file
        return LogImportError(f"{where}: {problem}")

    def entries(self, allowed: Collection[str] | None = None, required: Collection[str] = ()) -> dict[str, "_Node"]:
        """Return what an object holds, by its keys."""
        if not isinstance(self.value, dict):
            raise self.refused(f"{_kind(self.value)}, expected an object")
        for key in self.value:
            if allowed is not None and key not in allowed:
                raise self.refused(f"unknown key {key!r}; allowed are {', '.join(allowed)}")
        for key in required:
            if key not in self.value:
                raise self.refused(f"{key} is missing")
        return {key: _Node(value, (*self.keys, key)) for key, value in self.value.items()}

    def numbered(self, pattern: "re.Pattern[str]", form: str) -> dict[int, "_Node"]:
        """Return what an object holds, by the numbers in its keys and in their order."""
        numbered: dict[int, _Node] = {}
        for key, node in self.entries().items():
            match = pattern.fullmatch(key)
            if match is None:
                raise self.refused(f"unknown key {key!r}; expected {form}")
            if (number := int(match[1])) in numbered:
                raise self.refused(f"{numbered[number].keys[-1]!r} and {key!r} have the same number")
            numbered[number] = node
        return dict(sorted(numbered.items()))


def read_fedmi_log(path: Path, channels: Sequence[int] = DEFAULT_CHANNELS) -> FedMILog:
    """Read and check a whole file.

    Args:
        path: the file.
        channels: output channels of each convolution, input to output.

    Raises:
        LogImportError: if the file cannot be read or is not of this form; the message has the path inside the file.
    """
    try:
        content = path.read_bytes()
        root = _Node(json.loads(content, object_pairs_hook=_without_repetition), (path.name,))
    except (OSError, ValueError, RecursionError) as error:
        raise LogImportError(f"{path} cannot be read as JSON: {error}") from error
    layers = {f"conv{i + 1}": width for i, width in enumerate(channels)}
    rounds = root.numbered(_ROUND, "round_1, round_2, …")
    if not rounds:
        raise root.refused("no rounds")
    for expected, number in enumerate(rounds, start=1):
        if number != expected:
            raise root.refused(f"round_{expected} is missing; rounds must run from 1 to the last without a gap")
    clients = tuple(_clients(node, layers) for node in rounds.values())
    return FedMILog(path, hashlib.sha256(content).hexdigest(), layers, clients)


def _clients(server_round: _Node, layers: Mapping[str, int]) -> tuple[LoggedClient, ...]:
    """Return the clients of a round; both sides must have the same clients and classes."""
    sides = server_round.entries(allowed=(_LOCAL, _GLOBAL), required=(_LOCAL,))
    local = _side(sides[_LOCAL], layers)
    if not local:
        raise sides[_LOCAL].refused("no clients")
    if _GLOBAL not in sides:
        return tuple(LoggedClient(partition_id, circuits, None) for partition_id, circuits in local.items())
    on_global = _side(sides[_GLOBAL], layers)
    _check_same(sides[_GLOBAL], "clients", list(on_global), list(local))
    for partition_id, circuits in local.items():
        client = _Node(None, (*sides[_GLOBAL].keys, f"client_{partition_id}"))
        _check_same(client, "classes", _class_ids(on_global[partition_id]), _class_ids(circuits))
    return tuple(
        LoggedClient(partition_id, circuits, on_global[partition_id]) for partition_id, circuits in local.items()
    )


def _side(side: _Node, layers: Mapping[str, int]) -> dict[int, tuple[LoggedCircuit, ...]]:
    """Return the circuits of each client."""
    return {
        partition_id: tuple(
            _circuit(class_id, node, layers)
            for class_id, node in client.numbered(_CLASS, "a class such as '3 - three'").items()
        )
        for partition_id, client in side.numbered(_CLIENT, "client_0, client_1, …").items()
    }


def _circuit(class_id: int, node: _Node, layers: Mapping[str, int]) -> LoggedCircuit:
    """Return one circuit, of the newer or the older form."""
    keys = node.entries()
    is_newer = not keys.keys().isdisjoint((_NODES, _EDGES, _METRICS))
    if is_newer:
        keys = node.entries(required=(_NODES,))
    nodes = (keys[_NODES] if is_newer else node).entries(allowed=layers, required=layers)
    rates = keys[_METRICS].entries() if _METRICS in keys else {}
    channels = {layer: _channels(nodes[layer], layer, width) for layer, width in layers.items()}
    return LoggedCircuit(
        class_id=class_id,
        channels=channels,
        edges=_edges(keys[_EDGES], channels) if _EDGES in keys else {},
        sufficiency=_fraction(rates.get(_SUFFICIENCY)),
        necessity=_fraction(rates.get(_NECESSITY)),
        transplant=_fraction(rates.get(_TRANSPLANT)),
    )


def _edges(node: _Node, channels: Mapping[str, Collection[int]]) -> dict[str, tuple[tuple[int, int], ...]]:
    """Return the edges that end in each convolution: every target channel has a list of its sources."""
    keys = node.entries(allowed=(*channels, "fc"))
    edges: dict[str, tuple[tuple[int, int], ...]] = {}
    before: Collection[int] = range(_IMAGE_CHANNELS)
    for layer, kept in channels.items():
        if layer in keys:
            ends = []
            for target, sources in keys[layer].numbered(_CHANNEL, "a channel").items():
                if target not in kept:
                    raise sources.refused(f"{target} is not among the circuit's channels of {layer}")
                ends += [(source, target) for source in _sources(sources, before)]
            edges[layer] = tuple(ends)
        before = kept
    return edges


def _sources(node: _Node, allowed: Collection[int]) -> list[int]:
    """Return the sources of one target, ascending."""
    if not isinstance(node.value, list):
        raise node.refused(f"{_kind(node.value)}, expected a list of channels")
    for channel in node.value:
        if type(channel) is not int or channel not in allowed:
            raise node.refused(f"{_shown(channel)} is not among the circuit's channels of the layer before")
    return sorted(set(node.value))


def _channels(node: _Node, layer: str, width: int) -> tuple[int, ...]:
    """Return the channels in a list, ascending."""
    if not isinstance(node.value, list):
        raise node.refused(f"{_kind(node.value)}, expected a list of channels")
    seen: set[int] = set()
    for channel in node.value:
        if type(channel) is not int or not 0 <= channel < width:
            raise node.refused(f"{_shown(channel)} is not a channel of {layer} (0 to {width - 1})")
        if channel in seen:
            raise node.refused(f"channel {channel} stands twice")
        seen.add(channel)
    return tuple(sorted(seen))


def _fraction(node: _Node | None) -> float | None:
    """Return a percentage as a fraction."""
    if node is None or node.value is None:
        return None
    if type(node.value) not in (int, float) or not 0 <= node.value <= 100:
        raise node.refused(f"{_shown(node.value)} is not a percentage (0 to 100)")
    return float(node.value) / 100


def _class_ids(circuits: Collection[LoggedCircuit]) -> list[int]:
    return [circuit.class_id for circuit in circuits]


def _check_same(node: _Node, what: str, found: list[int], expected: list[int]) -> None:
    if found != expected:
        raise node.refused(f"{what} {_listed(found)}, but {_LOCAL} of this round has {_listed(expected)}")


def _listed(numbers: Collection[int]) -> str:
    return ", ".join(map(str, numbers)) or "none"


def _shown(value: Any) -> str:
    """Return a JSON value as text, cut where it is long."""
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:40]}…"


def _kind(value: Any) -> str:
    """Name the kind of a JSON value."""
    names: dict[type, str] = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build an object; where a key stands twice, Python's reader would silently keep the second value."""
    entries: dict[str, Any] = {}
    for key, value in pairs:
        if key in entries:
            raise ValueError(f"the key {key!r} stands twice in one object")
        entries[key] = value
    return entries
