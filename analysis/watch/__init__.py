"""Watching a run while it goes on: what is read of it, how fast it is, and how that is shown."""
