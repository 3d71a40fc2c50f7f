"""Strict JSON (RFC 8259): undefined and infinite figures, which it has no word for, are null."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd


def json_text(data: Any) -> str:
    """Return data as JSON over several lines, with a newline at its end.

    Args:
        data: mappings, sequences, numbers (also numpy's), texts, paths, True, False and None; NaN, NA and infinities
            become null.
    """
    return json.dumps(_plain(data), indent=2, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(inner) for inner in value]
    if isinstance(value, np.generic):
        value = value.item()
    if value is pd.NA or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return str(value) if isinstance(value, Path) else value
