"""`import-fedmi`: a published log of the authors of arXiv 2512.23043 as a run directory."""

import argparse
import shlex
from pathlib import Path

from analysis.commands import EXIT_OK, Commands, new_command
from analysis.commands.output import put
from fedcircuits.errors import LogImportError
from fedcircuits.published.fedmi_logs import DEFAULT_CHANNELS, read_fedmi_log
from fedcircuits.settings.config_values import read_value


def add(commands: Commands) -> None:
    """Describe the command."""
    purpose = "turn a published log of arXiv 2512.23043 (circuits_per_round_*.json) into a run directory"
    details = (
        "The authors' circuits can then be summarised, drawn and compared like those of a run, as far as they were "
        "logged."
    )
    examples = {
        "circuits_per_round.json runs": "a new run directory in ./runs",
        "circuits_per_round.json runs --channels 64,64": "of another network",
    }
    parser = new_command(commands, "import-fedmi", purpose, import_fedmi, details, examples)
    parser.add_argument("file", metavar="FILE.json", help="the published log")
    parser.add_argument("out", metavar="OUT", help="folder of run directories, in which a new one is made")
    channels = ",".join(str(width) for width in DEFAULT_CHANNELS)
    parser.add_argument(
        "--channels", default=channels, help=f"channels of each convolution, which the file lacks; default: {channels}"
    )


def import_fedmi(options: argparse.Namespace) -> int:
    """Read a published log, and write it as a run."""
    try:
        widths = read_value({"channels": options.channels}, "channels", str)
    except ValueError as error:
        raise LogImportError(f"--{error}") from error
    log = read_fedmi_log(Path(options.file).expanduser(), widths)
    # The writer compares circuits with torch, which takes seconds to load; reading logs does without.
    from fedcircuits.published.fedmi_import import write_fedmi_run  # noqa: PLC0415

    path = write_fedmi_run(log, Path(options.out))
    put(f"imported; run directory: {path}\n")
    put(f"next: python -m analysis summary {shlex.quote(str(path))}\n")
    put(f"      python -m analysis report {shlex.quote(str(path))}\n")
    return EXIT_OK
