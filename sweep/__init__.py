"""Runs experiments one after another, through Flower: a set of configurations times a set of seeds."""
