"""Why circuits are not usable, in words: the same on the console, in the summary, in captions and in the report."""

from collections import Counter
from collections.abc import Iterable
from typing import Final

from fedcircuits.records.names import UnusableReason

REASON_WORDS: Final = {
    UnusableReason.EMPTY: "empty",
    UnusableReason.WHOLE_NETWORK: "nearly the whole network",
    UnusableReason.TOO_FEW_IMAGES: "with too few test images for a verdict",
    UnusableReason.MODEL_DOES_NOT_SEPARATE: "of a class that the whole model does not tell apart",
    UnusableReason.DEFAULT_CLASS: "of a class that the model names by default",
    UnusableReason.LOW_RECALL: "with too low a recall",
    UnusableReason.FALSE_POSITIVES: "with too many false positives",
    UnusableReason.CANCELLED_ELSEWHERE: "cancelled by the rest of the model",
    UnusableReason.CHECK_FAILED: "of a discovery that failed its check",
}
"""What can be said of a circuit, or of several after their number."""


def count_reasons(reasons: Iterable[str | None]) -> str:
    """Say how many circuits are not usable for which reason, in the order of the reasons; empty if all are usable.

    Args:
        reasons: of each circuit, a value of `UnusableReason`; None where it is usable.
    """
    counted = Counter(reason for reason in reasons if reason is not None)
    return ", ".join(f"{counted[reason]} {words}" for reason, words in REASON_WORDS.items() if counted[reason])
