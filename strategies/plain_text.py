"""Makes text that another machine wrote fit to be logged: no control characters, no escape sequences, no flood."""

import re

_ESCAPE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # colours, cursor movements
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # window titles, links
    r"|\x1b[ -/]*[0-~]?"
)
"""What terminals act upon; Ray colours its errors."""

_LONGEST = 500
"""Characters of a reason that are logged."""

_MOST_LINES = 20
"""Lines of a node's problem that are logged; settings with many mistakes have many."""


def one_line(text: str | None) -> str:
    """Return a reason on one line of printable characters, no longer than a reader can take in."""
    # Cut before anything is searched: a client decides how long its reason is.
    kept = _ESCAPE.sub("", (text or "no reason given")[: 10 * _LONGEST])
    # Characters that turn the direction of text, or that no encoding has, are not printable either.
    plain = " ".join("".join(c if c.isprintable() else " " for c in kept).split())
    return plain if len(plain) <= _LONGEST else f"{plain[:_LONGEST]}…"


def few_lines(text: str) -> str:
    """Return text of several lines with each of them as from `one_line`."""
    lines = text.split("\n", _MOST_LINES)
    rest = ["…"] if len(lines) > _MOST_LINES else []
    return "\n".join([*(_indented(line) for line in lines[:_MOST_LINES] if line.strip()), *rest])


def _indented(line: str) -> str:
    return " " * min(8, len(line) - len(line.lstrip(" "))) + one_line(line)
