"""The summary of a run: one row of figures per round, as text of at most 100 columns or as JSON."""

from analysis.summary.data import summary_data
from analysis.summary.facts import run_facts
from analysis.summary.holders import client_labels
from analysis.summary.notes import rejections, unusable_note
from analysis.summary.text import summary_text

__all__ = [
    "client_labels",
    "rejections",
    "run_facts",
    "summary_data",
    "summary_text",
    "unusable_note",
]
