"""What overlap follows: class, client, the classes that clients hold, or the round.

A regression of phi over all pairs of a run's usable client circuits, within and across rounds:

    phi = b0 + b1 [same class] + b2 [same client] + b3 label overlap + b4 [same round] + b5 [same circuit] + error

Pairs share circuits, so no textbook p-value holds. Labels are permuted instead (Mantel 1967; QAP, Krackhardt 1988).
What carries a label, class and client together, is a track: the circuits of one class in one client through all rounds.
Rounds of a track resemble each other because weights carry over, whatever class and client mean; b5 takes that up, and
a permutation leaves it as it is. Where another term is strong, p-values are larger than they need be.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis import measures
from analysis.measures.circuit_pairs import circuit_sets, with_verdicts
from fedcircuits.errors import RunLogError
from fedcircuits.overlap import membership_phi, pair_sets
from fedcircuits.records import ALL_LAYERS, ModelKind
from fedcircuits.runlog.run import Run

NUM_PERMUTATIONS: Final = 2000

MAX_CIRCUITS: Final = 600
"""Circuits that are taken at most, the last rounds': 600 make 179,700 pairs."""

_MOST_OF_A_ROUND: Final = 2000
"""A round with more circuits is refused: 2,000 make two million pairs, which is what fits into memory at ease."""

_MOST_COLLINEAR: Final = 30.0
"""Condition number of the columns above which their coefficients say nothing."""

_KEY: Final = ["round", "partition_id", "class_id"]

SAME_CIRCUIT: Final = "same circuit, another round"
SAME_CLASS: Final = "same class"
SAME_CLIENT: Final = "same client"
LABEL_OVERLAP: Final = "label overlap"
SAME_ROUND: Final = "same round"

_PERMUTED: Final = (SAME_CLASS, SAME_CLIENT, LABEL_OVERLAP)
"""Terms that follow from a track's labels; the others stay as they are when labels are permuted, and have no p."""

_Floats = NDArray[np.floating[Any]]
_Ints = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Term:
    """One term of the regression.

    Args:
        name: what two circuits share.
        coefficient: how much higher their phi is for it.
        p_value: share of permutations with as strong a coefficient, in its standard errors, either way; None for terms
            that do not depend on the permuted labels.
    """

    name: str
    coefficient: float
    p_value: float | None


@dataclass(frozen=True)
class OverlapRegression:
    """What overlap follows in a run.

    Args:
        intercept: phi of a pair that shares nothing.
        terms: those that could be estimated.
        left_out: name of each term that could not, and why.
        num_pairs: pairs of circuits.
        num_circuits: circuits that form them.
        rounds: the first and the last round that was taken.
        num_permutations: permutations behind each p-value.
    """

    intercept: float
    terms: tuple[Term, ...]
    left_out: dict[str, str]
    num_pairs: int
    num_circuits: int
    rounds: tuple[int, int]
    num_permutations: int


@dataclass(frozen=True)
class _Cells:
    """Pairs of circuits, gathered by their tracks and by whether they are of one round.

    All terms are the same within a cell, so that sums over cells are sums over pairs, at a fraction of the cost.

    Args:
        first: `[cell]`, track of a pair's one end.
        second: `[cell]`, track of the other.
        is_same_round: `[cell]`.
        num_pairs: `[cell]`.
        phi: `[cell]`, summed over the cell's pairs.
        square: phi squared, summed over all pairs.
    """

    first: _Ints
    second: _Ints
    is_same_round: NDArray[np.bool_]
    num_pairs: _Ints
    phi: _Floats
    square: float


def regress_overlap(
    run: Run, layer: str = ALL_LAYERS, num_permutations: int = NUM_PERMUTATIONS, seed: int = 0
) -> OverlapRegression:
    """Regress the overlap of a run's client circuits on what they share.

    Args:
        run: the run.
        layer: whose channels are compared; `all` = pooled.
        num_permutations: permutations behind each p-value.
        seed: of the permutations.

    Raises:
        RunLogError: if there is no such layer, a round has too many circuits for all of its pairs, or there are not
            three usable circuits of two clients or classes.
    """
    circuits = _last_circuits(run)
    identities = pd.DataFrame([rows[_KEY].iloc[0] for rows in circuits], columns=_KEY).astype("int64")
    tracks = identities[["partition_id", "class_id"]].drop_duplicates(ignore_index=True)
    if len(circuits) < 3 or len(tracks) < 2:
        raise RunLogError(f"{run.path}: {len(circuits)} usable circuits of clients are too few to say what they follow")
    cells = _gather(identities, tracks, circuits, layer)
    known = _label_terms(run, tracks)
    columns, left_out = _estimable(_columns(known, cells), cells)
    if not measures.holdings(run).size:
        left_out[LABEL_OVERLAP] = "which classes clients hold is not known"
    coefficients, scores = _fit(columns, cells)
    p_values = _p_values(known, columns, scores, cells, num_permutations, np.random.default_rng(seed))
    terms = [
        Term(name, float(coefficient), float(p) if name in _PERMUTED else None)
        for name, coefficient, p in zip(columns, coefficients, p_values, strict=True)
    ]
    return OverlapRegression(
        terms[0].coefficient,
        tuple(terms[1:]),
        left_out,
        int(cells.num_pairs.sum()),
        len(circuits),
        (int(identities["round"].min()), int(identities["round"].max())),
        num_permutations,
    )


def _last_circuits(run: Run) -> list[pd.DataFrame]:
    """Return the usable client circuits of the last rounds, as many whole rounds as the limit allows, one at least."""
    circuits = measures.on_common_images(run).circuits
    rows = circuits[(circuits["model"] == ModelKind.CLIENT) & circuits["channels"].notna()]
    rows = with_verdicts(run, rows)
    found = [circuit for _, circuit in rows[rows["usable"]].groupby(_KEY) if _is_proper(circuit)]
    rounds = pd.Series([int(circuit["round"].iloc[0]) for circuit in found], dtype="int64")
    counted = rounds.value_counts().sort_index(ascending=False).cumsum()
    if counted.min() > _MOST_OF_A_ROUND:
        raise RunLogError(
            f"{run.path}: round {counted.index[0]} has {counted.min()} usable circuits of clients; every pair of a "
            f"round's circuits is needed to say what overlap follows, so a round may have {_MOST_OF_A_ROUND} at most"
        )
    taken = set(counted.index[(counted <= MAX_CIRCUITS) | (counted == counted.min())])
    return [circuit for circuit, server_round in zip(found, rounds, strict=True) if server_round in taken]


def _is_proper(circuit: pd.DataFrame) -> bool:
    """Tell whether a circuit has some and not all of its channels: the membership of others does not vary."""
    return 0 < circuit["num_channels"].sum() < circuit["reachable"].map(len).sum()


def _gather(identities: pd.DataFrame, tracks: pd.DataFrame, circuits: Sequence[pd.DataFrame], layer: str) -> _Cells:
    """Measure all pairs of circuits and sum them up in cells."""
    layers = [*circuits[0]["layer"], ALL_LAYERS]
    if layer not in layers:
        raise RunLogError(f"layer {layer!r}: must be one of {', '.join(layers)}")
    first, second = np.triu_indices(len(circuits), k=1)
    phi = membership_phi(pair_sets(*circuit_sets(circuits), first, second))[:, layers.index(layer)]
    is_known = ~np.isnan(phi)  # in a single layer a circuit may be empty or full
    first, second, phi = first[is_known], second[is_known], phi[is_known]
    track = identities.merge(tracks.reset_index(), on=["partition_id", "class_id"], how="left")["index"].to_numpy()
    rounds = identities["round"].to_numpy()
    ends = np.sort(np.stack([track[first], track[second]]), axis=0)
    cells, cell = np.unique(np.vstack([ends, rounds[first] == rounds[second]]), axis=1, return_inverse=True)
    cell = cell.reshape(-1)
    num_pairs, sums = np.bincount(cell), np.bincount(cell, weights=phi).astype(np.float64)
    return _Cells(cells[0], cells[1], cells[2].astype(np.bool_), num_pairs, sums, float((phi**2).sum()))


def _label_terms(run: Run, tracks: pd.DataFrame) -> dict[str, _Floats]:
    """Return the terms that follow from the labels of two tracks, `[track, track]` each."""
    partitions, classes = tracks["partition_id"].to_numpy(), tracks["class_id"].to_numpy()
    terms = {
        SAME_CLASS: (classes[:, None] == classes).astype(np.float64),
        SAME_CLIENT: (partitions[:, None] == partitions).astype(np.float64),
    }
    holdings = measures.holdings(run)
    if holdings.size:
        held = (holdings.loc[partitions] > 0).to_numpy(dtype=np.float64)
        shared = held @ held.T
        either = held.sum(axis=1)[:, None] + held.sum(axis=1) - shared
        terms[LABEL_OVERLAP] = shared / np.maximum(either, 1)
    return terms


def _columns(label_terms: dict[str, _Floats], cells: _Cells) -> dict[str, _Floats]:
    """Return the regression's columns, `[cell]` each, the intercept first."""
    return {
        "": np.ones(len(cells.first)),
        SAME_CIRCUIT: (cells.first == cells.second).astype(np.float64),
        **{name: term[cells.first, cells.second] for name, term in label_terms.items()},
        SAME_ROUND: cells.is_same_round.astype(np.float64),
    }


def _estimable(columns: dict[str, _Floats], cells: _Cells) -> tuple[dict[str, _Floats], dict[str, str]]:
    """Return the columns that can be told from those before them, and why each other one cannot.

    A column that nearly is a sum of others gets a coefficient that no difference of correlations can have, and gives
    the others the opposite. What decides is the condition number of the columns, each of length 1 over all pairs
    (Belsley, Kuh and Welsch 1980).
    """
    weight = np.sqrt(cells.num_pairs)
    kept: dict[str, _Floats] = {}
    left_out = {}
    for name, column in columns.items():
        design = np.column_stack([*kept.values(), column]) * weight[:, None]
        if kept and np.ptp(column) == 0:
            left_out[name] = "it is the same for all pairs"
        elif np.linalg.cond(design / np.linalg.norm(design, axis=0)) <= _MOST_COLLINEAR:
            kept[name] = column
        else:
            left_out[name] = f"it cannot be told from {', '.join(known for known in kept if known)}"
    return kept, left_out


def _p_values(
    known: dict[str, _Floats],
    columns: dict[str, _Floats],
    scores: _Floats,
    cells: _Cells,
    num_permutations: int,
    generator: np.random.Generator,
) -> _Floats:
    """Return how often labels, dealt anew to the tracks, give as strong a term; what was seen counts as one deal."""
    beyond = np.zeros(len(columns))
    for _ in range(num_permutations):
        order = generator.permutation(len(next(iter(known.values()))))
        moved = _columns({name: term[np.ix_(order, order)] for name, term in known.items()}, cells)
        # A permutation that changes nothing is as strong as what was seen; rounding must not say otherwise.
        beyond += np.abs(_fit({name: moved[name] for name in columns}, cells)[1]) >= np.abs(scores) - 1e-9
    return (beyond + 1) / (num_permutations + 1)


def _fit(columns: dict[str, _Floats], cells: _Cells) -> tuple[_Floats, _Floats]:
    """Return the least-squares coefficients over all pairs, and each in its standard errors."""
    design = np.column_stack(list(columns.values()))
    gram = design.T @ (design * cells.num_pairs[:, None])
    moments = design.T @ cells.phi
    coefficients = np.linalg.lstsq(gram, moments, rcond=None)[0]
    freedom = max(int(cells.num_pairs.sum()) - len(moments), 1)
    residual = max(cells.square - float(coefficients @ moments), 1e-12) / freedom
    # A permutation may make two terms the same; the pseudo-inverse then shares the coefficient between them.
    spread = np.sqrt(residual * np.clip(np.diag(np.linalg.pinv(gram, hermitian=True)), 1e-12, None))
    return coefficients, coefficients / spread
