"""The claims of arXiv 2512.23043: what a run says about them, the rules that judge them, and the page of verdicts."""
