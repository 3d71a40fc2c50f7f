"""What may be said of differences paired by seed: each is tested, for difference and for equivalence, in its table.

The family that Holm's adjustment counts is the table: all its measures times all its experiments, as far as they could
be tested. Equivalence is not adjusted; its margins are fixed in `analysis.statistics.equivalence`.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

import pandas as pd

from analysis.comparison.study import SeedStudy
from analysis.comparison.tables import Difference
from analysis.statistics.bootstrap import bootstrap_interval, difference_of
from analysis.statistics.equivalence import margin_of, tost
from analysis.statistics.seeds import paired_differences
from analysis.statistics.significance import ALPHA, MIN_RANKED, holm, paired_t, signed_ranks

_NAMES: Final = ["experiment", "measure", "baseline", "baseline_measure", "experiment_mean", "baseline_mean"]
_FIGURES: Final = ["mean", "sd", "low", "high", "num_seeds", "num_missing", "excludes_zero"]
_TESTS: Final = ["p_value", "p_holm", "family_size", "wilcoxon_p", "tost_p", "margin", "equivalent", "note"]


@dataclass(frozen=True)
class AssessedDifference:
    """A difference and what the tests say of it; NaN where one could not be made.

    Args:
        difference: with its interval.
        p_value: of the paired t-test, two-sided.
        p_holm: the same, adjusted for the tests of the table.
        family_size: how many tests these are.
        wilcoxon_p: of the signed-rank test, two-sided, not adjusted.
        tost_p: of equivalence within the margin, not adjusted.
        margin: the largest difference that does not count; NaN where none is fixed.
    """

    difference: Difference
    p_value: float
    p_holm: float
    family_size: int
    wilcoxon_p: float
    tost_p: float
    margin: float

    @property
    def differs(self) -> bool:
        """Tell whether the difference survives Holm's adjustment."""
        return self.p_holm < ALPHA

    @property
    def equivalent(self) -> bool | None:
        """Tell whether the experiments are equivalent within the margin; None if that was not tested."""
        return None if math.isnan(self.tost_p) else self.tost_p < ALPHA

    @property
    def decision(self) -> str:
        """What may be said; nothing without a test."""
        if math.isnan(self.p_value):
            return ""
        if self.equivalent:
            return f"{'differs' if self.differs else 'equivalent'} within ±{self.margin:g}"
        return "differs" if self.differs else "not decided"

    @property
    def note(self) -> str:
        """Says which tests could not be made, and why."""
        if math.isnan(self.p_value):
            is_few = self.difference.interval.num_seeds < 2
            return "no test: fewer than two seeds" if is_few else "no test: the same difference in every seed"
        without_ranks = f"Wilcoxon: fewer than {MIN_RANKED} seeds that differ" if math.isnan(self.wilcoxon_p) else ""
        without_margin = "no margin of equivalence" if math.isnan(self.margin) else ""
        return "; ".join(note for note in (without_ranks, without_margin) if note)


def assess(study: SeedStudy, differences: Sequence[Difference]) -> list[AssessedDifference]:
    """Test the differences of one table, which are one family.

    Args:
        study: the experiments.
        differences: all of the table's.
    """
    by_seed = [_by_seed(study, one) for one in differences]
    p_values = [paired_t(values) for values in by_seed]
    family_size = sum(not math.isnan(p_value) for p_value in p_values)
    margins = [margin_of(one.measure) for one in differences]
    return [
        AssessedDifference(one, p_value, float(p_holm), family_size, signed_ranks(values), tost(values, margin), margin)
        for one, values, p_value, p_holm, margin in zip(
            differences, by_seed, p_values, holm(p_values), margins, strict=True
        )
    ]


def difference_table(study: SeedStudy, differences: Sequence[Difference]) -> pd.DataFrame:
    """Return one row per difference: its fields, its interval, its tests and its interval by the bootstrap."""
    rows = []
    for one in assess(study, differences):
        names, found = asdict(one.difference), one.difference.interval
        low, high = bootstrap_difference(study, one.difference)
        tests = {name: getattr(one, name) for name in _TESTS}
        figures = {**names.pop("interval"), "excludes_zero": found.excludes_zero}
        rows.append({**names, **figures, "boot_low": low, "boot_high": high, **tests})
    return pd.DataFrame(rows, columns=[*_NAMES, *_FIGURES, "boot_low", "boot_high", *_TESTS])


def bootstrap_difference(study: SeedStudy, difference: Difference) -> tuple[float, float]:
    """Return the hierarchical bootstrap's interval of a difference; NaN for what is no mean over circuits or pairs."""
    rows = study.units.get((difference.experiment, difference.measure), {})
    others = study.units.get((difference.baseline, difference.baseline_measure), {})
    by_label = dict(zip(study.labels, study.experiments, strict=True))
    is_joint = by_label[difference.experiment].has_clients_of(by_label[difference.baseline])
    seeds = sorted(rows.keys() & others.keys())
    return bootstrap_interval([difference_of(rows[seed], others[seed], is_joint=is_joint) for seed in seeds])


def _by_seed(study: SeedStudy, one: Difference) -> "pd.Series[float]":
    values = study.late_mean(one.experiment, one.measure)
    return paired_differences(values, study.late_mean(one.baseline, one.baseline_measure))
