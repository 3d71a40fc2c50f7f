"""The names that everything else relies on: tables and columns of the run log, and keys of messages.

Column names and key strings are defined here and nowhere else; docs/run-log.md explains every column.
"""

from enum import StrEnum
from typing import Final

import pyarrow as pa


class ModelKind(StrEnum):
    """Which model a row is about."""

    GLOBAL = "global"
    "The average, after the round's aggregation."
    CLIENT = "client"
    "A client's model after its local training, before aggregation."
    TRANSPLANT = "transplant"
    "A client's local circuit run on the new global weights."


class DataKind(StrEnum):
    """Whose images a circuit was found on."""

    CLIENT = "client"
    SERVER = "server"


class Comparison(StrEnum):
    """What a row of the overlap table compares."""

    SAME_CLASS_ACROSS_CLIENTS = "same_class_across_clients"
    DIFFERENT_CLASS_ACROSS_CLIENTS = "different_class_across_clients"
    DIFFERENT_CLASS_WITHIN_CLIENT = "different_class_within_client"
    ROUND_TO_ROUND = "round_to_round"
    LOCAL_VS_GLOBAL = "local_vs_global"
    PARAMETER_MASK_ACROSS_CLIENTS = "parameter_mask_across_clients"
    PARAMETER_MASK_LOCAL_VS_GLOBAL = "parameter_mask_local_vs_global"
    RETEST = "retest"


class MatchingMethod(StrEnum):
    """How channels of two models were matched."""

    ACTIVATIONS = "activations"
    "By the correlation of what they do on the same images."
    WEIGHTS = "weights"
    "By the likeness of their weights."


class AlignmentVerdict(StrEnum):
    """What a matching of channels says about two models' circuits of one class."""

    DIFFERENT = "genuinely different"
    "They share few channels, however the channels are named."
    RELABELLING = "relabelling"
    "They are alike once channels are matched, and more so than the matching does by itself."
    IRRELEVANT = "alignment irrelevant"
    "The matching leaves channels where they are, or circuits are alike without it."
    UNDECIDED = "undecided"


class RungName(StrEnum):
    """A rung of the collapse ladder: what a model is given before it is scored, so that gaps between rungs tell where
    accuracy went. Every fit is on the same few probe images, as many of each class.
    """

    FEDAVG = "A0"
    "The average as it is."
    RESCALED = "A1"
    "The average with a new scale and a new bias for each class's logit."
    NEW_HEAD = "A2"
    "A new linear head on the average's features: what its body still encodes."
    CLIENT_HEAD = "A3"
    "A new linear head on a client's own features: what bodies encoded before averaging. Without a client: the mean."
    JOINT_HEAD = "A3c"
    "A new linear head on the features of all clients side by side."
    CENTRAL = "A4"
    "Training in one place, for as many steps, on the images of all clients: the ceiling."
    ENSEMBLE_LOGITS = "E_logits"
    "The clients' models kept intact, their logits averaged: what averaging weights could keep at best."
    ENSEMBLE_PROBABILITIES = "E_probabilities"
    "The same with probabilities averaged."
    UNTRAINED = "R"
    "A new linear head on the features of the untrained network: the floor of heads on features."
    OVERLAP_COUNT = "overlap_count"
    "The mean of each weight over the clients that keep it: without dilution, otherwise as A0."


ALL_LAYERS: Final = "all"
"""Stands for all layers pooled, in columns named `layer`."""

COLLAPSED_RECALL: Final = 0.05
"""A class that clients trained on, but of which a model recognises less than this share, has collapsed."""

MIN_RELIABILITY: Final = 0.3
"""Below this retest correlation a circuit is not measurable: correlations with it are not corrected for noise."""

_I, _F, _S, _B = pa.int64(), pa.float64(), pa.string(), pa.bool_()


def _schema(**columns: pa.DataType) -> pa.Schema:
    return pa.schema(list(columns.items()))


_OVERLAP: Final = _schema(
    round=_I,
    comparison=_S,
    a_model=_S,
    a_partition_id=_I,
    a_class_id=_I,
    a_round=_I,
    b_model=_S,
    b_partition_id=_I,
    b_class_id=_I,
    b_round=_I,
    layer=_S,
    intersection=_I,
    size_a=_I,
    size_b=_I,
    universe=_I,
    iou=_F,
    expected_iou=_F,
    expected_sd=_F,
    adjusted_iou=_F,
    size_adjusted_iou=_F,
    p_over=_F,
    p_under=_F,
    phi=_F,
    reliability=_F,
    phi_true=_F,
    graded_overlap=_F,
    expected_graded_overlap=_F,
    common_universe=_I,
    common_adjusted_iou=_F,
    common_phi=_F,
    usable=_B,
)

_OVERLAP_SUMMARY: Final = _schema(
    round=_I,
    comparison=_S,
    layer=_S,
    figure=_S,
    num_pairs=_I,
    num_left_out=_I,
    mean=_F,
    sd=_F,
    q05=_F,
    q25=_F,
    q50=_F,
    q75=_F,
    q95=_F,
)

TABLES: Final[dict[str, pa.Schema]] = {
    "clients": _schema(
        round=_I,
        partition_id=_I,
        accepted=_B,
        reason=_S,
        num_examples=_I,
        class_counts=pa.list_(_I),
        train_loss=_F,
        train_seconds=_F,
        discovery_seconds=_F,
        evaluate_seconds=_F,
        density=_F,
        layer_density=pa.list_(_F),
        negatives=_S,
        reply_bytes=_I,
        weight_bytes=_I,
    ),
    "accuracy": _schema(
        round=_I,
        model=_S,
        partition_id=_I,
        class_id=_I,
        recall=_F,
        false_positive_rate=_F,
        num_examples=_I,
    ),
    "circuits": _schema(
        round=_I,
        model=_S,
        partition_id=_I,
        data=_S,
        class_id=_I,
        layer=_S,
        num_channels=_I,
        layer_width=_I,
        channels=pa.list_(pa.int32()),
        score=pa.list_(pa.float32()),
        rank=pa.list_(pa.int32()),
        reachable=pa.list_(pa.int32()),
    ),
    "edges": _schema(
        round=_I,
        model=_S,
        partition_id=_I,
        data=_S,
        class_id=_I,
        layer=_S,
        num_edges=_I,
        sources=pa.list_(pa.int32()),
        targets=pa.list_(pa.int32()),
    ),
    "quality": _schema(
        round=_I,
        model=_S,
        partition_id=_I,
        data=_S,
        class_id=_I,
        sufficiency=_F,
        necessity=_F,
        false_positive_rate=_F,
        false_positive_rate_all=_F,
        balanced_accuracy=_F,
        empty_circuit_recall=_F,
        usable=_B,
    ),
    "overlap": _OVERLAP,
    "edge_overlap": _OVERLAP,
    "overlap_summary": _OVERLAP_SUMMARY,
    "edge_overlap_summary": _OVERLAP_SUMMARY,
    "masks": _schema(
        round=_I,
        model=_S,
        partition_id=_I,
        mask=pa.binary(),
    ),
    "mask_shares": _schema(
        round=_I,
        layer=_S,
        num_clients=_I,
        share=pa.list_(pa.float32()),
    ),
    "interference": _schema(
        round=_I,
        layer=_S,
        num_clients=_I,
        cancellation=_F,
        effective_cosine=_F,
        sign_conflict=_F,
        sign_conflict_null=_F,
        sign_conflict_null_sd=_F,
        support_solo=_F,
        support_agree=_F,
        support_conflict=_F,
        norm_retention=_F,
        activation_retention=_F,
        density_clients=_F,
        density_union=_F,
        density_global=_F,
    ),
    "circuit_interference": _schema(
        round=_I,
        partition_id=_I,
        class_id=_I,
        layer=_S,
        num_weights=_I,
        cancellation=_F,
        effective_cosine=_F,
        sign_conflict=_F,
        sign_conflict_null=_F,
        sign_conflict_null_sd=_F,
        support_solo=_F,
        support_agree=_F,
        support_conflict=_F,
        norm_retention=_F,
    ),
    "stability": _schema(
        round=_I,
        class_id=_I,
        layer=_S,
        num_circuits=_I,
        stability=_F,
        low=_F,
        high=_F,
    ),
    "curves": _schema(
        round=_I,
        model=_S,
        partition_id=_I,
        data=_S,
        class_id=_I,
        size=_I,
        share=_F,
        faithfulness=_F,
        recall=_F,
        false_positive_rate=_F,
        balanced_accuracy=_F,
    ),
    "scrutiny": _schema(
        round=_I,
        model=_S,
        partition_id=_I,
        data=_S,
        class_id=_I,
        num_channels=_I,
        num_reachable=_I,
        separation=_F,
        faithfulness=_F,
        cpr=_F,
        cmd=_F,
        cpr_log=_F,
        cmd_log=_F,
        completeness=_F,
        incompleteness=_F,
        minimality=_F,
        needless_share=_F,
        stochastic_25=_F,
        stochastic_50=_F,
        stochastic_75=_F,
        stochastic_100=_F,
        rank_agreement=_F,
        p_sufficiency=_F,
        p_necessity=_F,
        p_minimality=_F,
        p_equivalence=_F,
    ),
    "validity": _schema(
        round=_I,
        partition_id=_I,
        control=_S,
        class_id=_I,
        balanced_accuracy=_F,
        control_balanced_accuracy=_F,
        size=_I,
        control_size=_I,
        z=_F,
        beaten=_B,
    ),
    "alignment": _schema(
        round=_I,
        method=_S,
        a_partition_id=_I,
        b_partition_id=_I,
        layer=_S,
        num_channels=_I,
        num_matched=_I,
        fixed_points=_F,
        correlation=_F,
        matched_correlation=_F,
        phi=_F,
        matched_phi=_F,
        other_class_phi=_F,
        random_phi=_F,
        num_circuits=_I,
        verdict=_S,
    ),
    "barriers": _schema(
        round=_I,
        a_partition_id=_I,
        b_partition_id=_I,
        barrier=_F,
        alpha=_F,
        loss_a=_F,
        loss_b=_F,
        loss_peak=_F,
        loss_middle=_F,
        matched_barrier=_F,
    ),
    "swaps": _schema(
        round=_I,
        partition_id=_I,
        class_id=_I,
        circuit=_S,
        weights=_S,
        separation=_F,
        faithfulness=_F,
        recall=_F,
        false_positive_rate=_F,
        balanced_accuracy=_F,
    ),
    "patching": _schema(
        round=_I,
        partition_id=_I,
        class_id=_I,
        num_weights=_I,
        separation=_F,
        patched_separation=_F,
        gain=_F,
        random_gain=_F,
        random_gain_sd=_F,
        p_value=_F,
        balanced_accuracy_gain=_F,
        random_balanced_accuracy_gain=_F,
    ),
    "ladder": _schema(
        round=_I,
        rung=_S,
        partition_id=_I,
        accuracy=_F,
        accuracy_trained=_F,
    ),
    "costs": _schema(
        round=_I,
        measure=_S,
        seconds=_F,
    ),
}
"""Table name to its columns. Columns that do not apply to a row, and figures that are undefined, are null."""

ADDED_TABLES: Final = frozenset({"overlap_summary", "edge_overlap_summary", "masks", "mask_shares"})
"""Tables that runs of the same schema version may lack, because they are older: there they have no rows."""


class Key:
    """Keys of the records in a message, and of the values in them."""

    ARRAYS: Final = "arrays"
    CONFIG: Final = "config"
    METRICS: Final = "metrics"
    UPDATE: Final = "update"
    CIRCUITS: Final = "circuits"
    RETEST: Final = "retest"
    QUALITY: Final = "quality"
    TRANSPLANT: Final = "transplant"
    ACCURACY: Final = "accuracy"
    NODE: Final = "node"

    SERVER_ROUND: Final = "server-round"
    TRAINED_CLASSES: Final = "trained-classes"
    PARTITION_ID: Final = "partition-id"
    NUM_PARTITIONS: Final = "num-partitions"
    CODE_DIGEST: Final = "code-digest"
    CLASS_COUNTS: Final = "class-counts"
    PROBLEM: Final = "problem"
    LABEL: Final = "label"
    HAS_OWN_IMAGES: Final = "has-own-images"
    PARAMETER_MASK: Final = "parameter-mask"
    NEGATIVES: Final = "negatives"
    CLASS_IDS: Final = "class-ids"
    MEMBERS: Final = "members"
    SCORES: Final = "scores"
    RANKING: Final = "ranking"

    NUM_EXAMPLES: Final = "num-examples"
    PLAIN_WEIGHT: Final = "plain-weight"
    TRAIN_LOSS: Final = "train_loss"
    TRAIN_SECONDS: Final = "train-seconds"
    DISCOVERY_SECONDS: Final = "discovery-seconds"
    EVALUATE_SECONDS: Final = "evaluate-seconds"
