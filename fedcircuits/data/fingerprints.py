"""Digests by which images are known again, wherever they lie: the same images and labels in the same order."""

import hashlib
import hmac
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from fedcircuits.data.datasets import LabelledImages

_BYTES = 16


def fingerprint(*parts: "LabelledImages", salt: bytes = b"") -> str:
    """Return 32 hexadecimal digits that follow from pixels, as the network takes them, and labels.

    Args:
        parts: images, of one or of several sets.
        salt: a secret, without which nobody can tell whether a digest is that of images which they have.
    """
    digest = hmac.new(salt, digestmod=hashlib.sha256)
    for part in parts:
        pixels = part.images.cpu().permute(0, 2, 3, 1).contiguous().numpy()  # in memory as they lie there: no copy
        digest.update(repr((pixels.shape, str(pixels.dtype))).encode())
        digest.update(np.ascontiguousarray(pixels).data.cast("B") if pixels.size else b"")
        digest.update(part.labels.cpu().numpy().tobytes())
    return digest.hexdigest()[: 2 * _BYTES]
