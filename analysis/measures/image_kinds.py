"""Circuits of one model that were found twice, on a client's own images and on images common to all: which count.

What a circuit is worth to its client is asked of those found on its own images. Circuits of different clients are
compared if they were found on the same images. Where a model has one kind only, that kind serves both.
"""

from dataclasses import replace
from typing import Final

import pandas as pd

from fedcircuits.records import DataKind
from fedcircuits.runlog.run import Run

_MODEL: Final = ["round", "model", "partition_id"]


def on_own_images(run: Run) -> Run:
    """Return the run with each model's circuits on the images of its client, where there are such."""
    return _of_kind(run, DataKind.CLIENT)


def on_common_images(run: Run) -> Run:
    """Return the run with each model's circuits on the server's images, where there are such."""
    return _of_kind(run, DataKind.SERVER)


def _of_kind(run: Run, preferred: DataKind) -> Run:
    return replace(
        run,
        circuits=_preferred(run.circuits, preferred),
        edges=_preferred(run.edges, preferred),
        quality=_preferred(run.quality, preferred),
    )


def _preferred(rows: pd.DataFrame, kind: DataKind) -> pd.DataFrame:
    """Return the rows of a kind, and of models without any those of the other."""
    is_kind = (rows["data"] == kind).fillna(False).astype("bool")
    if is_kind.all() or not is_kind.any():
        return rows
    has_kind = is_kind.groupby([rows[key] for key in _MODEL], dropna=False).transform("any")
    return rows[is_kind | ~has_kind]
