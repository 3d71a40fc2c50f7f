"""Which circuits, and pairs of circuits, enter means: those with a good verdict."""

import pandas as pd

from fedcircuits.records import count_reasons
from fedcircuits.runlog.run import Run


def is_counted(run: Run, verdicts: pd.Series) -> "pd.Series[bool]":
    """Tell which circuits or pairs enter overlaps and means: those that are usable.

    A missing verdict is none, and does not count. Imported logs lack the false-positive rates that decide it, so that
    nothing in them is known to be usable; there, what is not known to be unusable counts.

    Args:
        run: the run.
        verdicts: a column `usable` of one of its tables.
    """
    return verdicts.astype("boolean").fillna("imported-from" in run.settings).astype("bool")


def is_unknown(quality: pd.DataFrame) -> "pd.Series[bool]":
    """Tell which rows of the table `quality` have neither a verdict nor a reason why there is none."""
    return quality["usable"].isna() & quality["reason"].isna()


def usable_share(quality: pd.DataFrame) -> "pd.Series[float]":
    """Return the share of usable circuits by round, of those with a verdict; NaN where the log does not say of any."""
    verdicts = quality["usable"].astype("Float64").astype("float64")
    shares = verdicts.groupby(quality["round"]).mean()
    return shares.mask(is_unknown(quality).groupby(quality["round"]).any())


def reasons_in_words(quality: pd.DataFrame) -> str:
    """Say how many circuits are not usable for which reason; empty if all are usable."""
    return count_reasons(quality["reason"].dropna())
