"""Images as everyone loads them: torchvision's MNIST, decoded to PIL and normalised one by one, in a DataLoader."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Subset
from torchvision import transforms
from torchvision.datasets import MNIST


def mnist(folder: Path, train: bool) -> MNIST:
    """Return the dataset of PIL images with the usual transforms."""
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
    return MNIST(str(folder), train=train, transform=transform)


def loader_of(dataset: MNIST, positions: Sequence[int], batch_size: int, shuffle: bool) -> DataLoader:
    """Return a loader over some of the images."""
    return DataLoader(Subset(dataset, list(positions)), batch_size=batch_size, shuffle=shuffle)


class TensorLoader:
    """The same for images that lie ready on the device, as one would do for a GPU."""

    def __init__(self, images: Tensor, labels: Tensor, batch_size: int, shuffle: bool) -> None:
        self.images, self.labels = images, labels
        self.batch_size, self.shuffle = batch_size, shuffle

    def __len__(self) -> int:
        return math.ceil(len(self.labels) / self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        device, count = self.labels.device, len(self.labels)
        order = torch.randperm(count, device=device) if self.shuffle else torch.arange(count, device=device)
        for chosen in order.split(self.batch_size):
            yield self.images[chosen], self.labels[chosen]
