"""The summary as text of at most 100 columns."""

import textwrap
from typing import Final

from analysis.summary.facts import run_facts
from analysis.summary.holders import holdings_section
from analysis.summary.notes import failed_checks_section, left_out_section, limits_section, rejected_section
from analysis.summary.rounds import rounds_section
from analysis.text.table import TEXT_WIDTH
from analysis.text.words import ADJUSTED, CHANCE, RETEST
from fedcircuits.runlog.run import Run

_HOW_TO_READ: Final = textwrap.fill(
    "How to read: circuits are compared as sets of channels, pooled over layers. "
    f"chance = IoU of {CHANCE}. adj., local/global and retest are adjusted for it: {ADJUSTED}. "
    f"retest = {RETEST}. transplant = local circuits on global weights: recall of their class, and false positives "
    "(FPR) among the other trained classes. – = undefined.",
    TEXT_WIDTH,
)


def summary_text(run: Run) -> str:
    """Return the summary as text; every line fits 100 columns, except long reasons."""
    sections = [
        _header(run),
        rounds_section(run),
        failed_checks_section(run),
        limits_section(run),
        left_out_section(run),
        rejected_section(run),
        holdings_section(run),
        _HOW_TO_READ,
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _header(run: Run) -> str:
    return "\n".join([f"Run {run.path.name}", *(f"  {name:<9} {fact}" for name, fact in run_facts(run).items())])
