"""How experiments and seeds are called in tables of text."""

import textwrap
from collections.abc import Collection, Sequence
from typing import Final

from analysis.comparison.study import SeedStudy
from analysis.text.table import TEXT_WIDTH, clip

_INDENT: Final = "  "
_LABEL_WIDTH: Final = 28


def numbered(study: SeedStudy, label: str) -> str:
    """Show an experiment's number and its label, shortened where it is long; the number tells which it is."""
    return f"{study.labels.index(label) + 1} {clip(label, _LABEL_WIDTH)}"


def named_without(study: SeedStudy, known: Collection[str], what: str) -> list[str]:
    """Return the lines that name the experiments a table does not show, and say what they lack.

    Args:
        study: the experiments.
        known: the labels of those that are shown.
        what: what the others lack.
    """
    names = ", ".join(numbered(study, label) for label in study.labels if label not in known)
    text = f"without {what}: {names}"
    wrapped = textwrap.wrap(text, TEXT_WIDTH, initial_indent=_INDENT, subsequent_indent=2 * _INDENT)
    return wrapped if names else []


def seed_list(seeds: Sequence[int]) -> str:
    """Show seeds as a range if they follow each other, otherwise one by one; counted if that is too long."""
    if len(seeds) > 2 and list(seeds) == list(range(seeds[0], seeds[-1] + 1)):
        return f"{seeds[0]}–{seeds[-1]}"
    listed = ",".join(str(seed) for seed in seeds)
    return listed if len(listed) <= 8 else f"{len(seeds)} seeds"
