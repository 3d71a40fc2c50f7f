"""Experiments over seeds, side by side."""
