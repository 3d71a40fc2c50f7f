"""Datasets: reading images, holding them, and dealing them out to clients."""
