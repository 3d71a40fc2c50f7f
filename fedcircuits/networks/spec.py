"""The shape of the network under study: its layers, and what each of them holds.

Convolutions `conv1`, `conv2`, … are followed by linear layers: hidden ones, `hidden1`, `hidden2`, …, if there are any,
and the readout `fc`, whose outputs are the logits.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

Padding = Literal["same", "valid"]
"""What a convolution adds around its input: `same` keeps the image's size, `valid` adds nothing."""

READOUT = "fc"


@dataclass(frozen=True)
class ModelSpec:
    """The shape of a network; what has a default is as in arXiv 2512.23043.

    Args:
        in_channels: channels of an image, 1 or 3.
        image_size: height and width of an image in pixels.
        channels: output channels of each convolution.
        num_classes: outputs of the readout.
        kernel_size: height and width of each convolution's kernels, odd.
        padding: what each convolution adds around its input.
        hidden_units: outputs of each linear layer between convolutions and readout.
    """

    in_channels: int
    image_size: int
    channels: tuple[int, ...]
    num_classes: int
    kernel_size: int = 3
    padding: Padding = "same"
    hidden_units: tuple[int, ...] = ()

    @property
    def conv_names(self) -> tuple[str, ...]:
        """Names of the layers whose channels circuits are made of, input to output."""
        return tuple(f"conv{i + 1}" for i in range(len(self.channels)))

    @property
    def hidden_names(self) -> tuple[str, ...]:
        """Names of the linear layers between convolutions and readout, input to output."""
        return tuple(f"hidden{i + 1}" for i in range(len(self.hidden_units)))

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Names of all layers with weights, input to output."""
        return (*self.conv_names, *self.hidden_names, READOUT)

    @property
    def num_channels(self) -> int:
        """Channels of all convolutions together: the length of a circuit."""
        return sum(self.channels)

    @property
    def margin(self) -> int:
        """Pixels of zeros that each convolution adds at each edge of its input."""
        return self.kernel_size // 2 if self.padding == "same" else 0

    @property
    def map_sizes(self) -> tuple[int, ...]:
        """Height and width of what each convolution computes, before pooling; 0 if nothing is left of the image."""
        sizes, size = [], self.image_size
        for _ in self.channels:
            sizes.append(max(0, size + 2 * self.margin - self.kernel_size + 1))
            size = sizes[-1] // 2
        return tuple(sizes)

    @property
    def feature_size(self) -> int:
        """Height and width of the last activation map; 0 if nothing is left of the image."""
        return self.map_sizes[-1] // 2 if self.channels else self.image_size

    @property
    def largest_map(self) -> int:
        """Values in the largest map that a convolution computes of one image, all channels together."""
        return max(width * size**2 for width, size in zip(self.channels, self.map_sizes, strict=True))

    @property
    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Layer name to the shape of its weight, in the order in which masks are packed."""
        kernel = (self.kernel_size, self.kernel_size)
        widths = (self.channels[-1] * self.feature_size**2, *self.hidden_units, self.num_classes)
        convs = [(num_out, num_in, *kernel) for num_in, num_out in pairwise((self.in_channels, *self.channels))]
        linears = [(num_out, num_in) for num_in, num_out in pairwise(widths)]
        return dict(zip(self.layer_names, [*convs, *linears], strict=True))

    @property
    def state_shapes(self) -> dict[str, tuple[int, ...]]:
        """Parameter name to shape, weights and biases, in the model's order."""
        shapes: dict[str, tuple[int, ...]] = {}
        for name, shape in self.weight_shapes.items():
            shapes[f"{name}.weight"] = shape
            shapes[f"{name}.bias"] = shape[:1]
        return shapes
