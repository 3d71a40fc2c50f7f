"""Fixtures that all tests share, and the checks that are switched on for every test.

Shapes and types of the core's functions are checked at run time: a call with a wrong shape or dtype fails the test.
"""

import signal
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import torch
from hypothesis import settings as hypothesis_settings
from jaxtyping import install_import_hook

install_import_hook("fedcircuits", "typecheck.check")  # before the package is imported

from fedcircuits.settings import Settings  # noqa: E402

PROJECT = Path(__file__).parents[1]

# The same examples in every run. The first one pays for warming up, so a deadline would measure the machine.
hypothesis_settings.register_profile("fedcircuits", derandomize=True, deadline=None, max_examples=50)
hypothesis_settings.load_profile("fedcircuits")

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def defaults() -> Mapping[str, Any]:
    """The flat default config of pyproject.toml."""
    pyproject = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    return MappingProxyType(pyproject["tool"]["flwr"]["app"]["config"])


@pytest.fixture
def config(defaults: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of the defaults to change."""
    return dict(defaults)


@pytest.fixture(scope="session")
def make_settings(defaults: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], Settings]:
    """Build settings from the defaults and some changes, given by their kebab-case keys."""
    return lambda changes: Settings.from_config({**defaults, **changes})


@pytest.fixture
def double() -> Iterator[None]:
    """Compute in double precision: sums in another order then differ by 1e-16, which no decision hangs on."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def heeded_interrupts() -> Iterator[None]:
    """Let programs that are started heed an interrupt, also where the tests run in the background, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
