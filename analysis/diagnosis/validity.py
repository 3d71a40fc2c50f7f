"""Is the discovery valid? It must find better circuits in the trained model than where there is nothing to find."""

from dataclasses import dataclass

import pandas as pd

from analysis.diagnosis.findings import Findings, NotMeasuredError, mean
from analysis.heavy_measures import newest_rows, why_not_measured
from analysis.run import Run


@dataclass(frozen=True)
class Control:
    """The real circuits against those of one control.

    Args:
        control: what was searched instead: `untrained`, `nonsense`, `permuted` or `random`.
        balanced_accuracy: of the real circuits, pooled over classes.
        control_balanced_accuracy: of the control's circuits.
        size: channels of a real circuit.
        control_size: channels of the control's.
        z: the pooled difference in standard errors.
        is_beaten: the pooled verdict; None if none was logged.
        num_classes: classes that were checked one by one.
        num_classes_beaten: those in which the control was beaten.
    """

    control: str
    balanced_accuracy: float
    control_balanced_accuracy: float
    size: float
    control_size: float
    z: float
    is_beaten: bool | None
    num_classes: int
    num_classes_beaten: int


@dataclass(frozen=True)
class Validity(Findings):
    """All controls of the newest check, which may be older than the rest of the page."""

    checked_in_round: int
    controls: list[Control]

    @property
    def meaning(self) -> str:
        """Say whether every control was beaten."""
        unbeaten = [control.control for control in self.controls if control.is_beaten is False]
        undecided = [control.control for control in self.controls if control.is_beaten is None]
        if unbeaten:
            return (
                f"The real circuits are not better than those of {_listed(unbeaten)}: such circuits are also found "
                "where there is nothing to find, so nothing below should be read as a mechanism (one run, one seed)."
            )
        if undecided:
            return f"No verdict on {_listed(undecided)}, so the discovery is not yet shown to be valid."
        return (
            f"The real circuits are better than those of {_listed([own.control for own in self.controls])}, as "
            "circuits must be (one run, one seed)."
        )


def examine_validity(run: Run, server_round: int) -> Validity:
    """Return the outcome of the newest check up to a round: checks have a schedule of their own.

    Raises:
        NotMeasuredError: if there was none.
    """
    rows = newest_rows(run, "validity", server_round)
    if rows.empty:
        raise NotMeasuredError(why_not_measured(run, "validity"))
    controls = [_control(str(name), own) for name, own in rows.groupby("control", sort=False)]
    return Validity(int(rows["round"].iloc[0]), controls)


def _control(name: str, rows: pd.DataFrame) -> Control:
    pooled, classes = rows[rows["class_id"].isna()], rows[rows["class_id"].notna()]
    verdicts = pooled["beaten"].dropna()
    return Control(
        control=name,
        balanced_accuracy=mean(pooled["balanced_accuracy"]),
        control_balanced_accuracy=mean(pooled["control_balanced_accuracy"]),
        size=mean(pooled["size"]),
        control_size=mean(pooled["control_size"]),
        z=mean(pooled["z"]),
        is_beaten=bool(verdicts.all()) if len(verdicts) else None,
        num_classes=len(classes),
        num_classes_beaten=int(classes["beaten"].fillna(False).astype(bool).sum()),
    )


def _listed(controls: list[str]) -> str:
    *others, last = controls
    return f"{', '.join(others)} and {last}" if others else last
