"""Puts a page together: what stands in it as text, and the data that its scripts draw."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from analysis.diagnosis import Section, diagnose
from analysis.diagnosis.ladder import RUNGS, Ladder
from analysis.diagnosis.text import findings_text
from analysis.report.assets import Assets, read_assets
from analysis.report.caveats import caveats, missing
from analysis.report.embedding import json_for_html
from analysis.report.headline import headline
from analysis.report.repeat import repeat_command
from analysis.report.run_data import run_data
from analysis.report.story import Card, story
from analysis.runs.resuming import can_resume, resume_command
from analysis.runs.standing import status_of
from analysis.summary import client_labels, rejections, run_facts
from analysis.text import words
from analysis.text.table import number
from fedcircuits.runlog.run import Run
from fedcircuits.whole_files import write_whole


@dataclass(frozen=True)
class RunView:
    """One run as the page's template shows it: plain values, all of them escaped there."""

    name: str
    status: str
    facts: dict[str, str]
    headline: str
    cards: list[Card]
    caveats: list[str]
    missing: list[str]
    ladder: Ladder | None
    sections: list[tuple[Section, str]]
    diagnosed_round: int | None
    rejections: list[tuple[int, int, str]]
    labels: dict[int, str]
    command: str | None
    resume: str | None
    settings: dict[str, Any]
    versions: dict[str, Any]
    data: Markup


def write_report(runs: Sequence[Run], path: Path) -> None:
    """Write one HTML file about one run or several.

    Args:
        runs: one or more.
        path: the file; its folder must exist.

    Raises:
        ReportError: if a file that pages are made of is missing.
        OSError: if the file cannot be written.
    """
    text = render(runs)
    write_whole(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def render(runs: Sequence[Run]) -> str:
    """Return the page as HTML."""
    assets = read_assets()
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.globals.update(number=number, rungs=RUNGS, words=words)
    views = [_view(run, len(runs)) for run in runs]
    return environment.from_string(assets.template).render(runs=views, assets=_ready(assets))


def _ready(assets: Assets) -> dict[str, Any]:
    """Return style and script, which are ours and not escaped, and their digests for the page's security policy."""
    return {
        "style": Markup(assets.style),
        "script": Markup(assets.script),
        "style_digest": assets.style_digest,
        "script_digest": assets.script_digest,
    }


def _view(run: Run, num_runs: int) -> RunView:
    data, status = run_data(run, num_runs), status_of(run)
    diagnosis = diagnose(run)
    ladder = next(section.findings for section in diagnosis.sections if section.name == "ladder")
    return RunView(
        name=run.path.name,
        status=status,
        facts=run_facts(run),
        headline=headline(run),
        cards=story(run),
        caveats=[*data["notes"], *caveats(run)],
        missing=missing(run),
        ladder=ladder if isinstance(ladder, Ladder) else None,
        sections=[(section, findings_text(section)) for section in diagnosis.sections],
        diagnosed_round=diagnosis.server_round,
        rejections=rejections(run),
        labels=client_labels(run),
        command=repeat_command(run),
        resume=resume_command(run) if can_resume(status, run.info["last_round"]) else None,
        settings=run.settings,
        versions=run.info.get("versions") or {},
        data=Markup(json_for_html(data)),
    )
