"""The run directory: who writes it, who reads it, and what it holds. Reading needs neither torch nor a plot."""
