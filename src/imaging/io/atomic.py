"""A product appears under its name only when it is complete."""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from imaging.errors import ImagingError

PARTIAL = ".partial-"
"""First letters of the name of a product being written; whatever a killed job left behind begins so too."""

_MEND = {
    errno.ENOSPC: "free some disk space, or write the results elsewhere",
    errno.EDQUOT: "the disk quota is used up: free some space, or write the results elsewhere",
    errno.EFBIG: "the file system or the limits of this shell (`ulimit -f`) allow no file of that size",
    errno.EROFS: "the file system is read-only: write the results elsewhere",
    errno.EACCES: "change the permissions of the directory, or write the results elsewhere",
    errno.EPERM: "change the permissions of the directory, or write the results elsewhere",
    errno.EEXIST: "a part of the path is a file: write the results elsewhere",
    errno.ENOTDIR: "a part of the path is a file: write the results elsewhere",
    errno.EIO: "the disk reports a fault: write the results elsewhere",
}


@contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """A path beside `path` to write a file or a directory to; it becomes `path` when the block ends well.

    The name keeps its ending (np.savez and casacore look at it). The bytes are on the disk before the name
    changes. After an exception nothing remains and an older `path` is untouched. A full or
    unwritable disk is an ImagingError.
    """
    path = Path(path)
    partial = path.with_name(f"{PARTIAL}{uuid.uuid4().hex[:8]}.{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        _sync(partial)
        _replace(partial, path)
    except OSError as error:
        # A file that is being read inside the block may fail as well: that is somebody else's message.
        foreign = error.filename and not str(error.filename).startswith((str(partial), str(path.parent)))
        if foreign or error.errno not in _MEND:
            raise
        raise ImagingError(
            f"The product {path.name} cannot be written.",
            got=error.strerror,
            expected=f"room and permission to write in {path.parent.absolute()}",
            next_step=_MEND[error.errno],
        ) from error
    finally:
        _remove(partial)


def remove_partial(directory: str | os.PathLike) -> list[Path]:
    """Remove, in `directory` and below, what killed jobs left half-written; returns what it was."""
    found = sorted(Path(directory).rglob(f"{PARTIAL}*"))
    for path in found:
        _remove(path)
    return found


def set_aside(path: str | os.PathLike) -> None:
    """Move a product that is no longer asked for into the folder `earlier` beside it; nothing where there is none."""
    path = Path(path)
    if path.exists():
        earlier = path.parent / "earlier"
        earlier.mkdir(exist_ok=True)
        _remove(earlier / path.name)
        os.replace(path, earlier / path.name)


def _replace(partial: Path, path: Path) -> None:
    if partial.is_dir() and path.exists():  # a directory cannot be renamed over another one
        old = path.with_name(f"{partial.name}.old")
        os.replace(path, old)
        os.replace(partial, path)
        _remove(old)
    else:
        os.replace(partial, path)
    _sync_one(path.parent)


def _sync(path: Path) -> None:
    if path.is_dir():
        for inner in path.rglob("*"):
            _sync_one(inner)
    _sync_one(path)


def _sync_one(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(path: Path) -> None:
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
