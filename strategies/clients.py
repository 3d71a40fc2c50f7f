"""Who the clients of a federation are and what each of them holds, also of those that are gone for the moment."""

from typing import Any

from fedcircuits.data.labels import client_name
from fedcircuits.federation.replies import NodeInfo


class Clients:
    """What nodes have said of the partitions that they serve, the newest word of each."""

    def __init__(self) -> None:
        self._heard: dict[int, NodeInfo] = {}
        self._num_partitions = 0

    @property
    def num_partitions(self) -> int:
        """Number of clients that the federation is made of, as the nodes say; 0 until one has answered."""
        return self._num_partitions

    @property
    def num_images(self) -> int:
        """Training images that clients hold, counted once for each client that holds them."""
        return sum(info.num_held for info in self._heard.values())

    @property
    def all_have_own_images(self) -> bool:
        """Tell whether no client takes a part of a shared dataset, as far as they have been heard."""
        return bool(self._heard) and all(info.has_own_images for info in self._heard.values())

    def count(self, num_partitions: int) -> None:
        """Note how many clients a node says that there are; the first one to answer is believed."""
        self._num_partitions = self._num_partitions or num_partitions

    def enter(self, info: NodeInfo) -> None:
        """Note what a node says of its partition, in place of what was said of it before."""
        self._heard[info.partition_id] = info

    def num_examples(self, partition_id: int) -> int:
        """Return how many images a client holds."""
        return self._heard[partition_id].num_held

    def class_counts(self, partition_id: int) -> list[int] | None:
        """Return the images of each class that a client holds; None if clients do not say."""
        return self._heard[partition_id].class_counts or None

    @property
    def held_classes(self) -> list[int]:
        """Classes that any client holds, ascending; none if clients do not say."""
        counts = [info.class_counts for info in self._heard.values()]
        return sorted({class_id for own in counts for class_id, count in enumerate(own) if count})

    def has_own_images(self, partition_id: int) -> bool:
        """Tell whether a client's images are its own, and no part of the dataset that the server has."""
        return self._heard[partition_id].has_own_images

    def name(self, partition_id: int) -> str:
        """Return what a client is called where people read: its partition, and its label if it has one."""
        info = self._heard.get(partition_id)
        return client_name(partition_id, info.label if info else "")

    def descriptions(self) -> list[dict[str, Any]]:
        """Return what run.json says of the clients that have a label or images of their own, by partition."""
        return [
            {
                "partition_id": partition_id,
                "label": info.label or None,
                "num_images": info.num_held,
                "has_own_images": info.has_own_images,
                **({"fingerprint": info.fingerprint} if info.fingerprint else {}),
            }
            for partition_id, info in sorted(self._heard.items())
            if info.has_own_images or info.label
        ]
