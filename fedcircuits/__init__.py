"""Circuits of weight-sparse networks under federated averaging: the science, free of any framework."""

__version__ = "0.1.0"
