"""Random damage to messages, for property-based tests: nothing that a client could send is left out on purpose."""

import copy
import math
from collections.abc import Callable

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Error, Message, MetricRecord, RecordDict
from hypothesis import strategies as st

Mutation = Callable[[Message], list[Message]]
"""From a sound reply to the messages that arrive instead."""

WORDS = st.sampled_from(["partition-id", "fc.bias", "\x1b[2J", "a" * 3000, "\u202e", ""]) | st.text(max_size=5)
INTEGERS = st.sampled_from([-1, 0, 1, 2, 10, 255, 2**31, 2**63 - 1, -(2**63)])
FLOATS = st.sampled_from([0.0, -1.0, 1e-300, 1e30, 1e300, math.inf, -math.inf, math.nan]) | st.floats()
METRICS = INTEGERS | FLOATS | st.lists(FLOATS, max_size=3) | st.lists(INTEGERS, max_size=3)
VALUES = (
    METRICS
    | st.booleans()
    | WORDS
    | st.binary(max_size=40)
    | st.sampled_from([b"\xff" * 5, bytes(2**20)])
    | st.lists(st.booleans(), max_size=4)
    | st.lists(WORDS, max_size=3)
    | st.just([7] * 2**17)
)


@st.composite
def mutations(draw: st.DrawFn) -> Mutation:
    """Draw damage to one reply: to its content, or to how it arrives."""
    damage = draw(st.lists(content_changes(), min_size=1, max_size=3))

    def change(message: Message) -> list[Message]:
        for one in damage:
            one(message.content)
        return [message]

    return draw(st.sampled_from([change, change, change, draw(deliveries())]))


@st.composite
def deliveries(draw: st.DrawFn) -> Mutation:
    """Draw a reply that is missing, late, doubled, somebody else's, or an error."""
    reason = draw(st.text(max_size=30) | st.just("\x1b]0;title\x07" + "x" * 10_000))
    source = draw(st.sampled_from([1, 12345]))

    def failed(message: Message) -> list[Message]:
        return [_relabelled(Message(Error(code=2, reason=reason), reply_to=_question(message)), message)]

    def renamed(message: Message) -> list[Message]:
        message.metadata._src_node_id = source
        return [message]

    def late(message: Message) -> list[Message]:
        message.metadata._reply_to_message_id = "of an earlier round"
        return [message]

    def doubled(message: Message) -> list[Message]:
        return [message, copy.deepcopy(message)]

    return draw(st.sampled_from([lambda _: [], failed, renamed, late, doubled]))


def _question(reply: Message) -> Message:
    return Message(RecordDict(), dst_node_id=reply.metadata.src_node_id, message_type="train")


def _relabelled(message: Message, like: Message) -> Message:
    message.metadata._reply_to_message_id = like.metadata.reply_to_message_id
    return message


@st.composite
def content_changes(draw: st.DrawFn) -> Callable[[RecordDict], None]:
    """Draw one change of a message's records, their values or their arrays."""
    return draw(st.one_of(value_changes(), record_changes(), array_changes(), byte_changes()))


@st.composite
def value_changes(draw: st.DrawFn) -> Callable[[RecordDict], None]:
    """Draw a value set, added or removed."""
    position, value, metric, extra = draw(st.integers(0, 200)), draw(VALUES), draw(METRICS), draw(WORDS)
    action = draw(st.sampled_from(["set", "set", "set", "remove", "add"]))

    def change(content: RecordDict) -> None:
        places = [(n, k) for n, r in content.items() if not isinstance(r, ArrayRecord) for k in r]
        if not places:
            return
        name, key = places[position % len(places)]
        record = content[name]
        if action == "remove":
            del record[key]
        else:
            record[extra if action == "add" else key] = metric if isinstance(record, MetricRecord) else value

    return change


@st.composite
def record_changes(draw: st.DrawFn) -> Callable[[RecordDict], None]:
    """Draw a record removed, emptied, renamed, or added."""
    position, name = draw(st.integers(0, 20)), draw(WORDS)
    kind = draw(st.sampled_from([ConfigRecord, MetricRecord, ArrayRecord]))
    action = draw(st.sampled_from(["remove", "replace", "rename", "add"]))

    def change(content: RecordDict) -> None:
        names = list(content)
        if action == "add" or not names:
            content[name] = kind()
            return
        chosen = names[position % len(names)]
        record = content[chosen]
        del content[chosen]
        if action != "remove":
            content[chosen if action == "replace" else name] = kind() if action == "replace" else record

    return change


@st.composite
def byte_changes(draw: st.DrawFn) -> Callable[[RecordDict], None]:
    """Draw one changed, lost or added byte in some bytes of a ConfigRecord."""
    position, at, byte = draw(st.integers(0, 50)), draw(st.integers(0, 10**6)), draw(st.integers(0, 255))
    action = draw(st.sampled_from(["flip", "cut", "grow"]))

    def change(content: RecordDict) -> None:
        places = [(r, k) for r in content.config_records.values() for k, v in r.items() if isinstance(v, bytes)]
        if places:
            record, key = places[position % len(places)]
            record[key] = _damaged(record[key], at, byte, action)

    return change


@st.composite
def array_changes(draw: st.DrawFn) -> Callable[[RecordDict], None]:
    """Draw an array with other numbers, another shape or type, false labels, or damaged bytes."""
    position, at, byte = draw(st.integers(0, 50)), draw(st.integers(0, 10**6)), draw(st.integers(0, 255))
    number = draw(FLOATS | st.sampled_from([1.0, 9e3, 3e4]))
    kind = draw(st.sampled_from(["float64", "float16", ">f4", "int32", "complex64", "U3"]))
    shape = draw(st.sampled_from([(), (0,), (1,), (10, 1), (2, 3, 4)]))
    action = draw(st.sampled_from(["numbers", "type", "shape", "labels", "flip", "cut", "grow", "reorder", "remove"]))

    def change(content: RecordDict) -> None:
        for name, record in list(content.array_records.items()):
            arrays = dict(record.items())
            if not arrays:
                continue
            key = sorted(arrays)[position % len(arrays)]
            if action in {"reorder", "remove"}:
                array = arrays.pop(key)
                arrays |= {key: array} if action == "reorder" else {}
            else:
                arrays[key] = _damaged_array(arrays[key], action, number, kind, shape, at, byte)
            content[name] = ArrayRecord(arrays)

    return change


def _damaged_array(
    array: Array, action: str, number: float, kind: str, shape: tuple[int, ...], at: int, byte: int
) -> Array:
    if action == "labels":
        return Array(kind, shape, "numpy.ndarray", array.data)
    if action in {"flip", "cut", "grow"}:
        return Array(array.dtype, tuple(array.shape), array.stype, _damaged(array.data, at, byte, action))
    with np.errstate(all="ignore"):
        values = np.full(array.shape, number).astype(np.float32)
        if action == "numbers":
            return Array(values)
        return Array(values.astype(kind)) if action == "type" else Array(np.zeros(shape, np.float32))


def _damaged(data: bytes, at: int, byte: int, action: str) -> bytes:
    at = at % max(1, len(data))
    if action == "cut":
        return data[:at]
    return data[:at] + bytes([byte]) + data[at + (action == "flip") :]
