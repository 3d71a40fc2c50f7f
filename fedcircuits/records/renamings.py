"""What had another name once: older runs are read, and who types an old name is told the new one."""

from collections.abc import Mapping
from typing import Any, Final

SETTINGS: Final = {
    "deep-every": "examination-every",
    "deep-clients": "examination-clients",
    "deep-images": "examination-images",
    "deep-draws": "examination-draws",
}
"""Former name of a setting to its name."""


def renamed_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings under the names that they have now."""
    return {SETTINGS.get(key, key): value for key, value in settings.items()}
