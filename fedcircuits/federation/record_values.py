"""Reading and writing the values of a record, with nothing taken on trust.

A record is a mapping from text to numbers, text, bytes or lists of one kind of number; whatever does not fit raises
`ReplyError` with the reason to log.
"""

import math
import types
from collections.abc import Mapping, Sequence
from dataclasses import fields
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from fedcircuits.errors import ReplyError

Row = TypeVar("Row")

MOST_EXAMPLES = 10**9
"""A client that claims more images than this is not believed."""

LARGEST_MEASURE = 1e9
"""Nor is a loss above this, or a time: thirty years in seconds."""

_NO_NAME = "-"
"""Stands for a missing name."""


def typed_value(record: Mapping[str, Any], key: str, kind: type) -> Any:
    """Return the value under `key`, which must be of exactly this type.

    Raises:
        ReplyError: if it is missing or of another type.
    """
    value = record.get(key)
    if type(value) is not kind:
        raise ReplyError(f"{key}: {type(value).__name__}, expected {kind.__name__}")
    return value


def typed_list(record: Mapping[str, Any], key: str, kind: type) -> list[Any]:
    """Return the list under `key`, whose elements must be of exactly this type.

    Raises:
        ReplyError: if it is missing, no list, or has an element of another type.
    """
    values = record.get(key)
    if not isinstance(values, list) or any(type(v) is not kind for v in values):
        raise ReplyError(f"{key}: expected a list of {kind.__name__}")
    return values


def measured_value(record: Mapping[str, Any], key: str) -> float:
    """Return the float under `key`, a loss or a time.

    Raises:
        ReplyError: if it is missing, no float, not finite, negative, or larger than can be.
    """
    value: float = typed_value(record, key, float)
    if not 0 <= value <= LARGEST_MEASURE:
        raise ReplyError(f"{key} = {value}: must be 0 to {LARGEST_MEASURE:g}")
    return value


def count_value(record: Mapping[str, Any], key: str) -> int:
    """Return the number of images under `key`.

    Raises:
        ReplyError: if it is missing, no whole number, less than 1, or larger than can be.
    """
    value: int = typed_value(record, key, int)
    if not 1 <= value <= MOST_EXAMPLES:
        raise ReplyError(f"{key} = {value}: must be 1 to {MOST_EXAMPLES}")
    return value


def rows_to_columns(rows: Sequence[Any], row_type: type) -> dict[str, Any]:
    """Return one list per field of the dataclass `row_type`.

    A missing number travels as NaN, and a missing name as `-`: Flower cannot count the bytes of an empty text.
    """
    columns: dict[str, Any] = {}
    for name, kind in _column_kinds(row_type).items():
        values = [getattr(row, name) for row in rows]
        if issubclass(kind, StrEnum):
            columns[name] = [_NO_NAME if value is None else str(value) for value in values]
        else:
            columns[name] = [math.nan if value is None else value for value in values]
    return columns


def columns_to_rows(record: Mapping[str, Any], what: str, row_type: type[Row], class_ids: Sequence[int]) -> list[Row]:
    """Return rows of the dataclass `row_type`, one per class in this order.

    Numbers with a point are fractions of 0..1, but for fields whose metadata say `is_share: False`, which are finite;
    whole numbers count images; names are those of the field's enumeration.

    Raises:
        ReplyError: if a column is missing, too short or long, of another type, out of range, or of other classes.
    """
    columns: dict[str, list[Any]] = {}
    row_class: type = row_type
    for name, kind in _column_kinds(row_class).items():
        values = typed_list(record, name, str if issubclass(kind, StrEnum) else kind)
        if len(values) != len(class_ids):
            raise ReplyError(f"{what}: {len(values)} values of {name}, expected {len(class_ids)}")
        try:
            columns[name] = [_read_value(value, kind, name in _unbounded(row_class)) for value in values]
        except ValueError as error:
            raise ReplyError(f"{what}: {name} has {error}") from error
    if columns["class_id"] != list(class_ids):
        raise ReplyError(f"{what}: classes {columns['class_id']}, expected {list(class_ids)}")
    return [row_type(**dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)]


def _read_value(value: Any, kind: type, is_unbounded: bool) -> Any:
    """Return a value that travelled; None if it is missing.

    Raises:
        ValueError: if it is none that a column may have.
    """
    if issubclass(kind, StrEnum):
        if value != _NO_NAME and value not in list(kind):
            raise ValueError(f"values other than {', '.join(kind)}")
        return None if value == _NO_NAME else kind(value)
    if kind is int and not 0 <= value <= MOST_EXAMPLES:
        raise ValueError(f"values outside 0 to {MOST_EXAMPLES}")
    if kind is not float:
        return value
    if math.isnan(value):
        return None
    if is_unbounded and math.isinf(value):
        raise ValueError("values that are not finite")
    if not is_unbounded and not 0 <= value <= 1:
        raise ValueError("values outside 0..1")
    return value


@cache
def _unbounded(row_type: type) -> frozenset[str]:
    """Return the fields of a dataclass that may have any finite value."""
    return frozenset(field.name for field in fields(row_type) if not field.metadata.get("is_share", True))


@cache
def _column_kinds(row_type: type) -> dict[str, type]:
    """Return the type of each field of a dataclass, without "or None"; worked out once, since every reply asks."""
    return {
        name: get_args(hint)[0] if get_origin(hint) in (Union, types.UnionType) else hint
        for name, hint in get_type_hints(row_type).items()
    }
