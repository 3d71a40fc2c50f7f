"""What does averaging do to circuits? Their weights are put back, circuits and weights swapped, the path looked at."""

from dataclasses import dataclass
from typing import Final

import pandas as pd

from analysis.diagnosis.findings import Findings, NotMeasuredError, counted, mean, share_below
from analysis.measures.examined import rows_of, swap_table, why_not_measured
from fedcircuits.records import ModelKind
from fedcircuits.runlog.run import Run

SIGNIFICANT: Final = 0.01
"""Level at which putting a circuit's weights back must beat random sets of equal size."""

MOST: Final = 0.5
"""Share of circuits that must do so for damage to be called the rule."""

PRESERVED: Final = 0.8
"""Local circuits that keep at least this share of their separation on the global weights are preserved."""

SMALL_BARRIER: Final = 0.1
"""Nats; a loss that rises less between two models leaves them in one basin."""


@dataclass(frozen=True)
class Patching:
    """The client's weights of a circuit put back into the global model, in means over circuits.

    Args:
        num_circuits: circuits of clients.
        gain: in separation, nats.
        random_gain: by random sets of equal size.
        significant_share: share of circuits that gain more than random sets, p < `SIGNIFICANT`.
    """

    num_circuits: int
    gain: float
    random_gain: float
    significant_share: float


@dataclass(frozen=True)
class Swap:
    """Means over clients and classes for one combination; both are `local` or `global`."""

    circuit: str
    weights: str
    balanced_accuracy: float
    separation: float


@dataclass(frozen=True)
class Barriers:
    """The highest rise of the loss above the straight line between two models, in nats.

    Args:
        num_pairs: pairs of clients.
        between_clients: mean over them.
        num_to_average: clients whose way to the global model was looked at.
        to_average: mean over them.
    """

    num_pairs: int
    between_clients: float
    num_to_average: int
    to_average: float


@dataclass(frozen=True)
class LayerUpdates:
    """How clients' updates of a layer go together, over all weights and over those of clients' circuits.

    Args:
        layer: the layer.
        kept: share of the updates' length that their mean keeps.
        kept_by_circuits: the same over weights into or out of a client's circuit, mean over circuits.
        conflict: share of update mass on weights where clients' largest updates differ in sign.
        conflict_in_circuits: the same over the weights of circuits.
        conflict_by_chance: what shuffled signs would give, over all weights.
    """

    layer: str
    kept: float
    kept_by_circuits: float
    conflict: float
    conflict_in_circuits: float
    conflict_by_chance: float


@dataclass(frozen=True)
class Averaging(Findings):
    """What was measured of it; None or empty where that was not.

    Args:
        updates: of each layer that touches circuits.
        patching: weights put back.
        swaps: circuits and weights crossed, four entries.
        preservation: separation of local circuits on global weights over that on their own, as a ratio of means,
            because a single circuit's separation may be near zero.
        barriers: of the straight line between models.
    """

    updates: list[LayerUpdates]
    patching: Patching | None
    swaps: list[Swap]
    preservation: float
    barriers: Barriers | None

    @property
    def meaning(self) -> str:
        """Say whether circuits survive, in as many clauses as were measured."""
        clauses = [clause for clause in (self._kept(), self._put_back(), self._way()) if clause]
        text = "; ".join(clauses) or "nothing that was measured is defined"
        return f"{text[0].upper()}{text[1:]} (one run, one seed)."

    def _kept(self) -> str:
        if pd.isna(self.preservation):
            return ""
        verb = "preserve" if self.preservation >= PRESERVED else "do not preserve"
        return f"the averaged weights {verb} local circuits, P {self.preservation:.2f}"

    def _put_back(self) -> str:
        own = self.patching
        if own is None or pd.isna(own.significant_share):
            return ""
        helps = own.significant_share >= MOST and own.gain > own.random_gain
        effect = "restores more than random weights do" if helps else "mostly restores no more than random weights do"
        evidence = f"p < {SIGNIFICANT} for {own.significant_share:.0%} of {counted(own.num_circuits, 'circuit')}"
        return f"putting a circuit's own weights back {effect}, {evidence}"

    def _way(self) -> str:
        if self.barriers is None or pd.isna(self.barriers.between_clients):
            return ""
        is_small = self.barriers.between_clients < SMALL_BARRIER
        return f"clients lie in {'one basin' if is_small else 'different basins'} of the loss"


def examine_averaging(run: Run, server_round: int) -> Averaging:
    """Return what was measured of patching, swaps and barriers in a round.

    Raises:
        NotMeasuredError: if none of the three was.
    """
    patching, swaps, barriers = (rows_of(run, table, server_round) for table in ("patching", "swaps", "barriers"))
    if patching.empty and swaps.empty and barriers.empty:
        raise NotMeasuredError(why_not_measured(run, "patching"))
    interference, of_circuits = (
        rows_of(run, table, server_round) for table in ("interference", "circuit_interference")
    )
    return Averaging(
        updates=_updates(interference, of_circuits),
        patching=_patching(patching) if len(patching) else None,
        swaps=_swaps(swaps) if len(swaps) else [],
        preservation=_preservation(swaps),
        barriers=_barriers(barriers) if len(barriers) else None,
    )


def _updates(layers: pd.DataFrame, circuits: pd.DataFrame) -> list[LayerUpdates]:
    columns = ["layer", "cancellation", "sign_conflict"]
    of_circuits = circuits[columns].groupby("layer").mean().reset_index()
    # Merged in the order of the layers; those that touch no circuit have no row in the other table.
    both = layers[[*columns, "sign_conflict_null"]].merge(of_circuits, on="layer", suffixes=("", "_in_circuits"))
    return [
        LayerUpdates(
            layer=row["layer"],
            kept=row["cancellation"],
            kept_by_circuits=row["cancellation_in_circuits"],
            conflict=row["sign_conflict"],
            conflict_in_circuits=row["sign_conflict_in_circuits"],
            conflict_by_chance=row["sign_conflict_null"],
        )
        for row in both.to_dict("records")
    ]


def _patching(rows: pd.DataFrame) -> Patching:
    significant = share_below(rows["p_value"], SIGNIFICANT)
    return Patching(len(rows), mean(rows["gain"]), mean(rows["random_gain"]), significant)


def _swaps(rows: pd.DataFrame) -> list[Swap]:
    accuracy, separation = swap_table(rows, "balanced_accuracy"), swap_table(rows, "separation")
    return [
        Swap(circuit, weights, float(accuracy[weights][circuit]), float(separation[weights][circuit]))
        for circuit in accuracy.index
        for weights in accuracy.columns
    ]


def _preservation(rows: pd.DataFrame) -> float:
    separation = swap_table(rows, "separation")
    own, averaged = (float(separation[weights][ModelKind.CLIENT]) for weights in (ModelKind.CLIENT, ModelKind.GLOBAL))
    return averaged / own if own > 0 else float("nan")


def _barriers(rows: pd.DataFrame) -> Barriers:
    is_to_average = rows["b_partition_id"].isna()
    clients, average = rows.loc[~is_to_average, "barrier"], rows.loc[is_to_average, "barrier"]
    return Barriers(len(clients), mean(clients), len(average), mean(average))
