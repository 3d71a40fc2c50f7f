"""Circuits as packed bits and bytes, and a study of a model: its circuits and how good they are."""

from collections.abc import Sequence

from flwr.app import ConfigRecord, RecordDict

from fedcircuits.circuits.circuit import Circuits, PackedCircuits
from fedcircuits.circuits.discovery import Negatives
from fedcircuits.circuits.study import Study
from fedcircuits.circuits.verdicts import CircuitQuality, rates_reason
from fedcircuits.errors import ReplyError
from fedcircuits.federation.messages.reading import read_record, read_rows
from fedcircuits.federation.record_values import rows_to_columns, typed_list, typed_value
from fedcircuits.networks.spec import ModelSpec
from fedcircuits.records import Key, UnusableReason


def encode_circuits(circuits: Circuits) -> ConfigRecord:
    """Return circuits as packed bits and bytes; an empty record if there are none.

    Flower cannot count the bytes of an empty list, text or byte string, so nothing empty is sent anywhere.
    """
    packed = circuits.pack()
    if not packed.class_ids:
        return ConfigRecord()
    return ConfigRecord(
        {
            Key.CLASS_IDS: packed.class_ids,
            Key.MEMBERS: packed.members,
            Key.SCORES: packed.scores,
            Key.RANKING: packed.ranking,
        }
    )


def decode_circuits(record: ConfigRecord, spec: ModelSpec) -> Circuits:
    """Return the circuits in a record.

    Raises:
        ReplyError: if bits, scores, rankings and classes do not fit the model or each other.
    """
    packed = PackedCircuits([], b"", b"", b"")
    if Key.CLASS_IDS in record:
        packed = PackedCircuits(
            typed_list(record, Key.CLASS_IDS, int),
            typed_value(record, Key.MEMBERS, bytes),
            typed_value(record, Key.SCORES, bytes),
            typed_value(record, Key.RANKING, bytes),
        )
    return packed.unpack(spec.num_channels, spec.num_classes)


def add_study(content: RecordDict, study: Study) -> None:
    """Add a study's records to a reply."""
    content[Key.CIRCUITS] = encode_circuits(study.circuits)
    content[Key.NEGATIVES] = ConfigRecord({Key.NEGATIVES: str(study.negatives)})
    if study.retest is not None:
        content[Key.RETEST] = encode_circuits(study.retest)
    if study.quality:
        content[Key.QUALITY] = ConfigRecord(rows_to_columns(study.quality, CircuitQuality))


def read_quality(content: RecordDict, key: str, class_ids: Sequence[int]) -> list[CircuitQuality]:
    """Return how good circuits are, with verdicts that follow from the rates, or from sizes that are not known here.

    Raises:
        ReplyError: if there are none, or they do not fit.
    """
    rows = read_rows(content, key, CircuitQuality, class_ids)
    for row in rows:
        reason = rates_reason(row)
        if row.reason not in (reason, UnusableReason.EMPTY, UnusableReason.WHOLE_NETWORK):
            claimed, expected = (each or "usable" for each in (row.reason, reason))
            raise ReplyError(f"{key}: class {row.class_id} is {claimed}, but its rates say {expected}")
    return rows


def decode_study(content: RecordDict, spec: ModelSpec) -> Study:
    """Return the study in a reply.

    Raises:
        ReplyError: if a part of it is missing, damaged, out of range or contradicts another.
    """
    circuits = decode_circuits(read_record(content, Key.CIRCUITS, ConfigRecord), spec)
    retest = None
    if Key.RETEST in content:
        retest = decode_circuits(read_record(content, Key.RETEST, ConfigRecord), spec)
    negatives = typed_value(read_record(content, Key.NEGATIVES, ConfigRecord), Key.NEGATIVES, str)
    if negatives not in list(Negatives):
        raise ReplyError(f"negatives: {negatives!r} is not one of {', '.join(Negatives)}")
    if retest is not None and retest.class_ids != circuits.class_ids:
        raise ReplyError("retest: classes differ from the circuits'")
    quality = []
    if circuits.class_ids:
        quality = read_quality(content, Key.QUALITY, circuits.class_ids)
        for entry, kept in zip(quality, circuits.members, strict=True):
            if not kept.any() and entry.reason is not UnusableReason.EMPTY:
                raise ReplyError(f"quality: the circuit of class {entry.class_id} keeps no channel, yet is not empty")
    return Study(circuits, retest, quality, Negatives(negatives))
