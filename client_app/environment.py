"""What a client works with, from the settings it is sent and the configuration of its node."""

from collections.abc import Mapping
from dataclasses import dataclass

from fedcircuits.data import LabelledImages, load_dataset
from fedcircuits.errors import SettingsError
from fedcircuits.machine import use_machine
from fedcircuits.models import ModelSpec, model_spec
from fedcircuits.partitions import client_images
from fedcircuits.settings import Settings
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

    Raises:
        SettingsError: if the node's configuration lacks one of the two.
        DataError: if the dataset is missing or cannot be split.
    """
    partition_id, num_partitions = (_node_number(node_config, key) for key in ("partition-id", "num-partitions"))
    device = use_machine(settings.machine)
    dataset = load_dataset(settings.data, settings.run.seed)
    train = client_images(dataset.train, settings.data, num_partitions, partition_id, settings.run.seed).to(device)
    return Client(
        settings=settings,
        spec=model_spec(settings),
        partition_id=partition_id,
        num_partitions=num_partitions,
        train=train,
        bench=client_bench(settings, dataset.to(device), train, partition_id),
    )


def _node_number(node_config: Mapping[str, object], key: str) -> int:
    value = node_config.get(key)
    if not isinstance(value, int):
        raise SettingsError([f"node-config: {key} = {value!r}; start the node with --node-config '{key}=<number> …'"])
    return value
