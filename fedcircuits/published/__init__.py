"""Foreign logs: reads what others published and writes it as a run."""
