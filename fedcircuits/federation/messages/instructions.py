"""What the server tells clients to do: settings with every message, weights and the round with most."""

import json
from dataclasses import dataclass
from functools import lru_cache

from flwr.app import ArrayRecord, ConfigRecord, RecordDict
from torch import Tensor

from fedcircuits.federation.messages.reading import read_record
from fedcircuits.federation.messages.weights import decode_weights
from fedcircuits.federation.record_values import typed_list, typed_value
from fedcircuits.networks.spec import ModelSpec
from fedcircuits.records import Key
from fedcircuits.settings import Settings
from fedcircuits.training.local import RoundPosition


@dataclass(frozen=True)
class Instruction:
    """What a client is told to do in a round.

    Args:
        settings: of the run.
        weights: the global model's.
        position: the round.
        told_apart: classes that circuits must tell apart where they are found on the probe set.
        trained_classes: classes that any client has trained on; empty in the train phase.
    """

    settings: Settings
    weights: dict[str, Tensor]
    position: RoundPosition
    told_apart: list[int]
    trained_classes: list[int]


def encode_config(settings: Settings) -> ConfigRecord:
    """Return the settings as sent with every message; the strategy adds the round."""
    return ConfigRecord({Key.CONFIG: json.dumps(dict(settings.config))})


def decode_settings(content: RecordDict) -> Settings:
    """Return the settings in a message.

    Raises:
        ReplyError: if there are none.
        SettingsError: if they are wrong.
    """
    return _read_settings(typed_value(read_record(content, Key.CONFIG, ConfigRecord), Key.CONFIG, str))


@lru_cache(maxsize=2)
def _read_settings(text: str) -> Settings:
    """Read settings from JSON, once per process: every message to every client carries the same."""
    return Settings.from_config(json.loads(text))


def decode_instruction(content: RecordDict, spec: ModelSpec, settings: Settings) -> Instruction:
    """Return what a train or evaluate message asks for.

    Raises:
        ReplyError: if the message does not follow the schema.
    """
    config = read_record(content, Key.CONFIG, ConfigRecord)
    return Instruction(
        settings=settings,
        weights=decode_weights(read_record(content, Key.ARRAYS, ArrayRecord), spec),
        position=RoundPosition(typed_value(config, Key.SERVER_ROUND, int), settings.run.num_server_rounds),
        told_apart=_class_ids(config, Key.TOLD_APART),
        trained_classes=_class_ids(config, Key.TRAINED_CLASSES),
    )


def _class_ids(config: ConfigRecord, key: str) -> list[int]:
    return typed_list(config, key, int) if key in config else []
