"""Reading the records of a message, with nothing taken on trust: whatever does not fit raises `ReplyError`."""

from collections.abc import Sequence
from typing import TypeVar

from flwr.app import ArrayRecord, ConfigRecord, MetricRecord, RecordDict

from fedcircuits.errors import ReplyError
from fedcircuits.federation.record_values import Row, columns_to_rows, typed_value
from fedcircuits.records import Key

AnyRecord = TypeVar("AnyRecord", ArrayRecord, MetricRecord, ConfigRecord)


def read_record(content: RecordDict, key: str, kind: type[AnyRecord]) -> AnyRecord:
    """Return the record under `key`.

    Raises:
        ReplyError: if there is none, or it is of another kind.
    """
    record = content.get(key)
    if not isinstance(record, kind):
        raise ReplyError(f"{key}: no {kind.__name__} of this name")
    return record


def read_rows(content: RecordDict, key: str, row_type: type[Row], class_ids: Sequence[int]) -> list[Row]:
    """Return the rows of the dataclass `row_type` that the record under `key` holds, one per class in this order.

    Raises:
        ReplyError: if there are none, or they do not fit.
    """
    return columns_to_rows(read_record(content, key, ConfigRecord), key, row_type, class_ids)


def read_metrics(content: RecordDict, measures: set[str]) -> MetricRecord:
    """Return the metrics of a reply: `measures`, and what a client weighs in an average.

    Raises:
        ReplyError: if there are others, one is missing, or a client claims another weight than all have.
    """
    metrics = read_record(content, Key.METRICS, MetricRecord)
    expected = {Key.NUM_EXAMPLES, Key.PLAIN_WEIGHT, *measures}
    if set(metrics) != expected:
        raise ReplyError(f"metrics: keys {sorted(metrics)}, expected {sorted(expected)}")
    if typed_value(metrics, Key.PLAIN_WEIGHT, float) != 1.0:
        raise ReplyError("metrics: plain-weight must be 1.0")
    return metrics
