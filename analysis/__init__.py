"""Reads run logs: tables, figures, reports."""

from fedcircuits.runlog.run import Run, load_run

__all__ = ["Run", "load_run"]
