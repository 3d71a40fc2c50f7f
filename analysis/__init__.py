"""Reads run logs: tables, figures, reports."""

from analysis.run import Run, load_run

__all__ = ["Run", "load_run"]
