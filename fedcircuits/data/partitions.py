"""Who holds what: the training images split among clients.

Dirichlet and pathological splits come from flwr-datasets' partitioners over a table of labels; IID splits are the same
as theirs. `classes` gives each client every image of the classes it names, so a class can be shared (the controlled
split of arXiv 2512.23043). What is shared out is originals: images that were made of one go to the same clients.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from numpy.typing import NDArray
from torch import Tensor

from fedcircuits.data.datasets import LabelledImages
from fedcircuits.errors import DataError
from fedcircuits.seeding import Purpose, numpy_generator
from fedcircuits.settings import DataSettings


class _SplitError(Exception):
    """The images cannot be split as the settings ask; says why."""


def partition_indices(
    train: LabelledImages, settings: DataSettings, num_clients: int, seed: int
) -> list[Int[Tensor, " _"]]:
    """Return the image indices of every client, ascending; the list's position is the partition id.

    Args:
        train: the training images.
        settings: which split, and its parameters.
        num_clients: number of clients, at least 1.
        seed: seed of the run; the split's own generator is derived from it.

    Raises:
        DataError: if the split cannot be made, or leaves a client without an image.
    """
    split = {"classes": _by_class_list, "iid": _evenly}.get(settings.partition, _by_partitioner)
    labels, original = (ids.cpu() for ids in train.originals())
    try:
        if num_clients > len(labels):
            raise _SplitError(f"there are only {len(labels)} training images that can be parted")
        # The least size counts images, and the partitioners count originals.
        least = math.ceil(settings.min_partition_size * len(labels) / len(train))
        parts = split(labels.numpy(), replace(settings, min_partition_size=least), num_clients, seed)
        if empty := [i for i, part in enumerate(parts) if len(part) == 0]:
            raise _SplitError(f"clients {empty} get no image")
    except _SplitError as error:
        raise DataError(f"partition = {settings.partition!r} for {num_clients} clients: {error}") from error
    return [torch.isin(original, torch.from_numpy(part)).nonzero().flatten() for part in parts]


@lru_cache(maxsize=2)
def _cached_indices(train: LabelledImages, settings: DataSettings, num_clients: int, seed: int) -> list[Tensor]:
    # Images hash by identity: no label is looked at when a message asks for a split that is there already.
    return partition_indices(train, settings, num_clients, seed)


def client_images(
    train: LabelledImages, settings: DataSettings, num_clients: int, partition_id: int, seed: int
) -> LabelledImages:
    """Return one client's training images; the split is computed once per process.

    Raises:
        DataError: as `partition_indices`, and if there is no such partition.
    """
    if not 0 <= partition_id < num_clients:
        raise DataError(f"partition-id = {partition_id}: must be 0 to {num_clients - 1}")
    return images_together(train, settings, num_clients, [partition_id], seed)


def images_together(
    train: LabelledImages, settings: DataSettings, num_clients: int, partition_ids: Sequence[int], seed: int
) -> LabelledImages:
    """Return the training images of one or more clients, each once if several hold it, in the order of `train`.

    Raises:
        DataError: as `partition_indices`.
    """
    parts = _cached_indices(train, settings, num_clients, seed)
    held = torch.cat([parts[partition_id] for partition_id in partition_ids]).unique()
    return train.select(held.to(train.device))


def _by_class_list(labels: NDArray[Any], settings: DataSettings, num_clients: int, _seed: int) -> list[NDArray[Any]]:
    if len(settings.client_classes) != num_clients:
        raise _SplitError(f"client-classes lists {len(settings.client_classes)} clients")
    return [np.flatnonzero(np.isin(labels, class_ids)) for class_ids in settings.client_classes]


def _evenly(labels: NDArray[Any], _settings: DataSettings, num_clients: int, seed: int) -> list[NDArray[Any]]:
    """Split as flwr-datasets' `IidPartitioner` does a shuffled table, without its seconds of import per process."""
    shuffled = np.random.default_rng(_partitioner_seed(seed)).permutation(len(labels))
    return [np.sort(part) for part in np.array_split(shuffled, num_clients)]


def _by_partitioner(labels: NDArray[Any], settings: DataSettings, num_clients: int, seed: int) -> list[NDArray[Any]]:
    """Split by one of flwr-datasets' partitioners, over a table of (label, position)."""
    from datasets import Dataset  # noqa: PLC0415  (two seconds of import that the other splits need not pay)
    from flwr_datasets import partitioner as flwr  # noqa: PLC0415

    table = Dataset.from_dict({"label": labels, "position": np.arange(len(labels))})
    if settings.partition == "dirichlet":
        partitioner = flwr.DirichletPartitioner(
            num_clients,
            "label",
            settings.dirichlet_alpha,
            min_partition_size=settings.min_partition_size,
            self_balancing=settings.dirichlet_balanced,
            seed=_partitioner_seed(seed),
        )
    else:
        partitioner = flwr.PathologicalPartitioner(
            num_clients,
            "label",
            settings.classes_per_client,
            class_assignment_mode="first-deterministic",
            seed=_partitioner_seed(seed),
        )
    partitioner.dataset = table
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a class nobody holds shows in the table of who holds what
        try:
            parts = [partitioner.load_partition(i)["position"] for i in range(num_clients)]
        except ValueError as error:
            raise _SplitError(_why_not(settings, error)) from error
    return [np.sort(np.asarray(part)) for part in parts]


def _why_not(settings: DataSettings, error: ValueError) -> str:
    """Say why a partitioner found no split; of a Dirichlet split its own words blame the concentration alone."""
    if settings.partition != "dirichlet":
        return str(error)
    return (
        f"no draw gave every client {settings.min_partition_size} images that can be parted or more; lower "
        f"min-partition-size, raise dirichlet-alpha ({settings.dirichlet_alpha:g}), or have fewer clients"
    )


def _partitioner_seed(seed: int) -> int:
    return int(numpy_generator(seed, Purpose.PARTITION).integers(2**31))
