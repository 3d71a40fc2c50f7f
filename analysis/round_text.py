"""Rounds in words."""

from collections.abc import Sequence

import pandas as pd


def ranges(rounds: Sequence[int]) -> str:
    """Show ascending rounds, those that follow each other as a range: `1–3, 6`."""
    numbers = pd.Series(rounds)
    runs = numbers.groupby((numbers.diff() != 1).cumsum())
    return ", ".join(f"{own.iloc[0]}" if len(own) == 1 else f"{own.iloc[0]}–{own.iloc[-1]}" for _, own in runs)


def named_rounds(rounds: Sequence[int]) -> str:
    """Show ascending rounds with their noun: `round 2`, `rounds 1–3, 6`."""
    return f"round{'' if len(rounds) == 1 else 's'} {ranges(rounds)}"
