"""Keeps decoded images on disk: a deployed client is a new process for every message, and decoding takes seconds.

A cache only saves time. Whatever is wrong with it – absent, stale, damaged, on a full disk – the images are decoded
again, and nothing fails.
"""

import hashlib
import json
import logging
import os
import secrets
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from fedcircuits.data.image_files import ImageRules, Pictures
from fedcircuits.whole_files import write_whole

_log = logging.getLogger("fedcircuits")

_SALT_BYTES = 32


def default_cache_folder() -> Path | None:
    """Return the folder for this project's caches of the user that runs the process; None for a user without a home."""
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fedcircuits"
    except RuntimeError:
        return None


def site_salt(cache: Path) -> bytes:
    """Return the secret of a site, made up when it is first asked for; nothing if it cannot be kept."""
    path = cache / "salt"
    try:
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (
            suppress(FileExistsError),
            os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file,
        ):
            file.write(secrets.token_bytes(_SALT_BYTES))
        salt = path.read_bytes()
    except OSError as error:
        _log.warning("no secret can be kept in %s (%s): the run will not know these images again", cache, error)
        return b""
    return salt if len(salt) == _SALT_BYTES else b""


def cached_pictures(
    files: Sequence[Path], folder: Path, rules: ImageRules, cache: Path | None, read: Callable[[], Pictures]
) -> Pictures:
    """Return what `read` returns, from the cache if that is sound and no file has changed since.

    Args:
        files: every file that `read` reads.
        folder: where they lie; with the rules it names the cache's file.
        rules: what images must be.
        cache: folder of caches, made if missing, for this user's eyes only; None = no cache.
        read: decodes the files.

    Raises:
        DataError: as `read`.
    """
    if cache is None:
        return read()
    key = json.dumps([str(folder.resolve()), asdict(rules)])
    path = cache / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.safetensors"
    listing = _listing(files, folder)
    known = _load(path, listing)
    if known is not None:
        return known
    pictures = read()
    try:
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(path, lambda temporary: _save(temporary, pictures, listing))
    except OSError as error:
        _log.warning("decoded images cannot be kept in %s (%s): every message decodes them again", cache, error)
    return pictures


def _listing(files: Sequence[Path], folder: Path) -> str:
    """Return a digest of names, sizes and times of change; "" if a file is gone, which `read` will say."""
    try:
        states = [(path, path.stat()) for path in files]
    except OSError:
        return ""
    entries = [[path.relative_to(folder).as_posix(), state.st_size, state.st_mtime_ns] for path, state in states]
    return hashlib.sha256(json.dumps(entries).encode()).hexdigest()


def _load(path: Path, listing: str) -> Pictures | None:
    """Return the cached images if they are of this listing and whole."""
    try:
        with safe_open(path, framework="pt") as file:
            facts: dict[str, Any] = file.metadata() or {}
            if facts.get("listing") != listing:
                return None
            pictures = Pictures(file.get_tensor("pixels"), file.get_tensor("labels"))
    except FileNotFoundError:
        return None
    except (OSError, SafetensorError) as error:
        _log.warning("%s is damaged (%s): images are decoded again", path, error)
        return None
    if facts.get("checksum") != _checksum(pictures):
        _log.warning("%s is damaged (wrong checksum): images are decoded again", path)
        return None
    return pictures


def _save(path: Path, pictures: Pictures, listing: str) -> None:
    content = save(
        {"pixels": pictures.pixels, "labels": pictures.labels},
        metadata={"listing": listing, "checksum": _checksum(pictures)},
    )
    path.touch(mode=0o600)
    path.write_bytes(content)


def _checksum(pictures: Pictures) -> str:
    """Return a checksum against damage, not against forgery: who can write here can write the images, too."""
    arrays = (pictures.pixels.contiguous().numpy(), pictures.labels.contiguous().numpy())
    return " ".join(str(zlib.crc32(array.data)) for array in arrays)
