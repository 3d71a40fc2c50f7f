"""A model's weights as Flower's ArrayRecord, names and order kept."""

from io import BytesIO
from typing import Any

import numpy as np
import torch
from flwr.app import Array, ArrayRecord
from torch import Tensor

from fedcircuits.errors import ReplyError
from fedcircuits.networks.cnn import Weights
from fedcircuits.networks.spec import ModelSpec

LARGEST_WEIGHT = 1e4
"""No network that works has a larger one, and far larger ones overflow in what the average then computes."""


def encode_weights(weights: Weights) -> ArrayRecord:
    """Return weights as Flower's ArrayRecord, names and order kept."""
    return ArrayRecord({name: Array(value.detach().cpu().contiguous().numpy()) for name, value in weights.items()})


def decode_weights(record: ArrayRecord, spec: ModelSpec) -> dict[str, Tensor]:
    """Return the weights of a model of shape `spec`.

    Raises:
        ReplyError: if a name, a shape or a type differs from the model's, or a value is not finite or absurdly large.
    """
    if list(record.keys()) != list(spec.state_shapes):
        raise ReplyError(f"weights: arrays {list(record.keys())}, expected {list(spec.state_shapes)}")
    weights = {}
    for name, shape in spec.state_shapes.items():
        try:
            found_shape, found_type = _read_header(record[name].data)
            if found_shape != shape or found_type != np.float32:
                raise ReplyError(f"weights: {name} is {found_type}{list(found_shape)}, expected float32{list(shape)}")
            array = record[name].numpy()
        except (ValueError, TypeError, OSError, EOFError) as error:
            raise ReplyError(f"weights: {name} cannot be decoded: {error}") from error
        if not np.isfinite(array).all():
            raise ReplyError(f"weights: {name} has values that are not finite")
        if np.abs(array).max(initial=0) > LARGEST_WEIGHT:
            raise ReplyError(f"weights: {name} has values beyond ±{LARGEST_WEIGHT:g}")
        weights[name] = torch.from_numpy(array.copy())
    return weights


def _read_header(data: bytes) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return shape and type of an encoded array; decoding takes the memory that these ask for, true or not."""
    stream = BytesIO(data)
    version = np.lib.format.read_magic(stream)
    if version != (1, 0):
        raise ValueError(f"unknown version {version} of NumPy's format")
    shape, _, kind = np.lib.format.read_array_header_1_0(stream)
    return shape, kind
