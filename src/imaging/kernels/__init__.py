"""LOOPS: compiled functions of numbers and arrays, each beside its readable reference.

What is compiled is kept on disk for all later jobs, in a folder named by the kernels' sources: numba itself looks
only at the file of the function that is called, and would not see a change in one that it calls.
"""

import contextlib
import hashlib
import os
import shutil
import sys
import tempfile
from pathlib import Path


def _cache_folder() -> str:
    """$FRINGEFLOW_CACHE, or fringeflow in the user's cache folder, or a temporary one where that cannot be written.

    numba uses no folder that it cannot write to: what such a one holds is copied to the temporary one.
    """
    sources = b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
    version = hashlib.sha256(sources).hexdigest()[:16]
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    temporary = os.path.join(tempfile.gettempdir(), f"fringeflow-{os.getuid()}")
    filled = None
    for base in (os.environ.get("FRINGEFLOW_CACHE"), os.path.join(home, "fringeflow"), temporary):
        if base:
            folder = os.path.join(base, version)
            if filled and not os.path.isdir(folder):
                _copy(filled, folder)
            try:
                os.makedirs(folder, exist_ok=True)
            except OSError:
                continue
            if os.access(folder, os.W_OK):
                return folder
            filled = filled or folder
    return tempfile.mkdtemp(prefix="fringeflow-")


def _copy(source: str, target: str) -> None:
    """All at once, so that no other job finds half of it; the first of several jobs wins."""
    with contextlib.suppress(OSError):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with tempfile.TemporaryDirectory(dir=os.path.dirname(target)) as partial:
            copy = os.path.join(partial, "copy")
            for folder, _, files in os.walk(source):
                there = os.path.join(copy, os.path.relpath(folder, source))
                os.makedirs(there)
                for name in files:
                    shutil.copyfile(os.path.join(folder, name), os.path.join(there, name))
            os.rename(copy, target)


if "NUMBA_CACHE_DIR" not in os.environ:
    os.environ["NUMBA_CACHE_DIR"] = _cache_folder()
    if "numba" in sys.modules:
        sys.modules["numba"].config.CACHE_DIR = os.environ["NUMBA_CACHE_DIR"]
