"""The one place from which kernels get numba's compiler.

When the first compiled function is loaded, numba looks for the linear algebra of scipy, which no kernel uses: 0.2 s in
every job. It is kept from finding it here; compiled functions elsewhere that call np.dot and the like still do.
"""

import sys

_hidden = [name for name in ("scipy", "scipy.linalg") if name not in sys.modules]
sys.modules.update(dict.fromkeys(_hidden))
try:
    import numba.np.arraymath  # noqa: F401
    from numba import njit
finally:
    for _name in _hidden:
        del sys.modules[_name]

__all__ = ["njit"]
