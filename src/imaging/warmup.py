"""`imaging warmup`: compile every kernel once for this machine, into the cache that all jobs share."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np

from imaging.contracts import Meta

SIZE = 64
CELL = 1e-5


def warmup() -> Iterator[tuple[str, float]]:
    """Run everything compiled on tiny arrays; yields what was run and the seconds it took."""
    for call in (_gridding, _weights, _masks, _deconvolvers, _measurement, _calibration):
        started = time.perf_counter()
        call()
        yield call.__name__[1:], time.perf_counter() - started


def _gridding() -> None:
    from imaging.algorithms.gridding import SUPPORTS, Gridder

    random = np.random.default_rng(1)
    uvw, freq = random.uniform(-500, 500, (50, 3)), np.array([1e9])
    for precision, support in [(name, width) for name, widths in SUPPORTS.items() for width in widths]:
        one = type("Gridder", (Gridder,), {"supports": {precision: (support,)}})
        for wterm in (True, False):
            operator = one(uvw, freq, (SIZE, SIZE), (CELL, CELL), 1e-2, wterm=wterm, precision=precision)
            vis = operator.dirty2vis(np.ones((1, SIZE, SIZE)))
            operator.vis2dirty(vis, np.ones((50, 1), np.float32))
            operator.vis2dirty(None, np.ones((50, 1), np.float32))


def _weights() -> None:
    from imaging.algorithms.weighting import Density, Scheme, imaging_weight

    uvw, freq, plane = np.ones((4, 3)), np.array([1e9]), np.zeros(1, np.int64)
    weight = np.ones((4, 1), np.float32)
    for kind in ("natural", "radial", "uniform", "superuniform", "briggs", "briggsabs"):
        scheme, density = Scheme(kind, 0.5, 1.0, 0, None), None
        if scheme.needs_density:
            density = Density(scheme, (CELL, CELL), (SIZE, SIZE), 1, False)
            density.add(uvw, weight, freq, plane)
        imaging_weight(scheme, density, uvw, weight, freq, plane)


def _masks() -> None:
    from imaging.algorithms import masking

    mask = np.zeros((SIZE, SIZE), bool)
    mask[20:30, 20:30] = True
    masking.grow(masking.prune(mask, 3.0), np.ones_like(mask), 3)


def _deconvolvers() -> None:
    from imaging.algorithms.spectral_fitting import SpectralFitter
    from imaging.plugins import DECONVOLVERS, find_deconvolver

    psf = np.zeros((1, SIZE, SIZE), np.float32)
    psf[0, SIZE // 2, SIZE // 2] = 1
    SpectralFitter("logpolynomial", 2, [1e9, 2e9], [1.0, 1.0]).fit_and_evaluate([1.0, 1.0])
    for name in DECONVOLVERS:
        meta = Meta(max_iterations=3, options={"scales": [0, 3], "smallscalebias": 0.0})
        residual, model = psf[None].copy(), np.zeros((1, 1, SIZE, SIZE), np.float32)
        find_deconvolver(name)(residual, model, psf, meta)


def _measurement() -> None:
    from imaging.algorithms import jones as algebra
    from imaging.algorithms import rime
    from imaging.kernels.rime import apply_stations

    p, q, time = np.array([0]), np.array([1]), np.array([0])
    rows = {"antenna1": p, "antenna2": q, "time": time, "uvw": np.ones((1, 3)), "freq": np.array([1e9, 2e9])}
    vis = np.zeros((1, 2, 2, 2), complex)
    for jones in (np.ones((1, 1, 1, 1, *ends), complex) for ends in ((), (2,), (2, 2))):
        apply_stations(vis, jones[0], p, q, time)
        for other in (np.zeros((1, 1, 1, 1, *ends), complex) for ends in ((), (2,), (2, 2))):
            algebra.multiply(jones + 1, other)
        for light in (np.ones((1, 1, 1, 2, 2)), np.eye(2)[None, None, None]):
            for stations in (None, np.zeros((1, 2, 3))):
                rime.add_sources(vis, np.zeros((1, 3)), light, jones, stations_uvw=stations, **rows)


def _calibration() -> None:
    from imaging.algorithms.calibration import Scheme, Solver, correct

    pair, zero, hands = (np.array([0]), np.array([1])), np.zeros(1, int), ("XX", "XY", "YX", "YY")
    for kind, weight in ((np.complex64, np.ones((1, 1, 4), np.float32)), (np.complex128, np.ones((1, 1, 4)))):
        vis = np.ones((1, 1, 4), kind)
        for gaintype in "GJ":
            solver = Solver(2, 1, Scheme(gaintype, minblperant=1))
            solver.add(vis, vis, weight, *pair, zero, hands)
            solver.solve()
        gains = np.ones((2, 1, 1, 2), complex)
        correct(vis, np.zeros(vis.shape, bool), weight, gains, *pair, zero, zero, hands, ("X", "Y"))
