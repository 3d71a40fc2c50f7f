"""Evidence of five seeds by hand, as the rules on claims take it."""

import math
from random import Random

import pandas as pd

from analysis.claims.families import Family, MeasuredExperiment

FIVE = range(5)


def by_seed(**columns):
    """Return evidence of five seeds; numbers jitter a little, so that intervals have a width."""
    return pd.DataFrame({name: spread(value, name) for name, value in columns.items()}).rename_axis("seed")


def spread(value, name=""):
    """Return a number for each of five seeds, up to 0.004 above the value; other names and values jitter otherwise."""
    return [value + 0.004 * Random(f"{name} {value} {seed}").random() for seed in FIVE]


GIVEN = {
    **{"checks_passed": 1.0, "irrelevant": 1.0, "fixed_points": 1.0, "fixed_points_activations": 0.7, "aligned": 0.5},
    **dict.fromkeys(("room", "readout", "body", "negatives", "gap_left", "dilution", "opposition"), math.nan),
    **dict.fromkeys(("patch_excess", "patch_significant", "other_negatives", "perturbed_copy"), math.nan),
    "learned": 0.9,
}
"""Numbers where a test does not say: clients that learned, a valid discovery, channels in their places, no ladder."""


def family(settings=None, pilot=(), rounds=None, shares=None, **evidence):
    roles = {role.replace("_", "-"): table.assign(**GIVEN | dict(table)) for role, table in evidence.items()}
    experiments = {
        role: MeasuredExperiment((settings or {}).get(role, {}), (rounds or {}).get(role, 8), tuple(table.index))
        for role, table in roles.items()
    }
    return Family("digits", experiments, roles, pilot, shares or {})
