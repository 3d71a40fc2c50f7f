"""Figures of a summary as text."""

from typing import Any, Final

import pandas as pd

UNDEFINED: Final = "–"


def number(value: Any, digits: int) -> str:
    """Round a figure; adding zero turns -0.00 into 0.00."""
    return UNDEFINED if pd.isna(value) else f"{round(float(value), digits) + 0.0:.{digits}f}"
