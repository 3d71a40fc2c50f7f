"""Are different circuits interchangeable? How alike two clients' circuits are, beside how well one works in the other.

The true correlation φ says whether clients use the same channels, functional transfer T whether a client's circuit does
its work in another's weights. The four ways in which they can go together mean four things.
"""

from dataclasses import dataclass
from typing import Final

import pandas as pd

from analysis.diagnosis.findings import Findings, counted, mean, measured_rows
from analysis.measures import identifiability_note, pooled_pairs, true_correlation
from fedcircuits.records import Comparison
from fedcircuits.runlog.run import Run

HIGH_PHI: Final = 0.5
"""From here on circuits count as alike: half-way between chance (0) and one circuit (1)."""

HIGH_TRANSFER: Final = 0.5
"""From here on a circuit counts as working in other weights: half-way between nothing (0) and the own circuit (1)."""

EXCESS: Final = 0.1
"""A transfer that is not this far above that of random circuits is what any channels of that number do."""

_VERDICTS: Final = {
    (True, True): "one circuit",
    (False, True): "interchangeable",
    (False, False): "different mechanisms",
    (True, False): "same channels, other weights",
}
"""Whether φ and T are high, to what that means."""

_MEANINGS: Final = {
    "one circuit": "Clients have one circuit of a class: its channels are alike and it works in each other's weights",
    "interchangeable": "Clients' circuits of a class differ in their channels, but work in each other's weights",
    "different mechanisms": "Clients have different mechanisms: circuits of a class differ, and do not work elsewhere",
    "same channels, other weights": "Clients use the same channels for a class, but not in the same way",
    "undefined": "Whether clients' circuits are interchangeable is not known",
}


@dataclass(frozen=True)
class ClassTransfer:
    """Means over ordered pairs of clients that have a circuit of a class.

    Args:
        class_id: the class; None for all of them.
        num_pairs: ordered pairs with a transfer.
        phi_true: correlation of the two circuits without the noise of discovery, a ratio of means over pairs.
        transfer: T, of the other client's circuit.
        random_transfer: of random circuits of its sizes.
        other_class_transfer: of the other client's circuits of other classes.
    """

    class_id: int | None
    num_pairs: int
    phi_true: float
    transfer: float
    random_transfer: float
    other_class_transfer: float

    @property
    def verdict(self) -> str:
        """Say in a word or two what φ and T are together."""
        if pd.isna(self.phi_true) or pd.isna(self.transfer):
            return "undefined"
        return _VERDICTS[self.phi_true >= HIGH_PHI, self.transfer >= HIGH_TRANSFER]


@dataclass(frozen=True)
class Transfers(Findings):
    """One entry per class, ascending, and one for all of them; `limit` says why φ is not to be relied on, if so."""

    classes: list[ClassTransfer]
    pooled: ClassTransfer
    limit: str

    @property
    def meaning(self) -> str:
        """Judge all classes together, and whether random circuits would do as well."""
        own = self.pooled
        said = f"{_MEANINGS[own.verdict]} (φ {_shown(own.phi_true)}, T {_shown(own.transfer)})"
        if own.transfer >= HIGH_TRANSFER and own.transfer - own.random_transfer < EXCESS:
            said += f"; but random circuits of their sizes do as well (T {own.random_transfer:.2f}), so T says little"
        limit = f" But {self.limit}." if self.limit else ""
        return f"{said} ({counted(own.num_pairs, 'ordered pair')}, one seed).{limit}"


def examine_transfer(run: Run, server_round: int) -> Transfers:
    """Return how clients' circuits do in each other's weights in a round.

    Raises:
        NotMeasuredError: if no transfer was logged in it.
    """
    rows = measured_rows(run, "transfer", server_round)
    overlap = pooled_pairs(run, Comparison.SAME_CLASS_ACROSS_CLIENTS)
    overlap = overlap[overlap["round"] == server_round]
    ids = sorted(int(class_id) for class_id in rows["class_id"].unique())
    classes = [
        _means(class_id, rows[rows["class_id"] == class_id], overlap[overlap["a_class_id"] == class_id])
        for class_id in ids
    ]
    pooled = _means(None, rows, overlap[overlap["a_class_id"].isin(ids)])
    return Transfers(classes, pooled, identifiability_note(run))


def _means(class_id: int | None, rows: pd.DataFrame, overlap: pd.DataFrame) -> ClassTransfer:
    return ClassTransfer(
        class_id=class_id,
        num_pairs=int(rows["transfer"].notna().sum()),
        phi_true=true_correlation(overlap),
        transfer=mean(rows["transfer"]),
        random_transfer=mean(rows["random_transfer"]),
        other_class_transfer=mean(rows["other_class_transfer"]),
    )


def _shown(value: float) -> str:
    return "undefined" if pd.isna(value) else f"{value:.2f}"
