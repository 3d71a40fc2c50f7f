"""Evidence of five seeds by hand, as the rules on claims take it."""

import math

import pandas as pd

from analysis.claims.families import Family
from analysis.experiments import Experiment

FIVE = range(5)


def by_seed(**columns):
    """Return evidence of five seeds; numbers jitter a little, so that intervals have a width."""
    return pd.DataFrame(
        {
            name: [value + 0.001 * (seed * (position + 2) % 5) for seed in FIVE]
            for position, (name, value) in enumerate(columns.items())
        }
    ).rename_axis("seed")


HEAVY = {
    **{"checks_passed": 1.0, "irrelevant": 1.0, "fixed_points": 1.0, "fixed_points_activations": 0.7, "aligned": 0.5},
    **dict.fromkeys(("room", "head", "body", "negatives", "gap_left", "dilution", "conflict_excess"), math.nan),
    **dict.fromkeys(("patch_excess", "patch_significant"), math.nan),
}
"""Heavy measures where a test does not say: a valid discovery, channels in their places, and no ladder."""


def family(settings=None, pilot=(), **evidence):
    roles = {role.replace("_", "-"): table.assign(**HEAVY | dict(table)) for role, table in evidence.items()}
    given = settings or {}
    experiments = {role: Experiment(f"digits-{role}", given.get(role, {}), ()) for role in roles}
    return Family("digits", experiments, roles, pilot)
