"""Words that tables, figures and pages share: what a value means, each in one phrase, and which rounds."""

from collections.abc import Sequence
from typing import Final

import pandas as pd

RETEST: Final = "one model on two halves of the images, on average the most that noise allows"

CHANCE: Final = "random circuits of the same sizes"

ADJUSTED: Final = "1 = identical, 0 = chance"

DRIFT_GAP: Final = "recall of the global model's own circuits minus that of client circuits on its weights"


def ranges(rounds: Sequence[int]) -> str:
    """Show ascending rounds, those that follow each other as a range: `1–3, 6`."""
    numbers = pd.Series(rounds)
    runs = numbers.groupby((numbers.diff() != 1).cumsum())
    return ", ".join(f"{own.iloc[0]}" if len(own) == 1 else f"{own.iloc[0]}–{own.iloc[-1]}" for _, own in runs)


def named_rounds(rounds: Sequence[int]) -> str:
    """Show ascending rounds with their noun: `round 2`, `rounds 1–3, 6`."""
    return f"round{'' if len(rounds) == 1 else 's'} {ranges(rounds)}"
