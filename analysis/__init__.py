"""Reads run logs: tables, figures, reports."""
