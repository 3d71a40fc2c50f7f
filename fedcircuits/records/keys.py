"""Keys of messages."""

from typing import Final


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
    TOLD_APART: Final = "told-apart"
    TRAINED_CLASSES: Final = "trained-classes"
    PARTITION_ID: Final = "partition-id"
    NUM_PARTITIONS: Final = "num-partitions"
    CODE_DIGEST: Final = "code-digest"
    CLASS_COUNTS: Final = "class-counts"
    PROBLEM: Final = "problem"
    LABEL: Final = "label"
    HAS_OWN_IMAGES: Final = "has-own-images"
    FINGERPRINT: Final = "fingerprint"
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
