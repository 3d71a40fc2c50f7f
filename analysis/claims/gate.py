"""What must be there before a claim is judged: clients that learned, examinations, and a discovery that is valid."""

from collections.abc import Sequence
from typing import Final

from analysis.claims.families import Family, MeasuredExperiment
from analysis.statistics.seeds import Interval, interval

VALID: Final = 0.5
"""A discovery is valid in an experiment if more than this share of rounds stand under a passed check, over seeds."""


LEARNED: Final = 0.4
"""Clients have learned if their models' accuracy on their own classes, in the mean over seeds, is at least this share
of the way from guessing one of them to perfect: 0.7 for two classes, 0.6 for three, 0.46 for ten. Where they have not,
averaging can neither preserve nor destroy anything."""

LEARNED_RULE: Final = (
    f"clients have learned if their models are at least {100 * LEARNED:g} % of the way from guessing among their own "
    "classes to perfect (accuracy 0.7 with two classes each, 0.6 with three, 0.46 with ten), in the mean over seeds"
)


def has_learned(family: Family, role: str) -> bool:
    """Tell whether an experiment's clients learned their own classes; not if that cannot be told."""
    return bool(interval(family.judged(role)["learned"]).mean >= LEARNED)


def not_learned(family: Family, roles: Sequence[str]) -> str:
    """Say which of these experiments have clients that did not learn their own classes; empty if none has."""
    shares = {role: interval(family.judged(role)["learned"]) for role in roles if not has_learned(family, role)}
    failed = [f"{role} ({100 * share.mean:.0f} % of the way)" for role, share in shares.items() if share.num_seeds]
    unknown = [role for role, share in shares.items() if not share.num_seeds]
    reasons = {
        "clients did not learn their own classes in": failed,
        "it cannot be told whether clients learned their own classes in": unknown,
    }
    return "; ".join(f"{reason} {', '.join(listed)}" for reason, listed in reasons.items() if listed)


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


def no_examinations(family: Family, roles: Sequence[str]) -> str:
    """Say why these experiments have no examinations: none were wanted, or their rounds were not reached."""
    reasons = {_schedule(family.experiments[role]) for role in roles}
    return f"no examinations ({'; '.join(sorted(reasons))})"


def _schedule(experiment: MeasuredExperiment) -> str:
    every = experiment.settings.get("examination-every", 0)
    return f"examination-every = {every}, {experiment.rounds} rounds" if every else "examination-every = 0"
