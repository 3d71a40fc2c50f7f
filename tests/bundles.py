"""The project as others get it: as a Flower App Bundle, and as the folder that `flwr new` unpacks from the Hub."""

import io
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path

from flwr.cli.utils import filter_paths_for_publish


def unpack_bundle(bundle: bytes, folder: Path) -> Path:
    """Unpack a bundle as Flower installs it: without its manifest."""
    with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
        archive.extractall(folder)
    shutil.rmtree(folder / ".info")
    return folder


def copy_hub_files(files: Mapping[str, Path], folder: Path) -> Path:
    """Copy those of a project's files that the Hub carries."""
    for name, path in filter_paths_for_publish(files).items():
        copy = folder / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    return folder


def names_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
