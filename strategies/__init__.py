"""Aggregation strategies: Flower's own, watched by an observer of circuits."""
