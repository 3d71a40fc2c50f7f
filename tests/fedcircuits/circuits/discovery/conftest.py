"""A small untrained network and random images of four classes, for tests of discovery."""

import pytest
import torch

from fedcircuits.data.datasets import LabelledImages
from fedcircuits.networks.cnn import SparseCNN, build_model, initial_weights
from fedcircuits.networks.spec import ModelSpec

SPEC = ModelSpec(in_channels=1, image_size=8, channels=(4, 6, 5), num_classes=4)


@pytest.fixture
def data() -> LabelledImages:
    generator = torch.Generator().manual_seed(1)
    return LabelledImages(
        torch.randn(60, 1, 8, 8, generator=generator), torch.randint(0, 4, (60,), generator=generator)
    )


@pytest.fixture
def model() -> SparseCNN:
    return build_model(SPEC, initial_weights(SPEC, torch.Generator().manual_seed(2)), torch.device("cpu"))
