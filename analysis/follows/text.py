"""The regression of overlap as text: a small table, and a sentence for each term."""

from typing import Final

from analysis.follows.regression import (
    LABEL_OVERLAP,
    SAME_CIRCUIT,
    SAME_CLASS,
    SAME_CLIENT,
    SAME_ROUND,
    OverlapRegression,
    Term,
)
from analysis.text.table import lay_out, number

_LEVEL: Final = 0.05
"""A term with a p-value below this is said to matter."""

_WHO: Final = {
    SAME_CIRCUIT: "A client's circuits of one class in two rounds",
    SAME_CLASS: "Circuits of one class",
    SAME_CLIENT: "Circuits of one client",
    LABEL_OVERLAP: "Circuits of clients that hold the same classes",
    SAME_ROUND: "Circuits of one round",
}

_HOW_TO_READ: Final = """\
How to read: phi is the correlation of membership, 0 at chance; a coefficient is what a pair that
shares the term has more, the other terms being equal. p: how often labels that are dealt anew to
the circuits give as strong a term; terms that this does not change have none."""


def regression_text(result: OverlapRegression) -> str:
    """Return the table, the sentences and how to read them."""
    first, last = result.rounds
    rounds = f"round {first}" if first == last else f"rounds {first} to {last}"
    head = (
        f"{result.num_pairs} pairs of {result.num_circuits} usable circuits of clients, {rounds}; "
        f"{result.num_permutations} permutations."
    )
    rows = [["nothing shared", number(result.intercept, 3, is_signed=True), "–"]]
    rows += [[term.name, number(term.coefficient, 3, is_signed=True), _p(term)] for term in result.terms]
    sentences = [_sentence(term) for term in result.terms]
    sentences += [f"{name.capitalize()} is left out: {why}." for name, why in result.left_out.items()]
    return "\n\n".join([head, lay_out(["term", "phi", "p"], rows), "\n".join(sentences), _HOW_TO_READ]) + "\n"


def _sentence(term: Term) -> str:
    """Say what a term does, as far as the permutations bear it out."""
    if term.p_value is not None and term.p_value >= _LEVEL:
        return f"{_WHO[term.name]} overlap neither more nor less than others, as far as this run can tell."
    direction = "more" if term.coefficient > 0 else "less"
    return f"{_WHO[term.name]} overlap {direction} than others, by {number(abs(term.coefficient), 3)}."


def _p(term: Term) -> str:
    if term.p_value is None:
        return "–"
    return f"{term.p_value:.4f}"
