"""What the page says of examinations beside the rules: whether discovery is valid, and where accuracy went."""

from collections.abc import Sequence
from typing import Final

from analysis.claims.examined_evidence import SIGNIFICANT
from analysis.claims.families import Family
from analysis.claims.gate import VALID, checks_passed, is_valid
from analysis.claims.markdown import UNDEFINED, fill, mean_and_interval, percentage, table
from analysis.statistics.seeds import interval
from fedcircuits.circuits.check_verdict import MIN_EFFECT, MIN_Z

_GAPS: Final = {
    "room": "room, A3 − R",
    "readout": "readout, A2 − A0",
    "body": "body, A3 − A2",
    "negatives": "missing negatives, A4 − E",
    "gap_left": "E − better of A0 and overlap-count mean",
    "dilution": "overlap-count mean − A0",
    "patch_excess": "patching gain over random (nats)",
}
"""Number of `examined_evidence` to its title."""


def checks_section(families: Sequence[Family]) -> str:
    """Return the section on the checks of discovery; empty if there is nothing to judge."""
    rows = [_checks(family, role) for family in families for role in family.evidence]
    if not rows:
        return ""
    about = (
        "A discovery of circuits is checked against random circuits of the same sizes (table validity): pooled over "
        f"clients and classes, its circuits must have {MIN_EFFECT:g} more balanced accuracy, at a z of {MIN_Z:g} or "
        f"more. Where its newest check was passed in {100 * VALID:g} % of the rounds or less, in the mean over seeds, "
        "claims about circuits are not judged; where it was not checked, they are, and may be about nothing."
    )
    header = ["experiment", "seeds", "rounds with a passed check", "discovery"]
    return "\n\n".join(["## Are circuits real?", fill(about), table(header, rows)])


def _checks(family: Family, role: str) -> list[str]:
    passed, verdict = checks_passed(family, role), is_valid(family, role)
    words = {True: "passed", False: "**failed**", None: "not checked"}[verdict]
    return [f"{family.name}-{role}", str(passed.num_seeds), percentage(passed), words]


def gaps_table(family: Family) -> str:
    """Return where accuracy went in each experiment with a collapse ladder, over seeds; empty if there is none."""
    rows = []
    for role in family.evidence:
        measured = {number: interval(family.judged(role)[number]) for number in _GAPS}
        if measured["body"].num_seeds:
            shown = [mean_and_interval(one) for one in measured.values()]
            significant = percentage(interval(family.judged(role)["patch_significant"]))
            rows.append([role, str(measured["body"].num_seeds), *shown, significant])
    if not rows:
        return ""
    about = (
        "Where accuracy (over trained classes) went, mean and 95 % interval over seeds. Only what is lost in the body "
        f"speaks of circuits. E is the better one of the two ensembles of intact client models; {UNDEFINED} is not "
        "defined, such as patching without usable circuits."
    )
    header = ["experiment", "seeds", *_GAPS.values(), f"circuits with p < {SIGNIFICANT:g}"]
    return f"{fill(about)}\n\n{table(header, rows)}"
