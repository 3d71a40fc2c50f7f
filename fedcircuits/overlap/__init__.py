"""How much two circuits, or two weight masks, have in common, and what chance alone would give.

IoU of small sets is small and IoU of large sets is large whatever the sets mean, so every value comes with its null:
two sets of sizes a and b drawn at random from a universe of n share a hypergeometric number of elements. The universe
of a pair of circuits is the channels reachable in either model.

Sources: Chung et al. 2019 (arXiv 1903.11372) for the corrected Jaccard index; Kuncheva 2007 for the correlation form.
Conventions: the IoU of two empty sets is missing (NaN), never 1 or 0; with one of them empty it is 0.
"""

from fedcircuits.overlap.set_pairs import SetPairs, pair_sets
from fedcircuits.overlap.values import OverlapValues, membership_phi, overlap_values

__all__ = ["OverlapValues", "SetPairs", "membership_phi", "overlap_values", "pair_sets"]
