"""Fast Fourier transforms: scipy's pocketfft, loaded from its file, since to import scipy.fft takes a job 0.2 s."""

from __future__ import annotations

import functools
import importlib.machinery
import importlib.util
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
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
        module.c2c(there.astype(complex), (0,), True, 0, None, 1)
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


def rfft_rows(rows: np.ndarray, n: int) -> np.ndarray:
    """The transforms of real rows, each filled up with zeros to `n`."""
    padded = np.zeros((len(rows), n), rows.dtype)
    padded[:, : rows.shape[1]] = rows
    if compiled := _pocketfft():
        return compiled.r2c(padded, (1,), True, 0, None, 1)
    from scipy import fft

    return fft.rfft(padded)


def irfft_rows(spectra: np.ndarray, n: int) -> np.ndarray:
    """The real rows of length `n` with these transforms."""
    if compiled := _pocketfft():
        return compiled.c2r(spectra, (1,), n, False, 2, None, 1)
    from scipy import fft

    return fft.irfft(spectra, n)


def fft_columns(columns: np.ndarray, forward: bool) -> np.ndarray:
    """The transforms of complex columns, or the columns with these transforms."""
    if compiled := _pocketfft():
        return compiled.c2c(columns, (0,), forward, 0 if forward else 2, None, 1)
    from scipy import fft

    return (fft.fft if forward else fft.ifft)(columns, axis=0)


def in_blocks(call: Callable[[slice], None], count: int, size: int, threads: int) -> None:
    """call(slice) for every `size` of `count` rows or columns, several at the same time."""
    blocks = [slice(first, min(first + size, count)) for first in range(0, count, size)]
    if threads == 1:
        for block in blocks:
            call(block)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(call, blocks))
