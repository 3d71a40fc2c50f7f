"""Why nodes cannot take part, as lines for the console."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

_NUM_NAMED: Final = 10
"""Clients that are named as having one and the same problem."""


@dataclass(frozen=True)
class Refusal:
    """Why a node cannot take part, and who it is: "" if the reason says so itself."""

    reason: str
    who: str = ""

    def __str__(self) -> str:
        return f"{self.who}: {self.reason}" if self.who else self.reason


def by_reason(refusals: Iterable[Refusal]) -> list[str]:
    """Return a line for each reason: a dataset that is missing everywhere is one problem, not one per client."""
    grouped: dict[str, set[str]] = {}
    for refusal in refusals:
        grouped.setdefault(refusal.reason, set()).update({refusal.who} - {""})
    lines = []
    for reason, names in sorted(grouped.items()):
        listed = ", ".join(sorted(names)[:_NUM_NAMED])
        more = f" and {len(names) - _NUM_NAMED} more" if len(names) > _NUM_NAMED else ""
        lines.append(f"  - {listed}{more}: {reason}" if names else f"  - {reason}")
    return lines
