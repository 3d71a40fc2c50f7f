"""What a run says on the console: its own lines, and Flower's warnings."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from fedcircuits.errors import FedCircuitsError


@contextmanager
def speak_plainly() -> Iterator[None]:
    """Print this project's log lines as they are, and of Flower's only warnings, while the block runs.

    An error of ours is printed in plain words before it travels on, because a traceback follows it.
    """
    ours, flower = logging.getLogger("fedcircuits"), logging.getLogger("flwr")
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(message)s"))
    level = flower.level
    ours.addHandler(handler)
    ours.setLevel(logging.INFO)
    ours.propagate = False
    flower.setLevel(logging.WARNING)
    try:
        yield
    except FedCircuitsError as error:
        ours.error("FAILED: %s", error)
        raise
    finally:
        flower.setLevel(level)
        ours.removeHandler(handler)
