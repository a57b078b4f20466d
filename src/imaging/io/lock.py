"""One run at a time works on a folder of results."""

from __future__ import annotations

import contextlib
import fcntl
from pathlib import Path

from imaging.errors import ImagingError


@contextlib.contextmanager
def locked(folder: Path):
    """Hold the lock of `folder`, which is made where there is none. Raises ImagingError where another run has it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(folder / ".lock", "w")  # noqa: SIM115  (held open while the run lasts)
    except OSError as error:
        raise ImagingError(f"Results cannot be written to {folder}.", got=error.strerror,
                           expected="a folder in which files can be made",
                           next_step="change to another folder, or mend its permissions") from None  # fmt: skip
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ImagingError(f"{folder} is being worked on by another run.", got="its lock is taken",
                               expected="one run at a time for a name",
                               next_step="wait for it to end, or choose another name") from None  # fmt: skip
        yield
