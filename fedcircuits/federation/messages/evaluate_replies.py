"""A client's answer to an evaluate message: what it saw in the new global model."""

from collections.abc import Mapping

from flwr.app import ConfigRecord, MetricRecord, RecordDict

from fedcircuits.circuits.verdicts import CircuitQuality
from fedcircuits.errors import ReplyError
from fedcircuits.federation.local_round import GlobalView
from fedcircuits.federation.messages.reading import read_metrics, read_record
from fedcircuits.federation.messages.studies import add_study, decode_study, read_quality
from fedcircuits.federation.record_values import count_value, measured_value, rows_to_columns, typed_value
from fedcircuits.federation.replies import EvaluateReply
from fedcircuits.federation.reply_size import check_reply_size
from fedcircuits.networks.spec import ModelSpec
from fedcircuits.records import Key
from fedcircuits.settings.config_values import ClassIds


def encode_view(view: GlobalView, partition_id: int, num_examples: int) -> RecordDict:
    """Return a client's answer to an evaluate message."""
    content = RecordDict(
        {
            Key.METRICS: MetricRecord(
                {
                    Key.NUM_EXAMPLES: num_examples,
                    Key.PLAIN_WEIGHT: 1.0,
                    Key.EVALUATE_SECONDS: view.evaluate_seconds,
                }
            ),
            Key.UPDATE: ConfigRecord({Key.PARTITION_ID: partition_id}),
        }
    )
    if view.study is not None:
        add_study(content, view.study)
    if view.transplant:
        content[Key.TRANSPLANT] = ConfigRecord(rows_to_columns(view.transplant, CircuitQuality))
    return content


def decode_view(content: RecordDict, spec: ModelSpec, studied: Mapping[int, ClassIds]) -> EvaluateReply:
    """Return a client's answer to an evaluate message, every part of it checked.

    Args:
        content: the answer.
        spec: the network's shape.
        studied: partition id of every client that was asked to the classes whose circuits it found in the round.

    Raises:
        ReplyError: with the reason, if any part is missing, damaged or out of range.
    """
    check_reply_size(content, spec)
    if content.array_records or len(content.metric_records) != 1:
        raise ReplyError("records: expected exactly one MetricRecord and no ArrayRecord")
    metrics = read_metrics(content, {Key.EVALUATE_SECONDS})
    partition_id = typed_value(read_record(content, Key.UPDATE, ConfigRecord), Key.PARTITION_ID, int)
    if partition_id not in studied:
        raise ReplyError(f"claims to be partition {partition_id}")
    classes = studied[partition_id]
    return EvaluateReply(
        partition_id=partition_id,
        num_examples=count_value(metrics, Key.NUM_EXAMPLES),
        study=decode_study(content, spec) if Key.CIRCUITS in content else None,
        transplant=read_quality(content, Key.TRANSPLANT, classes) if classes else [],
        evaluate_seconds=measured_value(metrics, Key.EVALUATE_SECONDS),
    )
