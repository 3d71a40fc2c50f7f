"""Slopes over rounds with the seed as block."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.comparison.study import SeedStudy, read_seed_study
from analysis.comparison.trends import slope, trend_table
from fedcircuits.records import ALL_LAYERS, Comparison
from fedcircuits.runlog.writer import RunLog

Tables = dict[str, list[dict[str, Any]]]
WriteRun = Callable[..., RunLog]


def test_the_slope_is_that_of_least_squares_and_leaves_out_rounds_without_a_value() -> None:
    values = pd.Series({1: 0.2, 2: 0.5, 3: math.nan, 5: 0.6})
    expected = np.polyfit([1, 2, 5], [0.2, 0.5, 0.6], 1)[0]
    assert slope(values) == pytest.approx(expected)


@pytest.mark.parametrize("values", [{}, {3: 0.5}, {1: math.nan, 2: 0.1}])
def test_one_round_has_no_slope(values: dict[int, float]) -> None:
    assert math.isnan(slope(pd.Series(values, dtype="float64")))


def _rise(level: float, rise: float) -> Callable[[int, Tables], None]:
    def change(server_round: int, tables: Tables) -> None:
        for row in tables["overlap"]:
            if row["comparison"] == Comparison.SAME_CLASS_ACROSS_CLIENTS and row["layer"] == ALL_LAYERS:
                row["adjusted_iou"] = level + rise * server_round

    return change


@pytest.fixture
def study(write_run: WriteRun) -> SeedStudy:
    """Return two seeds whose overlaps rise by 0.1 and 0.2 per round from levels far apart, over three rounds."""
    seeds = enumerate([(0.0, 0.1), (0.4, 0.2)])
    return read_seed_study([write_run("a", 3, change=_rise(*one), seed=seed).path for seed, one in seeds])


def test_the_unit_of_a_trend_is_the_seed(study: SeedStudy) -> None:
    row = trend_table(study).set_index("measure").loc["same_class_adjusted_iou"]
    assert (row["slope"], row["num_seeds"]) == (pytest.approx(0.15), 2)
    # t with one degree of freedom at 0.975 is 12.7062; the standard error is 0.05.
    assert row["high"] - row["slope"] == pytest.approx(12.7062 * 0.05, abs=1e-5)
    assert (row["first_round"], row["last_round"]) == (1, 3)


def test_the_slope_of_the_size_stands_beside(study: SeedStudy) -> None:
    table = trend_table(study).set_index("measure")
    # All circuits of the tiny run keep their size.
    assert table.loc["circuit_size", "slope"] == 0
    assert list(table.index) == ["same_class_adjusted_iou", "local_vs_global_adjusted_iou", "circuit_size"]
