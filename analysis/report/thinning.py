"""How much of a large run goes into a page: every figure of every round, single circuits and pairs of some rounds."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pandas as pd

TABLE_BYTES: Final = 5_000_000
"""What the rows of single pairs and circuits of one page may take."""

GRAPH_BYTES: Final = 5_000_000
"""What the channels and kernels of circuits of one page may take."""


@dataclass(frozen=True)
class Thinned:
    """A table in two parts, whose means by round are those of the whole.

    Args:
        rows: all rows of the rounds that are kept in full.
        means: of the other rounds the means over partitions, and how many rows each figure is the mean of
            (`n:` and the figure's name).
    """

    rows: pd.DataFrame
    means: pd.DataFrame


def rounds_within(budget: int, sizes: Mapping[int, int]) -> list[int]:
    """Return evenly spaced rounds, the last among them, as many as fit.

    Args:
        budget: bytes that they may take together.
        sizes: round to its bytes.

    Returns:
        ascending; empty if not even the last round fits.
    """
    rounds = sorted(sizes, reverse=True)
    for step in range(1, len(rounds) + 1):
        chosen = rounds[::step]
        if sum(sizes[server_round] for server_round in chosen) <= budget:
            return sorted(chosen)
    return []


def thin(frame: pd.DataFrame, rounds: Collection[int], over: Sequence[str], keys: Sequence[str]) -> Thinned:
    """Keep the rows of some rounds, and of the others their means.

    Args:
        frame: with the column `round`.
        rounds: kept in full.
        over: columns that the means are taken over.
        keys: all columns that are no figures, `over` among them.
    """
    is_kept = frame["round"].isin(list(rounds))
    return Thinned(frame[is_kept], grouped_means(frame[~is_kept], over, keys))


def grouped_means(frame: pd.DataFrame, over: Sequence[str], keys: Sequence[str]) -> pd.DataFrame:
    """Return the means of all figures over some columns, and as `n:…` how many values each is the mean of."""
    figures = [name for name in frame.columns if name not in keys]
    kept = [key for key in keys if key not in over]
    groups = frame.astype(dict.fromkeys(figures, "float64")).groupby(kept, dropna=False, sort=False)[figures]
    counts = groups.count().add_prefix("n:")
    return pd.concat([groups.mean(), counts], axis=1).reset_index()
