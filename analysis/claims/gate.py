"""What must be there before a claim about circuits is judged: heavy measures, and a discovery that is valid."""

from collections.abc import Sequence
from typing import Final

from analysis.claims.families import Family
from analysis.experiments import Experiment
from analysis.seeds import Interval, interval

VALID: Final = 0.5
"""A discovery is valid in an experiment if more than this share of rounds stand under a passed check, over seeds."""


def checks_passed(family: Family, role: str) -> Interval:
    """Return the share of rounds in which the discovery had passed its newest check, over the seeds that count."""
    return interval(family.judged(role)["checks_passed"])


def is_valid(family: Family, role: str) -> bool | None:
    """Tell whether an experiment's discovery passed; None if it was not checked."""
    passed = checks_passed(family, role)
    return passed.mean > VALID if passed.num_seeds else None


def failed_checks(family: Family, roles: Sequence[str]) -> str:
    """Say which of these experiments have circuits that are not to be judged; empty if none has."""
    shares = {role: checks_passed(family, role).mean for role in roles if is_valid(family, role) is False}
    listed = ", ".join(f"{role} ({100 * share:.0f} % passed)" for role, share in shares.items())
    return f"discovery was not valid in more than {100 * VALID:g} % of the rounds in {listed}" if listed else ""


def lacks(family: Family, roles: Sequence[str], number: str) -> list[str]:
    """Return the experiments of which no seed that counts has a number."""
    return [role for role in roles if family.judged(role)[number].isna().all()]


def no_heavy_measures(family: Family, roles: Sequence[str]) -> str:
    """Say why these experiments have no heavy measures: none were wanted, or their rounds were not reached."""
    reasons = {_schedule(family.experiments[role]) for role in roles}
    return f"no heavy measures ({'; '.join(sorted(reasons))})"


def _schedule(experiment: Experiment) -> str:
    every = experiment.settings.get("deep-every", 0)
    return f"deep-every = {every}, {experiment.last_round} rounds" if every else "deep-every = 0"
