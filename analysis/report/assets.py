"""The files that a page is made of: template, style and scripts, from the folder static."""

import base64
import hashlib
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from fedcircuits.errors import FedCircuitsError

_SCRIPTS: Final = (
    "dom.js",
    "tables.js",
    "tooltip.js",
    "grid_keys.js",
    "chart_axes.js",
    "chart_numbers.js",
    "line_chart.js",
    "heat_map.js",
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
    """Read all files.

    Raises:
        ReportError: if one is missing.
    """
    scripts = "\n".join(_read(name) for name in _SCRIPTS)
    return Assets(_read("page.html.j2"), f"\n{_read('style.css')}", f'\n(() => {{\n"use strict";\n{scripts}}})();\n')


def _read(name: str) -> str:
    file = files("analysis.report") / "static" / name
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise ReportError(
            f"{file} cannot be read: {error.strerror}. Reports are made from a checkout or an installed package; the "
            "bundle that Flower sends to machines has no such files"
        ) from error


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}"
