"""Statistics over seeds: pure functions that know nothing of runs."""
