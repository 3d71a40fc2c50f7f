"""The summary as JSON."""

from typing import Any

import pandas as pd

from analysis.measures import OVERLAPS, failed_checks, holdings, left_out, round_measures
from analysis.runs.standing import status_of
from analysis.summary.facts import density
from analysis.summary.notes import rejections, unusable_note
from fedcircuits.runlog.run import Run


def summary_data(run: Run) -> dict[str, Any]:
    """Return the summary as plain JSON values; undefined figures are None."""
    measures = round_measures(run).reset_index()
    excluded, total = left_out(run, OVERLAPS.values())
    return {
        "run": run.path.name,
        "status": status_of(run),
        "reason": run.info.get("reason"),
        "settings": run.settings,
        "effective_density": _json_value(density(run)),
        "rounds": [{str(k): _json_value(v) for k, v in row.items()} for row in measures.to_dict("records")],
        "failed_validity_checks": sorted({check.server_round for check in failed_checks(run).values()}),
        "pairs_left_out": {"left_out": excluded, "of": total},
        "circuits_not_usable": unusable_note(run) or None,
        "rejected": [{"round": r, "partition_id": p, "reason": why} for r, p, why in rejections(run)],
        "clients": run.info.get("clients", []),
        "holdings": {str(partition): counts for partition, counts in holdings(run).T.to_dict("list").items()},
    }


def _json_value(value: Any) -> Any:
    """Pass a figure on, with None for NaN, which JSON does not have."""
    return None if not isinstance(value, list) and pd.isna(value) else value
