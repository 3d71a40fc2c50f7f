"""Why there is nothing to show: in words."""

from collections.abc import Collection

from analysis.measures.checks import failed_checks
from analysis.measures.holdings import found_classes, has_shared_class, holdings
from analysis.runs.withheld import reports_on, withheld
from analysis.text.words import named_rounds
from fedcircuits.records import Comparison
from fedcircuits.runlog.run import Run


def why_no_pairs(run: Run, comparison: Comparison) -> str:
    """Say why `pairs` is empty for a comparison; meaningless if it is not."""
    logged = run.overlap[run.overlap["comparison"] == comparison]
    if len(logged):
        return why_unusable(run, {*logged["round"]})
    return _why_none_formed(run, comparison)


def _why_none_formed(run: Run, comparison: Comparison) -> str:
    """Say why there were no circuits to compare."""
    if not reports_on(run, comparison):
        return f"no pairs: {withheld(run)}"
    if comparison == Comparison.SAME_CLASS_ACROSS_CLIENTS and not has_shared_class(run):
        verb = "has circuits in" if holdings(run).empty else "is held by"
        return f"no pairs: no class {verb} two clients"
    num_classes = [len(classes) for classes in found_classes(run).values()]
    if comparison == Comparison.DIFFERENT_CLASS_ACROSS_CLIENTS and len(num_classes) == 1:
        return "no pairs: there is one client"
    if comparison == Comparison.DIFFERENT_CLASS_WITHIN_CLIENT and num_classes and max(num_classes) == 1:
        return "no pairs: no client has circuits of two classes"
    if comparison == Comparison.ROUND_TO_ROUND and run.circuits["round"].nunique() < 2:
        return "no pairs: circuits were not found in two rounds"
    return "no pairs were logged"


def why_unusable(run: Run, rounds: Collection[int]) -> str:
    """Say why circuits of some rounds form no pair of usable ones; by how much a check was failed, others say."""
    checks = failed_checks(run)
    if not checks.keys() >= set(rounds):
        return "no pairs: none of two usable circuits"
    failed = named_rounds(sorted({checks[server_round].server_round for server_round in rounds}))
    return f"no pairs: discovery failed its check in {failed}, so no circuit counts as usable"
