"""Data as text inside a page: compact columns, and JSON that no HTML parser can read as markup.

The scripts' `tables.js` reads what is written here.
"""

import base64
import json
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Column = dict[str, Any]
"""A column: 32-bit floats, or codes of one or two bytes that point into a list of levels."""

_ESCAPES: Final = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}


def json_for_html(value: Any) -> str:
    """Return JSON that may stand in a script element: ASCII without any `<`, so nothing in it ends the element."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    for character, escape in _ESCAPES.items():
        text = text.replace(character, escape)
    return text


def encode_bytes(values: NDArray[Any]) -> str:
    """Return an array's bytes, little-endian and in rows, as base64."""
    return base64.b64encode(values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()).decode("ascii")


def encode_table(frame: pd.DataFrame) -> dict[str, Any]:
    """Return a table as columns; floats lose what 32 bits cannot hold, missing values stay missing."""
    return {"rows": len(frame), "columns": {str(name): _encode_column(frame[name]) for name in frame.columns}}


def _encode_column(values: "pd.Series[Any]") -> Column:
    if pd.api.types.is_float_dtype(values.dtype):
        return {"floats": encode_bytes(values.to_numpy(dtype="float32", na_value=np.nan))}
    codes, levels = pd.factorize(values, sort=True)
    # The code of a missing value is that of one more level, which is null.
    filled = np.where(codes < 0, len(levels), codes)
    width = np.uint8 if len(levels) < 256 else np.uint16 if len(levels) < 65536 else np.uint32
    listed = [level.item() if hasattr(level, "item") else level for level in levels]
    return {"codes": encode_bytes(filled.astype(width)), "bytes": width().itemsize, "levels": [*listed, None]}
