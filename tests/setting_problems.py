"""What is wrong with settings, as the one error that they end in says it."""

from collections.abc import Callable
from typing import Any

import pytest

from fedcircuits.errors import SettingsError
from fedcircuits.settings import Settings

MakeSettings = Callable[[dict[str, Any]], Settings]


def problems_of(make_settings: MakeSettings, overrides: dict[str, Any]) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        make_settings(overrides)
    return caught.value.problems


def only_problem_of(make_settings: MakeSettings, overrides: dict[str, Any]) -> str:
    problems = problems_of(make_settings, overrides)
    assert len(problems) == 1, problems
    return problems[0]
