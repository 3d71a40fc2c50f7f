"""What a node says about itself when it is asked who it is."""

import re
from dataclasses import replace

from flwr.app import ConfigRecord, RecordDict

from fedcircuits.data.labels import LONGEST_LABEL, is_label
from fedcircuits.errors import ReplyError
from fedcircuits.federation.messages.reading import read_record
from fedcircuits.federation.record_values import MOST_EXAMPLES, count_value, typed_list, typed_value
from fedcircuits.federation.replies import NodeInfo
from fedcircuits.federation.reply_size import check_introduction_size
from fedcircuits.records import Key
from fedcircuits.settings.privacy import OPEN, PrivacySettings

MOST_PARTITIONS = 10**6
"""A node that believes in a larger federation is not believed."""

_DIGEST = re.compile(r"[0-9a-f]{64}")
_FINGERPRINT = re.compile(r"[0-9a-f]{32}")


def encode_node(info: NodeInfo) -> RecordDict:
    """Return the answer to a query message. Nothing in it is empty: Flower cannot count the bytes of that."""
    record = ConfigRecord(
        {
            Key.PARTITION_ID: info.partition_id,
            Key.NUM_PARTITIONS: info.num_partitions,
            Key.CODE_DIGEST: info.code_digest,
            Key.HAS_OWN_IMAGES: info.has_own_images,
        }
    )
    if info.label:
        record[Key.LABEL] = info.label
    if info.class_counts:
        record[Key.CLASS_COUNTS] = info.class_counts
    if info.num_images:
        record[Key.NUM_EXAMPLES] = info.num_images
    if info.fingerprint:
        record[Key.FINGERPRINT] = info.fingerprint
    if info.problem:
        record[Key.PROBLEM] = info.problem
    return RecordDict({Key.NODE: record})


def decode_node(content: RecordDict, num_classes: int, privacy: PrivacySettings = OPEN) -> NodeInfo:
    """Return what a node says about itself, and of what it holds no more than the run asks for.

    Raises:
        ReplyError: if the answer does not follow the schema, or the node's numbers cannot be.
    """
    check_introduction_size(content)
    record = read_record(content, Key.NODE, ConfigRecord)
    info = NodeInfo(
        partition_id=typed_value(record, Key.PARTITION_ID, int),
        num_partitions=typed_value(record, Key.NUM_PARTITIONS, int),
        code_digest=typed_value(record, Key.CODE_DIGEST, str),
        class_counts=[],
        problem=typed_value(record, Key.PROBLEM, str) if Key.PROBLEM in record else "",
        label=typed_value(record, Key.LABEL, str) if Key.LABEL in record else "",
        has_own_images=typed_value(record, Key.HAS_OWN_IMAGES, bool),
    )
    if not 1 <= info.num_partitions <= MOST_PARTITIONS:
        raise ReplyError(f"num-partitions = {info.num_partitions}: must be 1 to {MOST_PARTITIONS}")
    if info.label and not is_label(info.label):
        raise ReplyError(f"label: must be 1 to {LONGEST_LABEL} printable characters")
    if not 0 <= info.partition_id < info.num_partitions:
        raise ReplyError(f"partition-id = {info.partition_id}: must be 0 to {info.num_partitions - 1}")
    if not _DIGEST.fullmatch(info.code_digest):
        raise ReplyError(f"code-digest = {info.code_digest!r}: must be 64 hexadecimal digits")
    if info.problem:
        return info
    if privacy.reports_classes:
        return replace(info, class_counts=_class_counts(record, num_classes), fingerprint=_fingerprint(record))
    return replace(info, num_images=count_value(record, Key.NUM_EXAMPLES))


def _fingerprint(record: ConfigRecord) -> str:
    if Key.FINGERPRINT not in record:
        return ""
    digits = str(typed_value(record, Key.FINGERPRINT, str))
    if not _FINGERPRINT.fullmatch(digits):
        raise ReplyError("fingerprint: must be 32 hexadecimal digits")
    return digits


def _class_counts(record: ConfigRecord, num_classes: int) -> list[int]:
    counts: list[int] = typed_list(record, Key.CLASS_COUNTS, int)
    if len(counts) != num_classes or min(counts) < 0 or not 1 <= sum(counts) <= MOST_EXAMPLES:
        raise ReplyError(f"class-counts = {counts}: must be {num_classes} numbers of images, at least one image")
    return counts
