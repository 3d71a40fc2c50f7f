"""Which channel of one model is which of another, and what is left of a difference once that is taken into account."""
