"""Architectures: the shape of a network, the network itself, and fast passes through it."""
