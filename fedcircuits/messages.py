"""What travels between server and clients, and how it is checked: the one module of the core that knows Flower.

A message carries one ArrayRecord (weights) and one MetricRecord (fixed keys), because Flower's strategies insist on
exactly one of each and average them; everything else is in ConfigRecords, masks and circuits as packed bits.
Decoding trusts nothing: whatever does not fit raises `ReplyError` with the reason to log.
"""

import json
import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from io import BytesIO
from typing import Any, TypeVar

import numpy as np
import torch
from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict
from torch import Tensor

from fedcircuits.circuits import Circuits, PackedCircuits, pack_bits, unpack_bits
from fedcircuits.discovery import Negatives
from fedcircuits.errors import ReplyError
from fedcircuits.labels import LONGEST_LABEL, is_label
from fedcircuits.local_round import GlobalView, LocalUpdate
from fedcircuits.model_spec import ModelSpec
from fedcircuits.models import Weights
from fedcircuits.privacy import OPEN, PrivacySettings
from fedcircuits.quality import CircuitQuality, ClassAccuracy
from fedcircuits.randomised_response import Entropy, flip_bits
from fedcircuits.record_values import (
    MOST_EXAMPLES,
    Row,
    columns_to_rows,
    count_value,
    measured_value,
    rows_to_columns,
    typed_list,
    typed_value,
)
from fedcircuits.records import Key
from fedcircuits.replies import EvaluateReply, NodeInfo, TrainReply
from fedcircuits.reply_size import check_introduction_size, check_reply_size
from fedcircuits.settings import Settings
from fedcircuits.sparsity import Masks
from fedcircuits.study import Study
from fedcircuits.training import RoundPosition

LARGEST_WEIGHT = 1e4
"""No network that works has a larger one, and far larger ones overflow in what the average then computes."""

MOST_PARTITIONS = 10**6
"""A node that believes in a larger federation is not believed."""

_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Instruction:
    """What a client is told to do in a round. `trained_classes` is empty in the train phase."""

    settings: Settings
    weights: dict[str, Tensor]
    position: RoundPosition
    trained_classes: list[int]


# -- Instructions


def encode_weights(weights: Weights) -> ArrayRecord:
    """Return weights as Flower's ArrayRecord, names and order kept."""
    return ArrayRecord({name: Array(value.detach().cpu().contiguous().numpy()) for name, value in weights.items()})


def decode_weights(record: ArrayRecord, spec: ModelSpec) -> dict[str, Tensor]:
    """Return the weights of a model of shape `spec`.

    Raises:
        ReplyError: if a name, a shape or a type differs from the model's, or a value is not finite or absurdly large.
    """
    if list(record.keys()) != list(spec.state_shapes):
        raise ReplyError(f"weights: arrays {list(record.keys())}, expected {list(spec.state_shapes)}")
    weights = {}
    for name, shape in spec.state_shapes.items():
        try:
            found_shape, found_type = _read_header(record[name].data)
            if found_shape != shape or found_type != np.float32:
                raise ReplyError(f"weights: {name} is {found_type}{list(found_shape)}, expected float32{list(shape)}")
            array = record[name].numpy()
        except (ValueError, TypeError, OSError, EOFError) as error:
            raise ReplyError(f"weights: {name} cannot be decoded: {error}") from error
        if not np.isfinite(array).all():
            raise ReplyError(f"weights: {name} has values that are not finite")
        if np.abs(array).max(initial=0) > LARGEST_WEIGHT:
            raise ReplyError(f"weights: {name} has values beyond ±{LARGEST_WEIGHT:g}")
        weights[name] = torch.from_numpy(array.copy())
    return weights


def _read_header(data: bytes) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return shape and type of an encoded array; decoding takes the memory that these ask for, true or not."""
    stream = BytesIO(data)
    version = np.lib.format.read_magic(stream)
    if version != (1, 0):
        raise ValueError(f"unknown version {version} of NumPy's format")
    shape, _, kind = np.lib.format.read_array_header_1_0(stream)
    return shape, kind


def encode_config(settings: Settings) -> ConfigRecord:
    """Return the settings as sent with every message; the strategy adds the round."""
    return ConfigRecord({Key.CONFIG: json.dumps(dict(settings.config))})


def decode_settings(content: RecordDict) -> Settings:
    """Return the settings in a message.

    Raises:
        ReplyError: if there are none.
        SettingsError: if they are wrong.
    """
    return _read_settings(typed_value(_record(content, Key.CONFIG, ConfigRecord), Key.CONFIG, str))


@lru_cache(maxsize=2)
def _read_settings(text: str) -> Settings:
    """Read settings from JSON, once per process: every message to every client carries the same."""
    return Settings.from_config(json.loads(text))


def decode_instruction(content: RecordDict, spec: ModelSpec, settings: Settings) -> Instruction:
    """Return what a train or evaluate message asks for.

    Raises:
        ReplyError: if the message does not follow the schema.
    """
    config = _record(content, Key.CONFIG, ConfigRecord)
    return Instruction(
        settings=settings,
        weights=decode_weights(_record(content, Key.ARRAYS, ArrayRecord), spec),
        position=RoundPosition(typed_value(config, Key.SERVER_ROUND, int), settings.run.num_server_rounds),
        trained_classes=typed_list(config, Key.TRAINED_CLASSES, int) if Key.TRAINED_CLASSES in config else [],
    )


# -- Node information


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
    if info.problem:
        record[Key.PROBLEM] = info.problem
    return RecordDict({Key.NODE: record})


def decode_node(content: RecordDict, num_classes: int, privacy: PrivacySettings = OPEN) -> NodeInfo:
    """Return what a node says about itself, and of what it holds no more than the run asks for.

    Raises:
        ReplyError: if the answer does not follow the schema, or the node's numbers cannot be.
    """
    check_introduction_size(content)
    record = _record(content, Key.NODE, ConfigRecord)
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
        return replace(info, class_counts=_class_counts(record, num_classes))
    return replace(info, num_images=count_value(record, Key.NUM_EXAMPLES))


def _class_counts(record: ConfigRecord, num_classes: int) -> list[int]:
    counts: list[int] = typed_list(record, Key.CLASS_COUNTS, int)
    if len(counts) != num_classes or min(counts) < 0 or not 1 <= sum(counts) <= MOST_EXAMPLES:
        raise ReplyError(f"class-counts = {counts}: must be {num_classes} numbers of images, at least one image")
    return counts


# -- Train replies


def encode_update(
    update: LocalUpdate,
    spec: ModelSpec,
    partition_id: int,
    num_examples: int,
    privacy: PrivacySettings = OPEN,
    entropy: Entropy = os.urandom,
) -> RecordDict:
    """Return a client's answer to a train message.

    Args:
        update: what the client trained and found.
        spec: the network's shape.
        partition_id: the client.
        num_examples: images that it trained on.
        privacy: what of all this leaves the client.
        entropy: gives the noise on masks its random bytes.
    """
    trained = update.trained
    metrics = MetricRecord(
        {Key.NUM_EXAMPLES: num_examples, Key.PLAIN_WEIGHT: 1.0, Key.TRAIN_SECONDS: update.train_seconds}
    )
    sent = ConfigRecord({Key.PARTITION_ID: partition_id})
    content = RecordDict({Key.ARRAYS: encode_weights(trained.weights), Key.METRICS: metrics, Key.UPDATE: sent})
    if privacy.reports_masks:
        bits = torch.cat([trained.masks[name].flatten() for name in spec.layer_names]).cpu()
        if privacy.mask_flip_probability:
            bits = flip_bits(bits, privacy.mask_flip_probability, entropy)
        sent[Key.PARAMETER_MASK] = pack_bits(bits)
    if privacy.reports_classes:
        metrics[Key.TRAIN_LOSS] = trained.train_loss
        metrics[Key.DISCOVERY_SECONDS] = update.discovery_seconds
        content[Key.ACCURACY] = ConfigRecord(rows_to_columns(update.accuracy, ClassAccuracy))
        if update.study is not None:
            _add_study(content, update.study)
    return content


def decode_update(content: RecordDict, spec: ModelSpec, privacy: PrivacySettings = OPEN) -> TrainReply:
    """Return a client's answer to a train message, every part of it checked; what the run does not ask for is not read.

    Raises:
        ReplyError: with the reason, if any part is missing, damaged, out of range or contradicts another.
    """
    check_reply_size(content, spec)
    if len(content.array_records) != 1 or len(content.metric_records) != 1:
        raise ReplyError("records: expected exactly one ArrayRecord and one MetricRecord")
    tells_classes = privacy.reports_classes
    of_classes = {Key.TRAIN_LOSS, Key.DISCOVERY_SECONDS} if tells_classes else set()
    metrics = _decode_metrics(content, {Key.TRAIN_SECONDS, *of_classes})
    update = _record(content, Key.UPDATE, ConfigRecord)
    weights = decode_weights(_record(content, Key.ARRAYS, ArrayRecord), spec)
    sent_masks = _decode_masks(update, spec) if privacy.reports_masks else None
    return TrainReply(
        partition_id=typed_value(update, Key.PARTITION_ID, int),
        num_examples=count_value(metrics, Key.NUM_EXAMPLES),
        weights=weights,
        masks=_support(weights, spec, sent_masks if privacy.sends_true_masks else None),
        sent_masks=sent_masks,
        train_loss=measured_value(metrics, Key.TRAIN_LOSS) if tells_classes else None,
        train_seconds=measured_value(metrics, Key.TRAIN_SECONDS),
        discovery_seconds=measured_value(metrics, Key.DISCOVERY_SECONDS) if tells_classes else None,
        accuracy=_rows(content, Key.ACCURACY, ClassAccuracy, range(spec.num_classes)) if tells_classes else [],
        study=_decode_study(content, spec) if tells_classes and Key.CIRCUITS in content else None,
        weight_bytes=content[Key.ARRAYS].count_bytes(),
        reply_bytes=sum(record.count_bytes() for record in content.values()),
    )


def _decode_metrics(content: RecordDict, measures: set[str]) -> MetricRecord:
    """Return the metrics of a reply: `measures`, and what a client weighs in an average."""
    metrics = _record(content, Key.METRICS, MetricRecord)
    expected = {Key.NUM_EXAMPLES, Key.PLAIN_WEIGHT, *measures}
    if set(metrics) != expected:
        raise ReplyError(f"metrics: keys {sorted(metrics)}, expected {sorted(expected)}")
    if typed_value(metrics, Key.PLAIN_WEIGHT, float) != 1.0:
        raise ReplyError("metrics: plain-weight must be 1.0")
    return metrics


def _decode_masks(update: ConfigRecord, spec: ModelSpec) -> Masks:
    """Unpack one bit per weight."""
    sizes = [math.prod(shape) for shape in spec.weight_shapes.values()]
    bits = unpack_bits(typed_value(update, Key.PARAMETER_MASK, bytes), (sum(sizes),), "parameter mask")
    return {
        name: part.view(shape)
        for (name, shape), part in zip(spec.weight_shapes.items(), bits.split(sizes), strict=True)
    }


def _support(weights: Weights, spec: ModelSpec, masks: Masks | None) -> Masks:
    """Return the masks of a client's weights: a weight that is not zero must be in its mask, if that is known."""
    support = {name: weights[f"{name}.weight"] != 0 for name in spec.layer_names}
    if masks is None:
        return support
    for name, mask in masks.items():
        if (support[name] & ~mask).any():
            raise ReplyError(f"parameter mask: {name} has weights that its mask says are pruned")
    return masks


# -- Evaluate replies


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
    _add_study(content, view.study)
    if view.transplant:
        content[Key.TRANSPLANT] = ConfigRecord(rows_to_columns(view.transplant, CircuitQuality))
    return content


def decode_view(content: RecordDict, spec: ModelSpec) -> EvaluateReply:
    """Return a client's answer to an evaluate message, every part of it checked.

    Raises:
        ReplyError: with the reason, if any part is missing, damaged or out of range.
    """
    check_reply_size(content, spec)
    if content.array_records or len(content.metric_records) != 1:
        raise ReplyError("records: expected exactly one MetricRecord and no ArrayRecord")
    metrics = _decode_metrics(content, {Key.EVALUATE_SECONDS})
    study = _decode_study(content, spec)
    classes = study.circuits.class_ids
    has_transplant = Key.TRANSPLANT in content
    return EvaluateReply(
        partition_id=typed_value(_record(content, Key.UPDATE, ConfigRecord), Key.PARTITION_ID, int),
        num_examples=count_value(metrics, Key.NUM_EXAMPLES),
        study=study,
        transplant=_rows(content, Key.TRANSPLANT, CircuitQuality, classes) if has_transplant else [],
        evaluate_seconds=measured_value(metrics, Key.EVALUATE_SECONDS),
    )


# -- Circuits


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


def _add_study(content: RecordDict, study: Study) -> None:
    content[Key.CIRCUITS] = encode_circuits(study.circuits)
    content[Key.NEGATIVES] = ConfigRecord({Key.NEGATIVES: str(study.negatives)})
    if study.retest is not None:
        content[Key.RETEST] = encode_circuits(study.retest)
    if study.quality:
        content[Key.QUALITY] = ConfigRecord(rows_to_columns(study.quality, CircuitQuality))


def _decode_study(content: RecordDict, spec: ModelSpec) -> Study:
    circuits = decode_circuits(_record(content, Key.CIRCUITS, ConfigRecord), spec)
    retest = None
    if Key.RETEST in content:
        retest = decode_circuits(_record(content, Key.RETEST, ConfigRecord), spec)
    negatives = typed_value(_record(content, Key.NEGATIVES, ConfigRecord), Key.NEGATIVES, str)
    if negatives not in list(Negatives):
        raise ReplyError(f"negatives: {negatives!r} is not one of {', '.join(Negatives)}")
    if retest is not None and retest.class_ids != circuits.class_ids:
        raise ReplyError("retest: classes differ from the circuits'")
    quality = []
    if circuits.class_ids:
        quality = _rows(content, Key.QUALITY, CircuitQuality, circuits.class_ids)
        for entry, kept in zip(quality, circuits.members, strict=True):
            if entry.usable and not kept.any():
                raise ReplyError(f"quality: the circuit of class {entry.class_id} keeps no channel, yet is usable")
    return Study(circuits, retest, quality, Negatives(negatives))


# -- Records

AnyRecord = TypeVar("AnyRecord", ArrayRecord, MetricRecord, ConfigRecord)


def _record(content: RecordDict, key: str, kind: type[AnyRecord]) -> AnyRecord:
    record = content.get(key)
    if not isinstance(record, kind):
        raise ReplyError(f"{key}: no {kind.__name__} of this name")
    return record


def _rows(content: RecordDict, key: str, row_type: type[Row], class_ids: Sequence[int]) -> list[Row]:
    return columns_to_rows(_record(content, key, ConfigRecord), key, row_type, class_ids)
