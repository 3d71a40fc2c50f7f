"""Verdicts on the discovery, and the rounds that they govern."""

import pandas as pd

from analysis.run import Run


def check_verdicts(run: Run) -> "pd.Series[bool]":
    """Return whether the discovery passed its validity check, by round; checks that could not say are left out."""
    pooled = run.validity[run.validity["class_id"].isna()]
    verdicts = {
        int(str(server_round)): bool(beaten.all())
        for server_round, beaten in pooled.groupby("round")["beaten"]
        if beaten.notna().all()
    }
    return pd.Series(verdicts, dtype="bool")


def failed_checks(run: Run) -> dict[int, int]:
    """Return the rounds in which no circuit counts as usable because the discovery had failed its validity check.

    Returns:
        round to the round of the newest check that could say something, where that check was failed.
    """
    verdicts = check_verdicts(run)
    failed: dict[int, int] = {}
    newest: int | None = None
    for server_round in range(1, int(run.info["last_round"]) + 1):
        if server_round in verdicts:
            newest = None if verdicts[server_round] else server_round
        if newest is not None:
            failed[server_round] = newest
    return failed
