"""Writes a file as a whole or not at all, so that no reader ever sees half of one."""

import errno
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

_UNABLE: Final = {errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EPERM}
"""What systems say that cannot open or flush a folder."""


def write_whole(path: Path, write: Callable[[Path], Any]) -> None:
    """Let `write` fill a temporary sibling, flush it to disk and put it in the place of `path`.

    A link stays a link: what it points to is replaced. Several that write one path have a sibling each, and the last
    one's file stays.

    Raises:
        OSError: if the folder cannot be written, or there is something else than a file, such as a device or a folder;
            `path` is then as it was.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is there already and is no regular file", str(path))
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
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
