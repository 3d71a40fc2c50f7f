"""The verdicts on all claims as a table: one row per condition of a rule, for programs."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any, Final

import pandas as pd

from analysis.claims.families import Family
from analysis.claims.page import judge_all
from analysis.claims.rules import RULES
from analysis.seeds import Interval

_FIGURES: Final = [field.name for field in fields(Interval)]


def verdict_data(families: Sequence[Family], notes: Sequence[str]) -> dict[str, Any]:
    """Return verdicts, conditions and what was measured as plain values.

    Args:
        families: from `read_families`.
        notes: what a reader must know about the runs.
    """
    claims = [
        {"claim": number, "title": RULES[number][0], "rule": RULES[number][1], "family": family, **asdict(verdict)}
        for number, by_family in judge_all(families).items()
        for family, verdict in by_family.items()
    ]
    return {"notes": list(notes), "claims": claims}


def verdict_table(families: Sequence[Family]) -> pd.DataFrame:
    """Return one row per claim, family and condition; one without a condition where a claim was not judged.

    Returns:
        columns claim, title, family, verdict, remarks, condition, decision, and those of `seeds.Interval`.
    """
    rows = []
    for claim in verdict_data(families, ())["claims"]:
        head = {key: claim[key] for key in ("claim", "title", "family")}
        head |= {"verdict": str(claim["decision"]), "remarks": " ".join(claim["remarks"])}
        for found in claim["findings"] or [{"condition": "", "decision": "", "measured": {}}]:
            own = {"condition": found["condition"], "decision": str(found["decision"])}
            rows.append({**head, **own, **found["measured"]})
    columns = ["claim", "title", "family", "verdict", "remarks", "condition", "decision", *_FIGURES]
    return pd.DataFrame(rows, columns=columns)
