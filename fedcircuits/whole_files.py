"""Writes a file as a whole or not at all, so that no reader ever sees half of one."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

_UNABLE: Final = {errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EPERM}
"""What systems say that cannot open or flush a folder."""


def write_whole(path: Path, write: Callable[[Path], Any]) -> None:
    """Let `write` fill a temporary sibling, flush it to disk and put it in the place of `path`.

    Raises:
        OSError: if the folder cannot be written; `path` is then as it was.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        write(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def flush_folder(folder: Path) -> None:
    """Flush to disk which files a folder holds, so that a rename in it outlasts a power cut.

    Some systems and file systems cannot do this. What was renamed is in its place for every reader all the same, so
    that is no error.

    Raises:
        OSError: if the disk fails.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _UNABLE:
            raise
