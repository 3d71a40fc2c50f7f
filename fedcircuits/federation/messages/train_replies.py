"""A client's answer to a train message: its weights, their mask and, if it reports them, its circuits."""

import math
import os

import torch
from flwr.app import ArrayRecord, ConfigRecord, MetricRecord, RecordDict

from fedcircuits.circuits.circuit import pack_bits, unpack_bits
from fedcircuits.circuits.quality import ClassAccuracy
from fedcircuits.errors import ReplyError
from fedcircuits.federation.local_round import LocalUpdate
from fedcircuits.federation.messages.reading import read_metrics, read_record, read_rows
from fedcircuits.federation.messages.studies import add_study, decode_study
from fedcircuits.federation.messages.weights import decode_weights, encode_weights
from fedcircuits.federation.record_values import count_value, measured_value, rows_to_columns, typed_value
from fedcircuits.federation.replies import TrainReply
from fedcircuits.federation.reply_size import check_reply_size
from fedcircuits.networks.cnn import Weights
from fedcircuits.networks.spec import ModelSpec
from fedcircuits.overlap.randomised_response import Entropy, flip_bits
from fedcircuits.records import Key
from fedcircuits.settings.privacy import OPEN, PrivacySettings
from fedcircuits.training.sparsity import Masks


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
            add_study(content, update.study)
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
    metrics = read_metrics(content, {Key.TRAIN_SECONDS, *of_classes})
    update = read_record(content, Key.UPDATE, ConfigRecord)
    weights = decode_weights(read_record(content, Key.ARRAYS, ArrayRecord), spec)
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
        accuracy=read_rows(content, Key.ACCURACY, ClassAccuracy, range(spec.num_classes)) if tells_classes else [],
        study=decode_study(content, spec) if tells_classes and Key.CIRCUITS in content else None,
        weight_bytes=content[Key.ARRAYS].count_bytes(),
        reply_bytes=sum(record.count_bytes() for record in content.values()),
    )


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
