"""The one line that a round leaves on the console."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from fedcircuits.circuits.check_verdict import CheckResult, failure_sentence
from fedcircuits.records import (
    ALL_LAYERS,
    COLLAPSED_RECALL,
    DEFAULT_ANSWER_RATE,
    Comparison,
    ModelKind,
    count_reasons,
)
from fedcircuits.training.local import RoundPosition


def round_line(
    position: RoundPosition,
    seconds: float,
    trained_classes: Collection[int],
    num_channels: int,
    tables: Mapping[str, Sequence[Mapping[str, Any]] | pa.Table],
    failed_check: CheckResult | None = None,
) -> str:
    """Say in one line how a round went.

    Args:
        position: the round.
        seconds: what it took.
        trained_classes: classes that clients have trained on; empty if they do not say.
        num_channels: channels of the network.
        tables: its tables, as they are logged.
        failed_check: the newest check of the discovery if it was failed; None if it was not.
    """
    clients = tables["clients"]
    accepted = sum(row["accepted"] for row in clients)
    overall = [row for row in tables["accuracy"] if row["model"] == ModelKind.GLOBAL and row["recall"] is not None]
    accuracy = sum(row["recall"] * row["num_examples"] for row in overall) / sum(row["num_examples"] for row in overall)
    parts = [
        f"round {position.server_round}/{position.num_rounds}",
        f"{seconds:.1f} s",
        f"clients {accepted}/{len(clients)}",
        f"accuracy {accuracy:.3f}",
        _lost_classes(overall, trained_classes),
        *_default_answers(overall),
        *_circuits(tables, num_channels, _failed(failed_check, position)),
    ]
    return " | ".join(parts)


def _lost_classes(overall: Sequence[Mapping[str, Any]], trained_classes: Collection[int]) -> str:
    """Say how many classes the global model does not recognise: collapsed are those that were trained on."""
    lost = [row["class_id"] for row in overall if row["recall"] < COLLAPSED_RECALL]
    if not trained_classes:
        return f"not recognised {len(lost)} of {len(overall)} classes, trained or not"
    return f"collapsed {sum(class_id in trained_classes for class_id in lost)} of {len(trained_classes)} classes"


def _default_answers(overall: Sequence[Mapping[str, Any]]) -> list[str]:
    """Name the classes that the global model takes most other images for, whose recall says nothing."""
    rates = {row["class_id"]: row["false_positive_rate"] for row in overall}
    named = {c: rate for c, rate in rates.items() if rate is not None and rate >= DEFAULT_ANSWER_RATE}
    return [f"answers class {class_id} to {rate:.0%} of other images" for class_id, rate in named.items()]


def _circuits(tables: Mapping[str, Any], num_channels: int, failure: list[str]) -> list[str]:
    """Say how large, how usable and how similar the circuits are, if any were looked for.

    They are the clients', or the global model's where clients report none.
    """
    model = ModelKind.CLIENT
    if not any(row["model"] == model for row in tables["quality"]):
        model = ModelKind.GLOBAL
    quality = [row for row in tables["quality"] if row["model"] == model]
    if not quality:
        return []
    # Of a model whose circuits were found on both kinds of images, those are meant that are compared.
    data = max(row["data"] for row in quality)
    quality = [row for row in quality if row["data"] == data]
    found = [row for row in tables["circuits"] if row["model"] == model and row["data"] == data]
    sizes = sum(row["num_channels"] for row in found)
    usable = sum(row["usable"] is True for row in quality)
    reasons = count_reasons(row["reason"] for row in quality)
    parts = [
        f"{model} circuits {sizes / len(quality):.0f} of {num_channels} channels, {usable}/{len(quality)} usable"
        f"{f' ({reasons})' if reasons else ''}",
        *failure,
    ]
    overlap = tables["overlap"]
    same = overlap.filter(
        (pc.field("comparison") == str(Comparison.SAME_CLASS_ACROSS_CLIENTS))
        & (pc.field("layer") == ALL_LAYERS)
        & (pc.field("data") == data)
        & pc.field("usable")
    )
    if same.num_rows:
        iou, chance = (pc.mean(same[name]).as_py() for name in ("iou", "expected_iou"))
        parts.append(f"same-class IoU {iou:.2f} (chance {chance:.2f})")
    return parts


def _failed(failed_check: CheckResult | None, position: RoundPosition) -> list[str]:
    """Say why no circuit counts as usable, if that is so."""
    if failed_check is None:
        return []
    return [failure_sentence(failed_check, f"round {failed_check.server_round}", f"round {position.server_round}")]
