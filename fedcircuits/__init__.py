"""Circuits of weight-sparse networks under federated averaging: the science, free of any framework.

`from fedcircuits import load_run` reads a run; it is loaded when it is asked for, since clients do without.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fedcircuits.runlog.run import Run, load_run

__version__ = "0.1.0"

__all__ = ["Run", "__version__", "load_run"]


def __getattr__(name: str) -> Any:
    """Load the reader of runs at its first use."""
    if name in {"Run", "load_run"}:
        from fedcircuits.runlog import run  # noqa: PLC0415

        return getattr(run, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
