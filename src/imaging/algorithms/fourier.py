"""Fast Fourier transforms: scipy's pocketfft, loaded from its file, since to import scipy.fft takes a job 0.2 s."""

from __future__ import annotations

import functools
import importlib.machinery
import importlib.util
from pathlib import Path

import numpy as np


@functools.cache
def _pocketfft():
    """The compiled module, which is private to scipy; None where it is not found or not as it was."""
    name = "scipy.fft._pocketfft.pypocketfft"
    try:
        folder = Path(importlib.util.find_spec("scipy").origin).parent / "fft" / "_pocketfft"
        [file] = folder.glob(f"pypocketfft*{importlib.machinery.EXTENSION_SUFFIXES[0]}")
        spec = importlib.util.spec_from_file_location(name, file)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        there = module.c2r(module.r2c(np.ones((2, 3)), (0, 1), True, 0, None, 1), (0, 1), 3, False, 2, None, 1)
        return module if module.good_size(17, True) == 18 and there.shape == (2, 3) else None
    except (ImportError, OSError, ValueError, TypeError, AttributeError):
        return None


def next_fast_len(n: int, real: bool = False) -> int:
    """The smallest size of at least `n` that transforms fast."""
    if compiled := _pocketfft():
        return compiled.good_size(n, real)
    from scipy import fft

    return fft.next_fast_len(n, real)


def rfft2(plane: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The transform of a real plane, filled up with zeros to `shape`; no larger than this."""
    padded = np.zeros(shape, plane.dtype)
    padded[: plane.shape[0], : plane.shape[1]] = plane
    if compiled := _pocketfft():
        return compiled.r2c(padded, (0, 1), True, 0, None, 1)
    from scipy import fft

    return fft.rfft2(padded)


def irfft2(spectrum: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The real plane of `shape` with this transform."""
    if compiled := _pocketfft():
        return compiled.c2r(spectrum, (0, 1), shape[1], False, 2, None, 1)
    from scipy import fft

    return fft.irfft2(spectrum, shape)
