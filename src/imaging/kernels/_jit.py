"""The one place from which kernels get numba's compiler.

When the first compiled function is loaded, numba looks for the linear algebra of scipy, which no kernel uses: 0.2 s in
every job. It is kept from finding it here; compiled functions elsewhere that call np.dot and the like still do.
"""

import fcntl
import logging
import os
import sys
import tempfile

_hidden = [name for name in ("scipy", "scipy.linalg") if name not in sys.modules]
sys.modules.update(dict.fromkeys(_hidden))
try:
    import numba
    import numba.np.arraymath
finally:
    for _name in _hidden:
        del sys.modules[_name]

logger = logging.getLogger("imaging")


def njit(**options):
    """numba's njit, which says so where it compiles, and lets one process at a time write to the cache.

    numba itself reads the index of a function's cache, adds to it and writes it back: of two processes that compile
    different types at once, one could be given the other's machine code.
    """

    def decorate(function):
        compiled = numba.njit(**options)(function)
        cache = getattr(compiled, "_cache", None)
        save = getattr(cache, "save_overload", None)
        if save is not None and options.get("cache"):

            def save_alone(signature, data):
                logger.warning("compiled %s: run `imaging warmup` once on this machine", function.__qualname__)
                folder = os.environ.get("NUMBA_CACHE_DIR") or tempfile.gettempdir()
                with open(os.path.join(folder, "lock"), "w") as lock:
                    fcntl.flock(lock, fcntl.LOCK_EX)
                    save(signature, data)

            cache.save_overload = save_alone
        return compiled

    return decorate


__all__ = ["njit"]
