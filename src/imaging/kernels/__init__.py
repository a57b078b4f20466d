"""LOOPS: compiled functions of numbers and arrays, each beside its readable reference.

What is compiled is kept on disk for all later jobs, in a folder named by the kernels' sources: numba itself looks
only at the file of the function that is called, and would not see a change in one that it calls.
"""

import hashlib
import os
import sys
import tempfile
from pathlib import Path


def _cache_folder() -> str:
    """$FRINGEFLOW_CACHE, or fringeflow in the user's cache folder, or a temporary one where that cannot be written."""
    sources = b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
    version = hashlib.sha256(sources).hexdigest()[:16]
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    temporary = os.path.join(tempfile.gettempdir(), f"fringeflow-{os.getuid()}")
    for base in (os.environ.get("FRINGEFLOW_CACHE"), os.path.join(home, "fringeflow"), temporary):
        if base:
            folder = os.path.join(base, version)
            try:
                os.makedirs(folder, exist_ok=True)
            except OSError:
                continue
            if os.access(folder, os.W_OK):
                return folder
    return tempfile.mkdtemp(prefix="fringeflow-")


if "NUMBA_CACHE_DIR" not in os.environ:
    os.environ["NUMBA_CACHE_DIR"] = _cache_folder()
    if "numba" in sys.modules:
        sys.modules["numba"].config.CACHE_DIR = os.environ["NUMBA_CACHE_DIR"]
