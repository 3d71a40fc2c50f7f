"""The Flower ServerApp: read the run config and run the federation."""

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from fedcircuits.settings import Settings
from server_app.console import speak_plainly
from server_app.federation import run_federation

app = ServerApp()

__all__ = ["app"]


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Check the settings, then run; an error ends the run as failed."""
    with speak_plainly():
        run_federation(grid, Settings.from_config(context.run_config))
