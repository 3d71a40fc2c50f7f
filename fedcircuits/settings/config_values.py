"""Reading one value of a run config: its type, its range, and an error that says what is allowed."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_origin

ClassIds = tuple[int, ...]


@dataclass(frozen=True)
class Between:
    """A number's allowed range; an end that is `open` is not itself allowed."""

    low: float
    high: float = math.inf
    low_open: bool = False
    high_open: bool = False

    def __contains__(self, value: float) -> bool:
        above = value > self.low if self.low_open else value >= self.low
        below = value < self.high if self.high_open else value <= self.high
        return math.isfinite(value) and above and below

    def __str__(self) -> str:
        if self.high == math.inf:
            return f"above {self.low:g}" if self.low_open else f"{self.low:g} or more"
        return f"{self.low:g} {'<' if self.low_open else '<='} x {'<' if self.high_open else '<='} {self.high:g}"


def kebab(name: str) -> str:
    """Turn a Python name into the config's form."""
    return name.replace("_", "-")


def read_value(config: Mapping[str, Any], key: str, hint: Any) -> Any:
    """Return the checked value of one key; `hint` is the field's type, which also says what is allowed."""
    if key not in config:
        raise ValueError(f"{key}: missing")
    value = config[key]
    if get_origin(hint) is Literal:
        allowed = get_args(hint)
        if value not in allowed:
            raise ValueError(f"{key} = {value!r}: must be one of {', '.join(allowed)}")
        return value
    if get_origin(hint) is Annotated:
        kind, limits = get_args(hint)
        return _number(key, value, kind, limits)
    if hint is bool and not isinstance(value, bool):
        raise ValueError(f"{key} = {value!r}: must be true or false")
    if hint is not bool and not isinstance(value, str):
        raise ValueError(f"{key} = {value!r}: must be text in quotes")
    return _PARSERS[key](key, value) if key in _PARSERS else value


def _number(key: str, value: Any, kind: type, limits: Between) -> Any:
    """Check a number; whole numbers are welcome where fractions are."""
    accepted = (int,) if kind is int else (int, float)
    if isinstance(value, bool) or not isinstance(value, accepted):
        noun = "a whole number" if kind is int else "a number"
        raise ValueError(f"{key} = {value!r}: must be {noun}, {limits}")
    if value not in limits:
        raise ValueError(f"{key} = {value!r}: must be {limits}")
    return kind(value)


def _whole_numbers(key: str, text: str) -> ClassIds:
    """Parse "0,1,2"; spaces are ignored."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"{key} = {text!r}: must be whole numbers with commas between them") from None


def _channels(key: str, text: str) -> tuple[int, ...]:
    channels = _whole_numbers(key, text)
    if min(channels) < 1:
        raise ValueError(f"{key} = {text!r}: every layer needs at least 1 channel")
    return channels


def _hidden_units(key: str, text: str) -> tuple[int, ...]:
    """Parse "120,84"; "" is no hidden layer."""
    units = _whole_numbers(key, text) if text.strip() else ()
    if units and min(units) < 1:
        raise ValueError(f"{key} = {text!r}: every layer needs at least 1 unit")
    return units


def _circuit_classes(key: str, text: str) -> ClassIds:
    """Parse "all", as the empty tuple, or a list of class ids."""
    return () if text.strip() == "all" else _whole_numbers(key, text)


def _client_classes(key: str, text: str) -> tuple[ClassIds, ...]:
    """Parse "0,1,2;3,4,5": one list of class ids per client."""
    if not text.strip():
        return ()
    parts = text.split(";")
    empty = [str(i) for i, part in enumerate(parts) if not part.strip()]
    if empty:
        raise ValueError(f"{key} = {text!r}: client {', '.join(empty)} has no class; each client needs at least one")
    return tuple(_whole_numbers(key, part) for part in parts)


def _class_names(key: str, text: str) -> tuple[str, ...]:
    """Parse "healthy,ill"; "" is no class. The names are those of folders."""
    names = tuple(part.strip() for part in text.split(",")) if text.strip() else ()
    wrong = [name for name in names if not name.isprintable() or name[:1] in {"", "."} or {"/", "\\"} & set(name)]
    if wrong:
        raise ValueError(f"{key} = {text!r}: {wrong[0]!r} cannot be the name of a class's folder")
    if len(set(names)) != len(names):
        raise ValueError(f"{key} = {text!r}: names a class twice")
    return names


def _numbers(key: str, text: str) -> tuple[float, ...]:
    """Parse "0.49,0.48,0.45"."""
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = (math.nan,)
    if not all(map(math.isfinite, values)):
        raise ValueError(f"{key} = {text!r}: must be numbers with commas between them")
    return values


_PARSERS: dict[str, Callable[[str, str], Any]] = {
    "channels": _channels,
    "circuit-classes": _circuit_classes,
    "class-names": _class_names,
    "client-classes": _client_classes,
    "hidden-units": _hidden_units,
    "pixel-mean": _numbers,
    "pixel-std": _numbers,
}
