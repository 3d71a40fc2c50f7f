"""Fixtures of the fidelity tests: the paper's setting, made small, and arithmetic in which order does not matter.

Each ingredient of the paper's method has a slow twin in tests/reference, written from the description alone. The
tests here feed both with the same weights and the same sequence of batches.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import torch
from paper import small_config

from fedcircuits.data import datasets as data_module
from fedcircuits.data.datasets import Dataset, LabelledImages, load_dataset
from fedcircuits.settings import Settings


@pytest.fixture(autouse=True, scope="module")
def _digits_without_ties() -> Iterator[None]:
    """Add a little noise to the digits.

    They have 17 grey values and a flat background, so that the maximum of a pooling window is often taken twice, and
    rounding would decide which of the two places gets the gradient.
    """
    read = data_module._read_digits

    def with_noise(data: LabelledImages) -> LabelledImages:
        noise = torch.randn(data.images.shape, dtype=torch.float32, generator=torch.Generator().manual_seed(0))
        return LabelledImages(data.images + 0.03 * noise, data.labels)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data_module, "_read_digits", lambda source: tuple(map(with_noise, read(source))))
        data_module._load.cache_clear()
        yield
    data_module._load.cache_clear()


@pytest.fixture
def small(defaults: Mapping[str, Any]) -> Callable[..., Settings]:
    """Build the settings of a small run in the paper's setting, with some changes."""
    return lambda **changes: Settings.from_config(
        {**small_config(defaults), **{key.replace("_", "-"): value for key, value in changes.items()}}
    )


@pytest.fixture
def digits(small: Callable[..., Settings]) -> Dataset:
    """A few hundred digits of the classes 0, 1 and 2, in double precision."""

    def chosen(data: LabelledImages) -> LabelledImages:
        few = data.select((data.labels < 3).nonzero().flatten())
        return LabelledImages(few.images.double(), few.labels)

    dataset = load_dataset(small().data, seed=0)
    return Dataset(chosen(dataset.train), chosen(dataset.probe), chosen(dataset.test))
