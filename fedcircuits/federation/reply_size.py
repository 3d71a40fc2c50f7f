"""How large a reply may be: what the model can need, and not a client's choice, bounds the server's work.

Whatever is larger is refused before any of it is decoded.
"""

import math
from collections.abc import Mapping
from typing import Any

from fedcircuits.errors import ReplyError
from fedcircuits.networks.spec import ModelSpec

SPARE_BYTES = 2**16
"""For names, metrics and headers; an answer about a node needs no more than this."""

_FLOAT_BYTES = 4

_CIRCUIT_BYTES = 6
"""Of a channel in a circuit: a byte of score, up to four of ranking, and a bit of membership."""

_STUDIES = 2
"""Discoveries in a reply: the circuits and their repetition."""

_NUMBERS_PER_CLASS = 32
"""In the tables of accuracy, quality and transplants, of 8 bytes each."""


def most_reply_bytes(spec: ModelSpec) -> int:
    """Return how large a reply about a model of shape `spec` may be."""
    num_weights = sum(math.prod(shape) for shape in spec.state_shapes.values())
    circuit = _STUDIES * _CIRCUIT_BYTES * spec.num_channels + 8 * _NUMBERS_PER_CLASS
    return _FLOAT_BYTES * num_weights + num_weights // 8 + spec.num_classes * circuit + SPARE_BYTES


def check_reply_size(content: Mapping[str, Mapping[str, Any]], spec: ModelSpec) -> None:
    """Check that a reply is no larger than one about a model of shape `spec` can be.

    Raises:
        ReplyError: if it is.
    """
    _check(content, most_reply_bytes(spec))


def check_introduction_size(content: Mapping[str, Mapping[str, Any]]) -> None:
    """Check that what a node says about itself is of a sensible size.

    Raises:
        ReplyError: if it is not.
    """
    _check(content, SPARE_BYTES)


def _check(content: Mapping[str, Mapping[str, Any]], most: int) -> None:
    size = sum(len(name) + _record_bytes(record) for name, record in content.items())
    if size > most:
        raise ReplyError(f"{size} bytes, at most {most} can be needed")


def _record_bytes(record: Mapping[str, Any]) -> int:
    return sum(len(key) + _value_bytes(value) for key, value in record.items())


def _value_bytes(value: Any) -> int:
    """Return the bytes of a value, at least 8: an empty one costs something as well."""
    data = getattr(value, "data", value)  # an array's content, still encoded
    if isinstance(data, list):
        return 8 + sum(_value_bytes(element) for element in data)
    return max(8, len(data)) if isinstance(data, str | bytes) else 8
