"""What a page is made of: template, style and scripts, all in static.json, which is gathered from the folder static."""

import base64
import hashlib
import json
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from fedcircuits.errors import FedCircuitsError

GATHERED: Final = "static.json"
"""A JSON object from file name to text; `gather` writes it."""

_SCRIPTS: Final = (
    "dom.js",
    "tables.js",
    "tooltip.js",
    "grid_keys.js",
    "chart_axes.js",
    "chart_numbers.js",
    "line_chart.js",
    "heat_map.js",
    "absences.js",
    "log.js",
    "plot_series.js",
    "plots.js",
    "recall_map.js",
    "graph_data.js",
    "graph_layout.js",
    "graph_view.js",
    "graph_choice.js",
    "circuit_facts.js",
    "graph_panel.js",
    "clients_panel.js",
    "comparison.js",
    "controls.js",
    "app.js",
)
"""In the order in which they are joined into one script."""

_TEMPLATE: Final = "page.html.j2"
_STYLE: Final = "style.css"

_REMEDY: Final = "in a checkout, `python -m analysis.report.gather` makes it anew"


class ReportError(FedCircuitsError):
    """A page cannot be made."""


@dataclass(frozen=True)
class Assets:
    """The text of template, style and script."""

    template: str
    style: str
    script: str

    @property
    def style_digest(self) -> str:
        """Names the style in the page's content security policy."""
        return _digest(self.style)

    @property
    def script_digest(self) -> str:
        """Names the one script that a browser may run in the page."""
        return _digest(self.script)


def read_assets() -> Assets:
    """Read the texts.

    Raises:
        ReportError: if they cannot be read, or one is missing.
    """
    texts = _texts()
    scripts = "\n".join(texts[name] for name in _SCRIPTS)
    return Assets(texts[_TEMPLATE], f"\n{texts[_STYLE]}", f'\n(() => {{\n"use strict";\n{scripts}}})();\n')


def _texts() -> dict[str, str]:
    file = files("analysis.report") / GATHERED
    try:
        texts: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ReportError(f"{file} cannot be read: {error}; {_REMEDY}") from error
    missing = {_TEMPLATE, _STYLE, *_SCRIPTS} - set(texts)
    if missing:
        raise ReportError(f"{file} lacks {', '.join(sorted(missing))}; {_REMEDY}")
    return texts


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}"
