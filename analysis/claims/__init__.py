"""The claims of arXiv 2512.23043, each with a rule that was fixed before the runs, and what the runs say."""
