"""The network: three convolutions with ReLU and pooling, and a linear layer; gates act before ReLU."""

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor, nn

CONVOLUTIONS = ("conv1", "conv2", "conv3")

Gates = Mapping[str, Tensor]
"""Name of a convolution to one number per channel: 1 = on, 0 = off."""


class CNN(nn.Module):
    """Channels 32/64/128 for 28x28 images by default."""

    def __init__(self, channels: tuple[int, int, int] = (32, 64, 128), image_size: int = 28) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, channels[0], 3, padding=1)
        self.conv2 = nn.Conv2d(channels[0], channels[1], 3, padding=1)
        self.conv3 = nn.Conv2d(channels[1], channels[2], 3, padding=1)
        self.fc = nn.Linear(channels[2] * (image_size // 8) ** 2, 10)

    def forward(self, x: Tensor, gates: Gates | None = None) -> Tensor:
        """Return logits."""
        for name in CONVOLUTIONS:
            x = getattr(self, name)(x)
            if gates is not None:
                x = x * gates[name].view(1, -1, 1, 1)
            x = F.max_pool2d(F.relu(x), 2)
        return self.fc(x.flatten(1))
