"""The Flower ServerApp: read the run config and run the federation."""

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from server_app.console import speak_plainly
from server_app.federation import run_federation

app = ServerApp()

__all__ = ["app"]


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run; an error ends the run as failed."""
    with speak_plainly():
        run_federation(grid, context.run_config, context.run_id)
