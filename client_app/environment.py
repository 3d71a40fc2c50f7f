"""What a client works with, from the settings it is sent and the configuration of its node."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import cast, get_args

import torch
from flwr.app import RecordDict

from fedcircuits.data import Dataset, LabelledImages, load_dataset
from fedcircuits.digest import code_digest
from fedcircuits.errors import FedCircuitsError, SettingsError
from fedcircuits.machine import use_machine
from fedcircuits.messages import decode_settings
from fedcircuits.model_spec import ModelSpec
from fedcircuits.models import model_spec
from fedcircuits.partitions import client_images
from fedcircuits.privacy import Report, exceeds
from fedcircuits.replies import NodeInfo
from fedcircuits.settings import DataSettings, Settings
from fedcircuits.study import Bench, client_bench


@dataclass(frozen=True)
class Client:
    """One client, ready to work; its tensors are on the device that it may use."""

    settings: Settings
    spec: ModelSpec
    partition_id: int
    num_partitions: int
    train: LabelledImages
    bench: Bench


def prepare_client(settings: Settings, node_config: Mapping[str, object]) -> Client:
    """Load the client's images and set up its machine; cheap after the first call in a process.

    Args:
        settings: of the run.
        node_config: `partition-id` and `num-partitions`; simulation sets them, a SuperNode's `--node-config` must.
            With `client-report` in it, the node takes no part in runs that ask it to report more.

    Raises:
        SettingsError: if the node's configuration lacks one of the two, or forbids what the run asks for.
        DataError: if the dataset is missing or cannot be split.
    """
    partition_id, num_partitions = _identity(node_config)
    _check_report(settings, node_config)
    device = use_machine(settings.machine)
    data, seed = settings.data, settings.run.seed
    train = client_images(load_dataset(data, seed).train, data, num_partitions, partition_id, seed).to(device)
    dataset = Dataset(train, *_held_out(data, seed, device))
    return Client(
        settings=settings,
        spec=model_spec(settings),
        partition_id=partition_id,
        num_partitions=num_partitions,
        train=train,
        bench=client_bench(settings, dataset, train, partition_id),
    )


def introduce(content: RecordDict, node_config: Mapping[str, object]) -> NodeInfo:
    """Return what the server wants to know of this node; a client that cannot start says so instead of failing.

    Raises:
        SettingsError: if the node's configuration does not say which partition it is.
    """
    partition_id, num_partitions = _identity(node_config)
    try:
        client = prepare_client(decode_settings(content), node_config)
    except FedCircuitsError as error:
        return NodeInfo(partition_id, num_partitions, code_digest(), [], str(error))
    if not client.settings.privacy.reports_classes:
        return NodeInfo(partition_id, num_partitions, code_digest(), [], num_images=len(client.train))
    class_counts = client.train.class_counts(client.spec.num_classes)
    return NodeInfo(partition_id, num_partitions, code_digest(), class_counts)


def _check_report(settings: Settings, node_config: Mapping[str, object]) -> None:
    """The run's settings come from the server; what a node reports at most is for its owner to say."""
    allowed, asked = node_config.get("client-report", "full"), settings.privacy.client_report
    if allowed not in get_args(Report):
        raise SettingsError(
            [f"client-report = {allowed!r} in --node-config: must be one of {', '.join(get_args(Report))}"]
        )
    if exceeds(asked, cast(Report, allowed)):
        raise SettingsError(
            [f'client-report = "{asked}": this node reports "{allowed}" at most, as its --node-config says']
        )


@lru_cache(maxsize=2)
def _held_out(data: DataSettings, seed: int, device: torch.device) -> tuple[LabelledImages, LabelledImages]:
    """Return probe set and test set, copied once per process: a worker serves many clients, a GPU is far away."""
    dataset = load_dataset(data, seed)
    return dataset.probe.to(device), dataset.test.to(device)


def _identity(node_config: Mapping[str, object]) -> tuple[int, int]:
    """Return (partition id, number of partitions)."""
    keys = ("partition-id", "num-partitions")
    wrong = [key for key in keys if not isinstance(node_config.get(key), int)]
    if wrong:
        raise SettingsError(
            [
                f"{key} is not set; start the node with --node-config 'partition-id=<number> num-partitions=<number>'"
                for key in wrong
            ]
        )
    partition_id, num_partitions = (node_config[key] for key in keys)
    return cast(int, partition_id), cast(int, num_partitions)
