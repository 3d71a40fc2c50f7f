"""The verdicts on all claims as a table: one row per condition of a rule, for programs."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any, Final

import pandas as pd

from analysis.claims.families import Family
from analysis.claims.page import judge_all
from analysis.claims.rules import RULES
from analysis.statistics.seeds import Interval

_FIGURES: Final = [field.name for field in fields(Interval)]
_BESIDE: Final = ["image_error", "detectable"]


def verdict_data(families: Sequence[Family], notes: Sequence[str]) -> dict[str, Any]:
    """Return verdicts, conditions and what was measured as plain values.

    Args:
        families: from `families_of`.
        notes: what a reader must know about the runs.
    """
    claims = [
        {
            **{"claim": number, "title": RULES[number][0], "rule": RULES[number][1], "family": family},
            **{"horizon": horizon, "overall": str(judged.decision)},
            **asdict(verdict),
        }
        for number, by_family in judge_all(families).items()
        for family, judged in by_family.items()
        for horizon, verdict in judged.by_horizon
    ]
    return {"notes": list(notes), "claims": claims}


def verdict_table(families: Sequence[Family]) -> pd.DataFrame:
    """Return one row per claim, family, horizon and condition; one without a condition where a claim was not judged.

    Returns:
        columns claim, title, family, horizon (rounds in words), overall (the decision over all horizons), verdict,
        remarks, condition, decision, those of `seeds.Interval`, image_error and detectable of `decisions.Finding`.
    """
    rows = []
    for claim in verdict_data(families, ())["claims"]:
        head = {key: claim[key] for key in ("claim", "title", "family", "horizon", "overall")}
        head |= {"verdict": str(claim["decision"]), "remarks": " ".join(claim["remarks"])}
        for found in claim["findings"] or [{"condition": "", "decision": "", "measured": {}}]:
            own = {"condition": found["condition"], "decision": str(found["decision"])}
            beside = {name: found[name] for name in _BESIDE if name in found}
            rows.append({**head, **own, **found["measured"], **beside})
    columns = ["claim", "title", "family", "horizon", "overall", "verdict", "remarks", "condition", "decision"]
    return pd.DataFrame(rows, columns=[*columns, *_FIGURES, *_BESIDE])
