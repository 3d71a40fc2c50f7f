"""The summary as text of at most 100 columns."""

from typing import Final

from analysis.run import Run
from analysis.summary.facts import run_facts
from analysis.summary.holders import holdings_section
from analysis.summary.notes import failed_checks_section, left_out_section, limits_section, rejected_section
from analysis.summary.rounds import rounds_section

_HOW_TO_READ: Final = """\
How to read: circuits are compared as sets of channels, pooled over layers. chance = IoU of random
circuits of the same sizes. adj., local/global and retest are adjusted for it: 1 = identical,
0 = chance; retest, one model on two halves of the images, is the most on average. transplant =
local circuits on global weights: recall of their class, and false positives (FPR) among the other
trained classes. – = undefined."""


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
