"""Arithmetic of counts: division that may have no result, and totals over layers."""

import numpy as np
from numpy import ndarray as Array


def ratio(numerator: Array, denominator: Array, empty: float = np.nan) -> Array:
    """Divide, with `empty` where the denominator is 0 (or rounds to it)."""
    denominator = np.asarray(denominator, dtype=np.float64)
    is_defined = np.abs(denominator) > 1e-12
    return np.where(is_defined, numerator / np.where(is_defined, denominator, 1.0), empty)


def with_total(values: Array) -> Array:
    """Return `[pair, layer + 1]`: a column per layer, and one of their sum."""
    return np.column_stack([values, values.sum(axis=1)])
