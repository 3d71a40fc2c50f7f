"""What a client works with, from the settings it is sent and the configuration of its node."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from flwr.app import RecordDict

from client_app.node_config import NodeConfig, read_identity, read_node_config
from fedcircuits.circuits.study import Bench, client_bench, own_bench
from fedcircuits.data.datasets import Dataset, LabelledImages, load_dataset
from fedcircuits.data.fingerprints import fingerprint
from fedcircuits.data.own_images import load_own_images
from fedcircuits.data.partitions import client_images
from fedcircuits.data.picture_cache import site_salt
from fedcircuits.errors import FedCircuitsError, SettingsError
from fedcircuits.federation.digest import CLIENT_SIDE, code_digest
from fedcircuits.federation.messages import decode_settings
from fedcircuits.federation.replies import NodeInfo
from fedcircuits.networks.device import use_machine
from fedcircuits.networks.spec import ModelSpec
from fedcircuits.settings import DataSettings, Settings
from fedcircuits.settings.privacy import Report, exceeds


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
        node_config: see `client_app.node_config`.

    Raises:
        SettingsError: if the node's configuration is wrong, or contradicts or forbids what the settings ask for.
        DataError: if images are missing, cannot be used, or cannot be split.
    """
    partition_id, num_partitions = read_identity(node_config)
    node = read_node_config(node_config)
    _check_report(settings, node.client_report)
    device = use_machine(settings.machine.device, settings.machine.num_threads)
    if node.data_path is None:
        train, bench = _shared_images(settings, partition_id, num_partitions, device)
    else:
        train, bench = _own_images(settings, node.data_path, node.cache_path, partition_id, device)
    return Client(settings, settings.spec, partition_id, num_partitions, train, bench)


def introduce(content: RecordDict, node_config: Mapping[str, object]) -> NodeInfo:
    """Return what the server wants to know of this node; a client that cannot start says so instead of failing.

    Raises:
        SettingsError: if the node's configuration does not say which partition it is.
    """
    partition_id, num_partitions = read_identity(node_config)
    label = ""
    try:
        label = read_node_config(node_config).label
        client = prepare_client(decode_settings(content), node_config)
    except FedCircuitsError as error:
        return NodeInfo(partition_id, num_partitions, code_digest(CLIENT_SIDE), [], str(error), label=label)
    tells_classes = client.settings.privacy.reports_classes
    return NodeInfo(
        partition_id,
        num_partitions,
        code_digest(CLIENT_SIDE),
        client.train.class_counts(client.spec.num_classes) if tells_classes else [],
        num_images=0 if tells_classes else len(client.train),
        label=label,
        has_own_images="data-path" in node_config,
        fingerprint=_fingerprint(client, read_node_config(node_config)) if tells_classes else "",
    )


def _fingerprint(client: Client, node: NodeConfig) -> str:
    """Return the fingerprint of a client's own images; empty if there are none, or no place to keep its secret."""
    salt = site_salt(node.cache_path) if node.data_path and node.cache_path else b""
    # Two clients of one site have a secret each.
    return fingerprint(client.train, client.bench.test, salt=salt + bytes([client.partition_id % 256])) if salt else ""


def _own_images(
    settings: Settings, folder: Path, cache: Path | None, partition_id: int, device: torch.device
) -> tuple[LabelledImages, Bench]:
    """Return the client's own images to train on, and a bench that knows no others."""
    if settings.discovery.share_probe:
        raise SettingsError(
            ["share-probe = true: a client with data-path has no images of the server's; set share-probe to false"]
        )
    train, test = (part.to(device) for part in load_own_images(folder, settings.data, cache))
    return train, own_bench(settings, train, test, partition_id)


def _shared_images(
    settings: Settings, partition_id: int, num_partitions: int, device: torch.device
) -> tuple[LabelledImages, Bench]:
    """Return the client's part of the shared dataset, and a bench with the dataset's held-out images."""
    data, seed = settings.data, settings.run.seed
    train = client_images(load_dataset(data, seed).train, data, num_partitions, partition_id, seed).to(device)
    dataset = Dataset(train, *_held_out(data, seed, device))
    return train, client_bench(settings, dataset, train, partition_id)


def _check_report(settings: Settings, allowed: Report) -> None:
    """The run's settings come from the server; what a node reports at most is for its owner to say."""
    asked = settings.privacy.client_report
    if exceeds(asked, allowed):
        raise SettingsError(
            [f'client-report = "{asked}": this node reports "{allowed}" at most, as its --node-config says']
        )


@lru_cache(maxsize=2)
def _held_out(data: DataSettings, seed: int, device: torch.device) -> tuple[LabelledImages, LabelledImages]:
    """Return probe set and test set, copied once per process: a worker serves many clients, a GPU is far away."""
    dataset = load_dataset(data, seed)
    return dataset.probe.to(device), dataset.test.to(device)
