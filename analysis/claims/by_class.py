"""What one run says class by class, so that runs whose clients hold other classes can be compared on some of them.

Class maps rotate with the seed: which classes a split trains on, and which its clients share, is read from every run.
"""

import base64
import math
import zlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis import measures
from analysis.claims.evidence import correlated_pairs
from analysis.measures import second_half
from fedcircuits.records import MIN_RELIABILITY, Comparison, ModelKind
from fedcircuits.runlog.run import Run

Held = tuple[tuple[int, ...], ...]
"""The classes of each client, ascending."""


@dataclass(frozen=True)
class PairSums:
    """Sums over the same-class pairs of one class, of which correlations on several classes are made.

    Args:
        num_pairs: pairs with a correlation and a reliability.
        phi: sum of their correlations.
        reliability: sum of their reliabilities.
        num_common: those of them with a correlation within the units that both models reach.
        common_phi: sum of these.
        common_reliability: sum of their reliabilities.
    """

    num_pairs: float = 0
    phi: float = 0.0
    reliability: float = 0.0
    num_common: float = 0
    common_phi: float = 0.0
    common_reliability: float = 0.0

    def __add__(self, other: "PairSums") -> "PairSums":
        return PairSums(*(one + two for one, two in zip(self.values(), other.values(), strict=True)))

    def values(self) -> tuple[float, ...]:
        """Return the sums in their order."""
        return tuple(vars(self).values())

    def true_correlation(self) -> float:
        """Return the ratio of means; NaN where nothing is measurable."""
        return _ratio(self.phi, self.reliability, self.num_pairs)

    def true_common_correlation(self) -> float:
        """Return the same within the units that both models reach."""
        return _ratio(self.common_phi, self.common_reliability, self.num_common)


@dataclass(frozen=True)
class ClassRecall:
    """How well the global model recognises a class: mean recall over rounds, and the class's test images."""

    recall: float
    num_images: int


@dataclass(frozen=True, eq=False)
class Hits:
    """How often the global model recognises what was made of each original of the test set.

    Args:
        num_rounds: rounds that were counted.
        by_class: for each class, `[original]`, images of the original that were recognised, summed over rounds.
    """

    num_rounds: int
    by_class: tuple[NDArray[np.int64], ...]

    def to_text(self) -> str:
        """Return the counts as text: rounds, originals of each class, and all counts, compressed."""
        sizes = ",".join(str(len(counts)) for counts in self.by_class)
        counts = np.concatenate(self.by_class).astype("<u2")
        return f"{self.num_rounds};{sizes};{base64.b64encode(zlib.compress(counts.tobytes(), 9)).decode()}"

    @classmethod
    def from_text(cls, text: str) -> "Hits":
        """Read what `to_text` returned.

        Raises:
            ValueError: if it is none.
        """
        num_rounds, sizes, packed = text.split(";")
        counts = np.frombuffer(zlib.decompress(base64.b64decode(packed)), "<u2").astype(np.int64)
        bounds = np.cumsum([int(size) for size in sizes.split(",")])
        if bounds[-1] != len(counts):
            raise ValueError("counts of hits do not fit the number of originals")
        return cls(int(num_rounds), tuple(np.split(counts, bounds[:-1])))


def held_classes(run: Run) -> Held:
    """Return the classes that each client holds, by partition."""
    held = measures.holdings(run) > 0
    return tuple(tuple(int(class_id) for class_id in held.columns[row]) for row in held.to_numpy())


def trained(held: Held) -> frozenset[int]:
    """Return the classes that any client holds."""
    return frozenset(class_id for classes in held for class_id in classes)


def shared(held: Held) -> frozenset[int]:
    """Return the classes that several clients hold."""
    return frozenset(c for c in trained(held) if sum(c in classes for classes in held) > 1)


def pair_sums(run: Run, last_round: int) -> dict[int, PairSums]:
    """Return the sums over same-class pairs of clients, by class."""
    rows = correlated_pairs(run, Comparison.SAME_CLASS_ACROSS_CLIENTS, last_round)
    rows = rows[rows["a_class_id"].notna() & rows["reliability"].notna()]
    rows = rows.assign(both=rows[["phi", "phi_swapped"]].astype("float64").mean(axis=1)).dropna(subset=["both"])
    return {int(str(class_id)): _sums(of_class) for class_id, of_class in rows.groupby("a_class_id")}


def class_recalls(run: Run, last_round: int) -> dict[int, ClassRecall]:
    """Return how well the global model recognises each class that has test images."""
    rows = _global_rows(run, last_round).dropna(subset=["recall"])
    return {
        int(str(class_id)): ClassRecall(float(of_class["recall"].mean()), int(of_class["num_examples"].iloc[0]))
        for class_id, of_class in rows.groupby("class_id")
    }


def hits(run: Run, last_round: int) -> Hits | None:
    """Return how often the global model recognises what was made of each original; None where that was not logged."""
    rows = _global_rows(run, last_round)
    if rows.empty or rows["hits"].isna().any():
        return None
    originals = run.info.get("test_origins")
    by_class = []
    for class_id, of_class in rows.groupby("class_id"):
        size = int(of_class["num_examples"].iloc[0])
        images = np.sum([np.unpackbits(np.frombuffer(bits, np.uint8), count=size) for bits in of_class["hits"]], axis=0)
        numbers = np.arange(size) if originals is None else np.array(originals[int(str(class_id))], dtype=np.int64)
        by_class.append(np.bincount(numbers, weights=images).astype(np.int64))
    return Hits(rows["round"].nunique(), tuple(by_class))


def accuracy_on(recalls: Mapping[int, ClassRecall], classes: Collection[int]) -> float:
    """Return the global model's accuracy over some classes; NaN if one of them has no test images, or there is none."""
    if not classes or not recalls.keys() >= set(classes):
        return math.nan
    chosen = [recalls[class_id] for class_id in classes]
    return sum(one.recall * one.num_images for one in chosen) / sum(one.num_images for one in chosen)


def shares_on(found: Hits, recalls: Mapping[int, ClassRecall], groups: Iterable[Collection[int]]) -> "pd.Series[float]":
    """Return what each original adds to the mean of the accuracies over groups of classes.

    Args:
        found: the hits.
        recalls: of the same run.
        groups: classes of each group.

    Returns:
        indexed by class and original; the values sum to the mean of the groups' accuracies.
    """
    every = [set(group) for group in groups]
    classes, places, shares = [], [], []
    for class_id, counts in enumerate(found.by_class):
        images = [sum(recalls[c].num_images for c in group if c in recalls) for group in every if class_id in group]
        weight = sum(1 / number for number in images) / len(every)
        classes.append(np.full(len(counts), class_id))
        places.append(np.arange(len(counts)))
        shares.append(weight * counts / found.num_rounds)
    originals = pd.MultiIndex.from_arrays([np.concatenate(classes), np.concatenate(places)])
    return pd.Series(np.concatenate(shares), index=originals, dtype="float64")


def _global_rows(run: Run, last_round: int) -> pd.DataFrame:
    return second_half(run.accuracy[run.accuracy["model"] == ModelKind.GLOBAL], last_round)


def _sums(rows: pd.DataFrame) -> PairSums:
    phi, reliability = rows["both"], rows["reliability"].astype("float64")
    common = rows["common_phi"].astype("float64").dropna()
    of_common = reliability[common.index]
    sums = (len(phi), float(phi.sum()), float(reliability.sum()))
    return PairSums(*sums, len(common), float(common.sum()), float(of_common.sum()))


def _ratio(total: float, reliability: float, num_pairs: float) -> float:
    return total / reliability if num_pairs and reliability / num_pairs >= MIN_RELIABILITY else math.nan
