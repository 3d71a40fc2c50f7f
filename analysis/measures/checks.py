"""Verdicts on the discovery, the rounds that they govern, and how a failure is told."""

from collections.abc import Collection

import pandas as pd

from analysis.text.words import named_rounds
from fedcircuits.circuits.check_verdict import CheckResult, failure_sentence
from fedcircuits.runlog.run import Run


def check_verdicts(run: Run) -> "pd.Series[bool]":
    """Return whether the discovery passed its check, by round; checks that could not say are left out."""
    pooled = run.validity[run.validity["passed"].notna()]
    return pd.Series(pooled["passed"].to_numpy(), index=pooled["round"].to_numpy(), dtype="bool")


def check_results(run: Run) -> dict[int, CheckResult]:
    """Return what the checks have found, by round; checks that could not say are left out."""
    pooled = run.validity[run.validity["passed"].notna()]
    columns = (pooled["round"], pooled["effect"], pooled["z"])
    return {int(n): CheckResult(int(n), float(effect), float(z)) for n, effect, z in zip(*columns, strict=True)}


def failed_checks(run: Run) -> dict[int, CheckResult]:
    """Return the rounds in which no circuit counts as usable because the discovery had failed its check.

    Returns:
        round to the newest check that could say something, where that check was failed.
    """
    verdicts, results = check_verdicts(run), check_results(run)
    failed: dict[int, CheckResult] = {}
    newest: CheckResult | None = None
    for server_round in range(1, int(run.info["last_round"]) + 1):
        if server_round in verdicts.index:
            newest = None if verdicts[server_round] else results[server_round]
        if newest is not None:
            failed[server_round] = newest
    return failed


def check_failure(run: Run, rounds: Collection[int] | None = None) -> str:
    """Say why no circuit of some rounds counts as usable, where that is for a failed check; empty if none was failed.

    Args:
        run: the run.
        rounds: those that are asked about; None for all.
    """
    voided = {n: result for n, result in failed_checks(run).items() if rounds is None or n in rounds}
    if not voided:
        return ""
    checks = {result.server_round: result for result in voided.values()}
    newest = checks[max(checks)]
    return failure_sentence(newest, named_rounds(sorted(checks)), named_rounds(sorted(voided)))
