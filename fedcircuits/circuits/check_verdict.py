"""What the check of the discovery asks for, and how its result is told: the same words wherever it is shown.

The table in docs/instrument.md says how often good networks pass and garbage does.
"""

from dataclasses import dataclass
from typing import Final

MIN_EFFECT: Final = 0.1
"""Balanced accuracy by which circuits must exceed random ones of their sizes, in the mean over clients and classes."""

MIN_Z: Final = 3.0
"""Standard errors by which this difference must be above 0."""


@dataclass(frozen=True)
class CheckResult:
    """What a check of the discovery has found.

    Args:
        server_round: the round that was checked, 1-based.
        effect: balanced accuracy of circuits less that of random ones of their sizes, mean over clients and classes.
        z: the effect in standard errors.
    """

    server_round: int
    effect: float
    z: float

    @property
    def has_passed(self) -> bool:
        """Tell whether circuits are better than random ones of their sizes, by enough and beyond chance."""
        return self.effect >= MIN_EFFECT and self.z >= MIN_Z

    @property
    def finding(self) -> str:
        """Say how much better circuits are, and how much is asked for."""
        than = "random ones of their sizes"
        asked = f"(needed {MIN_EFFECT:.2f}; z {self.z:.1f}, needed {MIN_Z:.1f})"
        if self.effect <= 0:
            return f"circuits do not beat {than}: {self.effect:+.2f} balanced accuracy {asked}"
        only = "only " if self.effect < MIN_EFFECT else ""
        return f"circuits beat {than} by {only}{self.effect:.2f} balanced accuracy {asked}"


def failure_sentence(newest: CheckResult, failed: str, voided: str) -> str:
    """Say that the discovery failed its check, by how much, and what follows.

    Args:
        newest: the last of the failed checks.
        failed: the rounds of all of them in words, such as `rounds 1–3`.
        voided: the rounds whose circuits do not count, in words.
    """
    which = "" if failed == f"round {newest.server_round}" else f"in round {newest.server_round} "
    return (
        f"discovery failed its check in {failed}: {which}{newest.finding}, so no circuit of {voided} counts as usable"
    )
