"""A diagnosis of one round: eight questions, each with what was measured about it and what that means for the run.

Every section has a module of its own, with the thresholds that its sentence goes by.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

from analysis.diagnosis.agreement import examine_agreement
from analysis.diagnosis.alignment import examine_alignment
from analysis.diagnosis.averaging import examine_averaging
from analysis.diagnosis.costs import examine_costs
from analysis.diagnosis.findings import Findings, NotMeasuredError
from analysis.diagnosis.ladder import examine_ladder
from analysis.diagnosis.quality import examine_quality
from analysis.diagnosis.transfer import examine_transfer
from analysis.diagnosis.validity import examine_validity
from analysis.measures.examined import newest_round
from fedcircuits.errors import RunLogError
from fedcircuits.runlog.run import Run

_QUESTIONS: Final[dict[str, tuple[str, Callable[[Run, int], Findings]]]] = {
    "validity": ("Is the discovery valid?", examine_validity),
    "quality": ("How good are the circuits?", examine_quality),
    "agreement": ("Do clients agree?", examine_agreement),
    "alignment": ("Is it relabelling?", examine_alignment),
    "transfer": ("Are circuits of different clients interchangeable?", examine_transfer),
    "averaging": ("What does averaging do to circuits?", examine_averaging),
    "ladder": ("Where does the accuracy go?", examine_ladder),
    "costs": ("What did it cost?", examine_costs),
}
"""Name of a section to its question, and to the function that answers it."""


@dataclass(frozen=True)
class Section:
    """One question.

    Args:
        name: for programs.
        question: for people.
        findings: the numbers; None if they were not measured.
        meaning: what they say, or why there are none, as one sentence.
    """

    name: str
    question: str
    findings: Findings | None
    meaning: str


@dataclass(frozen=True)
class Diagnosis:
    """All sections for one round of a run.

    Args:
        run: the run directory's name.
        seed: the run's.
        server_round: the round looked at; None if the run has no round with examinations.
        sections: in the order of the page.
    """

    run: str
    seed: Any
    server_round: int | None
    sections: list[Section]


def diagnose(run: Run, server_round: int | None = None) -> Diagnosis:
    """Answer every question for one round.

    Args:
        run: the run.
        server_round: None = the newest with examinations.

    Raises:
        RunLogError: if the run has no such round.
    """
    last_round = run.info["last_round"]
    if server_round is not None and not 1 <= server_round <= last_round:
        raise RunLogError(f"{run.path.name} has no round {server_round}: its last whole round is {last_round}")
    chosen = newest_round(run) if server_round is None else server_round
    # Without any such round every section is still asked, to say which setting would have filled it.
    sections = [_section(name, run, chosen or last_round) for name in _QUESTIONS]
    return Diagnosis(run.path.name, run.settings.get("seed"), chosen, sections)


def diagnosis_data(diagnosis: Diagnosis) -> dict[str, Any]:
    """Return a diagnosis as plain JSON values; undefined figures are None."""
    sections = {
        section.name: {
            "question": section.question,
            "meaning": section.meaning,
            "findings": None if section.findings is None else _plain(asdict(section.findings)),
        }
        for section in diagnosis.sections
    }
    return {"run": diagnosis.run, "seed": diagnosis.seed, "round": diagnosis.server_round, "sections": sections}


def _section(name: str, run: Run, server_round: int) -> Section:
    question, answer = _QUESTIONS[name]
    try:
        findings = answer(run, server_round)
    except NotMeasuredError as error:
        return Section(name, question, None, f"Not measured: {error}.")
    return Section(name, question, findings, findings.meaning)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and math.isnan(value) else value
