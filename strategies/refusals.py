"""Why nodes cannot take part, as lines for the console."""

from collections.abc import Iterable
from typing import Final

_NUM_NAMED: Final = 10
"""Clients that are named as having one and the same problem."""


def by_reason(refusals: Iterable[tuple[str, str]]) -> list[str]:
    """Return a line for each reason: a dataset that is missing everywhere is one problem, not one per client.

    Args:
        refusals: who is refused, "" if the reason says so itself, and the reason.
    """
    grouped: dict[str, set[str]] = {}
    for who, reason in refusals:
        grouped.setdefault(reason, set()).update({who} - {""})
    lines = []
    for reason, names in sorted(grouped.items()):
        listed = ", ".join(sorted(names)[:_NUM_NAMED])
        more = f" and {len(names) - _NUM_NAMED} more" if len(names) > _NUM_NAMED else ""
        lines.append(f"  - {listed}{more}: {reason}" if names else f"  - {reason}")
    return lines
