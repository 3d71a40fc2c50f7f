"""The shape of the network under study: its layers, and what each of them holds."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelSpec:
    """The shape of a network.

    Args:
        in_channels: channels of an image, 1 or 3.
        image_size: height and width of an image in pixels.
        channels: output channels of each convolution.
        num_classes: outputs of the linear layer.
    """

    in_channels: int
    image_size: int
    channels: tuple[int, ...]
    num_classes: int

    @property
    def conv_names(self) -> tuple[str, ...]:
        """Names of the layers whose channels circuits are made of, input to output."""
        return tuple(f"conv{i + 1}" for i in range(len(self.channels)))

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Names of all layers with weights, input to output."""
        return (*self.conv_names, "fc")

    @property
    def num_channels(self) -> int:
        """Channels of all convolutions together: the length of a circuit."""
        return sum(self.channels)

    @property
    def feature_size(self) -> int:
        """Height and width of the last activation map."""
        return self.image_size >> len(self.channels)

    @property
    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Layer name to the shape of its weight, in the order in which masks are packed."""
        inputs = (self.in_channels, *self.channels[:-1])
        shapes: dict[str, tuple[int, ...]] = {
            name: (num_out, num_in, 3, 3)
            for name, num_out, num_in in zip(self.conv_names, self.channels, inputs, strict=True)
        }
        shapes["fc"] = (self.num_classes, self.channels[-1] * self.feature_size**2)
        return shapes

    @property
    def state_shapes(self) -> dict[str, tuple[int, ...]]:
        """Parameter name to shape, weights and biases, in the model's order."""
        shapes: dict[str, tuple[int, ...]] = {}
        for name, shape in self.weight_shapes.items():
            shapes[f"{name}.weight"] = shape
            shapes[f"{name}.bias"] = shape[:1]
        return shapes
