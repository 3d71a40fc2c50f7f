"""The paper's method as one would write it in an afternoon: plain PyTorch, a DataLoader, one class after the other.

It is the baseline that speed is compared with, written from the description of arXiv 2512.23043's code and importing
nothing of the project. tests/benchmarks holds it to tests/reference: same masks, weights, circuits and rates.
"""
