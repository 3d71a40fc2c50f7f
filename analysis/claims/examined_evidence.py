"""What one run's examinations say about the claims, one number each; NaN where they were not taken."""

import math
from typing import Final

from analysis import measures
from analysis.claims.evidence import correlated_pairs, mean_of_known
from analysis.measures import second_half
from analysis.measures.ladder import best_ensemble, ladder_gaps, ladder_rungs
from fedcircuits.records import (
    ALL_LAYERS,
    MIN_RELIABILITY,
    AlignmentVerdict,
    Comparison,
    MatchingMethod,
    RungName,
)
from fedcircuits.runlog.run import Run

SIGNIFICANT: Final = 0.01
"""Level at which putting a circuit's weights back must beat random sets of equal size."""


def examined_evidence(run: Run, last_round: int) -> dict[str, float]:
    """Return the numbers of the examinations, by name.

    Args:
        run: the run.
        last_round: the last round that counts.

    Returns:
        means over the second half of the rounds: `checks_passed`, the share of rounds in which the discovery's newest
        check had been passed, and what `_ladder` and `_patching` return; and of the newest round, `_alignment`.
    """
    return {
        "checks_passed": _checks_passed(run, last_round),
        **_ladder(run, last_round),
        **_patching(run, last_round),
        **_alignment(run, last_round),
    }


def _checks_passed(run: Run, last_round: int) -> float:
    verdicts = measures.check_verdicts(run).astype("float64")
    standing = verdicts.reindex(range(1, last_round + 1)).ffill().rename_axis("round").rename("passed").reset_index()
    return mean_of_known(second_half(standing, last_round)["passed"])


def _ladder(run: Run, last_round: int) -> dict[str, float]:
    """Return the gaps between rungs, in accuracy over trained classes.

    Returns:
        `room`, `readout`, `body` and `negatives` of `ladder_gaps`; `dilution`, what the overlap-count mean gains on the
        average; and `gap_left`, what the intact models (better ensemble) are ahead of the better one of these two.
    """
    rungs = second_half(ladder_rungs(run).reset_index(), last_round)
    gaps = ladder_gaps(rungs)
    averages = rungs[[RungName.FEDAVG, RungName.OVERLAP_COUNT]]
    return {
        **{str(name): mean_of_known(gap) for name, gap in gaps.items()},
        "dilution": mean_of_known(averages[RungName.OVERLAP_COUNT] - averages[RungName.FEDAVG]),
        "gap_left": mean_of_known(best_ensemble(rungs) - averages.max(axis=1, skipna=False)),
    }


def _patching(run: Run, last_round: int) -> dict[str, float]:
    """Return `patch_excess`, the gain of a circuit's weights over random ones (nats), and the share significant."""
    rows = second_half(run.patching, last_round)
    known = rows["p_value"].dropna()
    return {
        "patch_excess": mean_of_known(rows["gain"] - rows["random_gain"]),
        "patch_significant": float((known < SIGNIFICANT).mean()) if len(known) else math.nan,
    }


def _alignment(run: Run, last_round: int) -> dict[str, float]:
    """Return what matching the channels of pairs of clients changes, in the newest round that has it.

    Returns:
        `irrelevant`, the share of pairs whose verdict says so when channels are matched by weights; `fixed_points`,
        the share of channels that this leaves in place, and `fixed_points_activations`, the same by activations;
        `aligned`, the correlation of same-class circuits after matching by weights minus that of different classes,
        over the mean reliability of same-class pairs, which takes the noise of discovery out as true correlations do.
    """
    rows = run.alignment[(run.alignment["layer"] == ALL_LAYERS) & (run.alignment["round"] <= last_round)]
    rows = rows[(rows["round"] == rows["round"].max()) & rows[["a_partition_id", "b_partition_id"]].notna().all(axis=1)]
    by_weights = rows[rows["method"] == MatchingMethod.WEIGHTS]
    by_activations = rows[rows["method"] == MatchingMethod.ACTIVATIONS]
    excess = mean_of_known(by_weights["matched_phi"] - by_weights["other_class_phi"])
    return {
        "irrelevant": mean_of_known(by_weights["verdict"] == AlignmentVerdict.IRRELEVANT),
        "fixed_points": mean_of_known(by_weights["fixed_points"]),
        "fixed_points_activations": mean_of_known(by_activations["fixed_points"]),
        "aligned": excess / _reliability(run, last_round),
    }


def _reliability(run: Run, last_round: int) -> float:
    """Return the mean reliability of same-class pairs; NaN where they are not measurable."""
    pairs = correlated_pairs(run, Comparison.SAME_CLASS_ACROSS_CLIENTS, last_round)
    reliability = mean_of_known(pairs["reliability"])
    return reliability if reliability >= MIN_RELIABILITY else math.nan
