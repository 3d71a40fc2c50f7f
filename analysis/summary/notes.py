"""What a summary's figures do not count: failed checks, pairs left out, replies set aside."""

import textwrap

from analysis.measures import (
    OVERLAPS,
    check_failure,
    compared_quality,
    identifiability_note,
    is_counted,
    left_out,
    question_note,
    reasons_in_words,
    sample_note,
)
from analysis.summary.holders import client_labels
from fedcircuits.runlog.run import Run


def failed_checks_section(run: Run) -> str:
    """Say under a title which checks failed, and what follows; empty if none did."""
    note = check_failure(run)
    return f"Failed checks (see `analysis diagnose`)\n{textwrap.indent(textwrap.fill(note, 98), '  ')}" if note else ""


def limits_section(run: Run) -> str:
    """Say what keeps overlaps from being about the models alone; empty if nothing does."""
    notes = [note for note in (question_note(run), identifiability_note(run), sample_note(run)) if note]
    lines = [textwrap.indent(textwrap.fill(note, 98), "  ") for note in notes]
    return "\n".join(["What limits overlaps", *lines]) if lines else ""


def left_out_section(run: Run) -> str:
    """Count the pairs that are not in the overlaps; empty if no pairs were logged."""
    counts = {name.replace("_", " "): left_out(run, [comparison]) for name, comparison in OVERLAPS.items()}
    if not sum(total for _, total in counts.values()):
        return ""
    listed = ", ".join(f"{name} {excluded} of {total}" for name, (excluded, total) in counts.items())
    note = unusable_note(run)
    why = f"\n{textwrap.indent(textwrap.fill(note, 98), '  ')}" if note else ""
    return f"Left out of the overlaps, because a circuit of the pair is not usable:\n  {listed}{why}"


def unusable_note(run: Run) -> str:
    """Say how many client circuits of the last round with any are usable, and why others are not; empty if all are."""
    quality = compared_quality(run)
    last = quality[quality["round"] == quality["round"].max()]
    reasons = reasons_in_words(last)
    if not reasons:
        return ""
    usable = int(is_counted(run, last["usable"]).sum())
    return f"{usable} of {len(last)} client circuits of round {last['round'].iloc[0]} are usable; others: {reasons}"


def rejections(run: Run) -> list[tuple[int, int, str]]:
    """Return round, partition and reason of each reply that was set aside, also of replies to evaluate."""
    rows = run.clients.dropna(subset=["reason"])
    columns = (rows["round"], rows["partition_id"], rows["reason"])
    return [(int(r), int(p), str(why)) for r, p, why in zip(*columns, strict=True)]


def rejected_section(run: Run) -> str:
    """List the replies that were set aside; empty if there is none."""
    labels = client_labels(run)
    lines = [f"  round {r}, partition {p}{labels.get(p, '')}: {why}" for r, p, why in rejections(run)]
    return "\n".join(["Rejected replies", *lines]) if lines else ""
