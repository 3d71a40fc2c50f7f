"""The app's own run config, as it stands in pyproject.toml, and single changes to it, as they are typed."""

import tomllib
from pathlib import Path
from typing import Final

from fedcircuits.errors import SettingsError
from fedcircuits.settings.run_config import Scalar

PROJECT: Final = Path(__file__).parents[2]
"""The folder of the app: a checkout, or where Flower has unpacked it."""


def app_defaults() -> dict[str, Scalar]:
    """Return the default of every setting.

    Raises:
        SettingsError: if this package is not in the app's folder.
    """
    path = PROJECT / "pyproject.toml"
    try:
        defaults: dict[str, Scalar] = tomllib.loads(path.read_text(encoding="utf-8"))["tool"]["flwr"]["app"]["config"]
    except (OSError, tomllib.TOMLDecodeError, KeyError) as error:
        raise SettingsError([f"{path} does not hold the app's settings: {error!r}"]) from error
    return defaults


def typed_setting(text: str) -> tuple[str, Scalar]:
    """Read `key=value`; a value that is no TOML is a text without quotes.

    Raises:
        ValueError: if it is nothing of the kind.
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ValueError(f"{text}: must be key=value")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()
