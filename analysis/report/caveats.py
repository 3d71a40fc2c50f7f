"""What a reader must know before believing a run's page, and what its log does not hold."""

from typing import Any, Final

from analysis import measures
from analysis.measures.examined import why_not_measured
from analysis.runs.standing import status_of
from analysis.runs.withheld import average_noise, mask_noise, withheld
from analysis.summary import rejections, unusable_note
from fedcircuits.runlog.run import Run

_EXAMINED: Final = {
    "validity": "check of the discovery against random circuits",
    "ladder": "where accuracy went",
    "scrutiny": "tests of single circuits",
    "alignment": "matching of channels between models",
    "patching": "weights put back into the average",
}
"""Tables of examinations, and what is in them."""

_OTHERS: Final = {
    "accuracy": "accuracy",
    "circuits": "circuits",
    "edges": "edges of circuits",
    "quality": "quality of circuits",
    "overlap": "overlaps",
    "interference": "what averaging does to weights",
}


def caveats(run: Run) -> list[str]:
    """Return what limits a run's findings, the gravest first."""
    notes = _status(run)
    if "imported-from" in run.settings:
        notes.append("An imported log: what it lacks was not measured, and is listed below.")
    limits = (
        measures.check_failure(run),
        measures.question_note(run),
        measures.identifiability_note(run),
        measures.sample_note(run),
        withheld(run),
        mask_noise(run),
        average_noise(run),
    )
    notes += [_sentence(note) for note in limits if note]
    notes += _unusable(run)
    excluded, total = measures.left_out(run, measures.OVERLAPS.values())
    if excluded:
        notes.append(f"{excluded} of {total} pairs are left out of the overlaps: not both circuits are usable.")
    if rejected := len(rejections(run)):
        notes.append(f"{rejected} {'reply was' if rejected == 1 else 'replies were'} set aside; see Faults.")
    notes.append("One run is one seed: no difference between single runs is a result. See analysis compare.")
    return notes


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _status(run: Run) -> list[str]:
    status, last = status_of(run), run.info["last_round"]
    planned: Any = run.settings.get("num-server-rounds", "?")
    if status == "failed":
        return [f"The run failed after {last} of {planned} rounds: {run.info.get('reason') or 'no reason was logged'}."]
    if status == "interrupted":
        return [f"The run was interrupted after {last} of {planned} rounds: the process that wrote it is gone."]
    if status != "completed":
        return [f"The run has not ended: {last} of {planned} rounds, status {status}. Later rounds are not in here."]
    return []


def _unusable(run: Run) -> list[str]:
    note = unusable_note(run)
    return [_sentence(note)] if note else []


def missing(run: Run) -> list[str]:
    """Return what the log of a run does not hold, and why where that is known."""
    if not run.info["last_round"]:
        return ["No round was finished, so every table is empty."]
    reasons = {what: _why(run, table) for table, what in _OTHERS.items() if getattr(run, table).empty}
    reasons |= {what: why_not_measured(run, table) for table, what in _EXAMINED.items() if getattr(run, table).empty}
    together: dict[str, list[str]] = {}
    for what, reason in reasons.items():
        together.setdefault(reason, []).append(what)
    return [_sentence(f"{', '.join(whats)}: {reason}") for reason, whats in together.items()]


def _why(run: Run, table: str) -> str:
    if "imported-from" in run.settings:
        return "not in imported logs"
    if table in ("circuits", "edges", "quality") and run.settings.get("circuit-every") == 0:
        return "circuits were not looked for (circuit-every = 0)"
    return f"the table {table} is empty"
