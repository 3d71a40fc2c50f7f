"""Division where nothing to divide by means that there is no figure."""

import numpy as np
from numpy import ndarray as Array


def ratio(numerator: Array, denominator: Array, empty: float = np.nan) -> Array:
    """Divide, with `empty` where the denominator is 0 (or rounds to it)."""
    denominator = np.asarray(denominator, dtype=np.float64)
    is_defined = np.abs(denominator) > 1e-12
    return np.where(is_defined, numerator / np.where(is_defined, denominator, 1.0), empty)
