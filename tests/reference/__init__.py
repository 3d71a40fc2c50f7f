"""The behaviour of the code behind arXiv 2512.23043, written out from its description: slow, and easy to check.

Nothing here imports the project. What the project does in the paper's setting must agree with these modules; the tests
of that are in tests/fidelity. Weights are dicts of a network's tensors, `conv1.weight`, `conv1.bias`, …, `fc.bias`.
"""
