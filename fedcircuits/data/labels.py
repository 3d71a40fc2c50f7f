"""What clients are called in logs: names that they choose themselves, and so are not trusted."""

from typing import Final

LONGEST_LABEL: Final = 64
"""Characters."""


def is_label(text: object) -> bool:
    """Tell whether a text can be a label: short, and printable, so that it can neither break nor recolour a line."""
    return isinstance(text, str) and 1 <= len(text) <= LONGEST_LABEL and text.isprintable() and bool(text.strip())


def client_name(partition_id: int, label: str) -> str:
    """Return what a client is called where people read: its partition, and its label if it has one."""
    return f"partition {partition_id} ({label})" if label else f"partition {partition_id}"
