"""Makes text that another machine wrote fit to be logged: no control characters, no escape sequences, no flood."""

import re

_NOISE = re.compile(
    r"[~^]{2,}"  # what Python underlines code with, in a traceback
    r"|\x1b\[[0-?]*[ -/]*[@-~]"  # colours, cursor movements
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # window titles, links
    r"|\x1b[ -/]*[0-~]?"
)
"""What says nothing on one line, and what terminals act upon; Ray colours its errors."""

BEGINNING, END = 150, 350
"""Characters of a reason that are logged if it is longer than both: an exception's own words come last."""

_MOST_READ = 5000
"""Characters of a reason that are looked at, at either end."""

MOST_LINES = 20
"""Lines of a node's problem that are logged; settings with many mistakes have many."""


def one_line(text: str | None) -> str:
    """Return a reason on one line of printable characters, no longer than a reader can take in."""
    said = text or "no reason given"
    # Cut before anything is searched: a client decides how long its reason is.
    beginning, end = (said, "") if len(said) <= _MOST_READ else (said[:_MOST_READ], said[-_MOST_READ:])
    plain = _printable(beginning) + _printable(end)
    return plain if len(plain) <= BEGINNING + END else f"{plain[:BEGINNING]} … {plain[-END:]}"


def few_lines(text: str) -> str:
    """Return text of several lines with each of them as from `one_line`."""
    lines = text.split("\n", MOST_LINES)
    rest = ["…"] if len(lines) > MOST_LINES else []
    return "\n".join([*(_indented(line) for line in lines[:MOST_LINES] if line.strip()), *rest])


def _printable(text: str) -> str:
    """Return text with a space for what cannot be shown, or turns its direction, or that no encoding has."""
    return " ".join("".join(c if c.isprintable() else " " for c in _NOISE.sub("", text)).split())


def _indented(line: str) -> str:
    return " " * min(8, len(line) - len(line.lstrip(" "))) + one_line(line)
