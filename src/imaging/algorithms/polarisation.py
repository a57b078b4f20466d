"""Correlations of linear or circular feeds to Stokes parameters, and which samples may be used.

Conventions (IAU; Hamaker & Bregman 1996, A&AS 117, 161), per visibility:
linear   I = (XX+YY)/2, Q = (XX-YY)/2, U = (XY+YX)/2, V = (XY-YX)/2i
circular I = (RR+LL)/2, V = (RR-LL)/2, Q = (RL+LR)/2, U = (RL-LR)/2i
"""

from __future__ import annotations

import numpy as np

from imaging.errors import ImagingError

_FROM = {
    "linear": {"I": {"XX": 0.5, "YY": 0.5}, "Q": {"XX": 0.5, "YY": -0.5},
               "U": {"XY": 0.5, "YX": 0.5}, "V": {"XY": -0.5j, "YX": 0.5j}},
    "circular": {"I": {"RR": 0.5, "LL": 0.5}, "V": {"RR": 0.5, "LL": -0.5},
                 "Q": {"RL": 0.5, "LR": 0.5}, "U": {"RL": -0.5j, "LR": 0.5j}},
}  # fmt: skip
_PARALLEL = ("XX", "YY", "RR", "LL")


def stokes_matrix(correlations: tuple[str, ...], stokes: tuple[str, ...]) -> tuple[np.ndarray, list[int], list[int]]:
    """How `stokes` follow from `correlations`.

    Returns (matrix (pol, used), used, weighing): the complex factors, the places of the correlations that must
    be good for a sample to be, in rising order, and the places *in used* of those whose weights are averaged:
    the parallel hands where there are any. Raises ImagingError where a correlation is missing.
    """
    rows = [_recipe(correlations, plane) for plane in stokes]
    if None in rows:
        have = set(correlations)
        singles = [c for c in correlations if len(c) == 2]
        feasible = [p for p in "IQUV" if _recipe(correlations, p)] + singles
        raise ImagingError(
            f"Stokes {''.join(stokes)} cannot be made from the correlations in the data.",
            got=", ".join(correlations) or "no correlations", expected=" or ".join(feasible) or "known correlations",
            next_step=f"set image.stokes: {feasible[0]}" if feasible else f"these are not imaged: {sorted(have)}",
        )  # fmt: skip
    names = {name for row in rows for name in row}
    if any(len(name) == 2 for name in names) and any(plane in "IQUV" for plane in stokes):
        hands = {c for c in correlations if c in _PARALLEL}
        names |= hands if len(hands) == 2 else set()
    used = [i for i, c in enumerate(correlations) if c in names]
    matrix = np.array([[row.get(correlations[i], 0.0) for i in used] for row in rows], np.complex64)
    hands = [k for k, i in enumerate(used) if correlations[i] in _PARALLEL]
    return matrix, used, hands or [0, len(used) - 1] if len(used) > 1 else [0]


def _recipe(correlations: tuple[str, ...], plane: str) -> dict[str, complex] | None:
    """Factors of the correlations that make one plane; None where some are missing."""
    if plane in correlations:
        return {plane: 1.0}
    for kind in _FROM.values():
        recipe = kind.get(plane)
        if recipe and all(name in correlations for name in recipe):
            return recipe
    return None


def make_stokes(
    vis: np.ndarray, flag: np.ndarray, weight: np.ndarray, uvw: np.ndarray, matrix: np.ndarray, weighing: list[int]
) -> tuple[np.ndarray, np.ndarray, dict[str, int]]:
    """Samples of one Stokes set from those of the correlations used.

    vis (row, chan, used) complex, overwritten; flag likewise bool; weight (row, chan or 1, used); uvw (row, 3).
    Returns vis (pol, row, chan) complex64, weight (row, chan) float32, and the numbers of samples: selected,
    flagged, nonfinite, zero_weight, good, the first that applies in this order. A sample is good where every
    correlation used is unflagged and finite with a finite weight above zero; elsewhere vis and weight are 0.
    The weight is the mean of the hands', (wp + wq)/2.
    """
    flagged = flag.any(axis=2)
    infinite = ~(np.isfinite(vis.real) & np.isfinite(vis.imag)).all(axis=2)
    infinite |= ~np.isfinite(weight).all(axis=2) | ~np.isfinite(uvw).all(axis=1)[:, None]
    infinite &= ~flagged
    positive = (weight > 0).all(axis=2)
    good = ~flagged & ~infinite & positive
    counts = {
        "selected": flagged.size,
        "flagged": int(flagged.sum()),
        "nonfinite": int(infinite.sum()),
        "good": int(good.sum()),
    }
    counts["zero_weight"] = counts["selected"] - counts["flagged"] - counts["nonfinite"] - counts["good"]
    vis[~good] = 0
    mean = np.mean(weight[..., weighing], axis=2, dtype=np.float64).astype(np.float32)
    made = np.empty((len(matrix), *good.shape), np.complex64)
    for plane, factors in zip(made, matrix, strict=True):
        plane[...] = sum(f * vis[..., k] for k, f in enumerate(factors) if f != 0)
    return made, np.where(good, mean, np.float32(0)), counts


def check_samples(counts: dict[str, int], signal: bool, column: str):
    """Raise ImagingError where the samples counted (see `make_stokes`) leave nothing to image, and say why.

    `counts` also has rows and undefined_rows; `signal` is whether any good sample differs from 0.
    """
    if signal:
        return
    shown = ("selected", "flagged", "nonfinite", "zero_weight", "good")
    got = "samples: " + ", ".join(f"{counts[key]} {key.replace('_', ' ')}" for key in shown)
    if counts["good"]:
        what = f"The column {column} is all zero."
        step = "choose another data.datacolumn (auto, data, corrected, model)"
        raise ImagingError(what, got=got, expected="visibilities other than 0", next_step=step)
    if counts["undefined_rows"] == counts["rows"]:
        what, step = f"The column {column} has no values.", "choose another data.datacolumn"
    elif counts["flagged"] == counts["selected"]:
        what, step = "All selected data are flagged.", "select other data, or undo flags in the MeasurementSet"
    elif counts["nonfinite"] >= counts["zero_weight"]:
        what, step = "All selected data are NaN or infinite, or flagged.", "select other data or another datacolumn"
    else:
        what, step = "All selected data have zero weight, or are flagged.", "initialise the weights of the data"
    raise ImagingError(what, got=got, expected="some good samples", next_step=step)


def make_correlations(vis: np.ndarray, stokes: tuple[str, ...], correlations: tuple[str, ...]) -> np.ndarray:
    """Samples (row, chan, corr) complex64 of the `correlations` from those of the planes `stokes` (pol, row, chan).

    The inverse of `make_stokes`; a correlation to which no plane contributes is 0.
    """
    made = np.zeros((*vis.shape[1:], len(correlations)), np.complex64)
    for plane, name in zip(vis, stokes, strict=True):
        for k, correlation in enumerate(correlations):
            if factor := float(name == correlation) or _share(name, correlation):
                made[..., k] += factor * plane
    return made


def _share(stokes: str, correlation: str) -> complex:
    """How much of a Stokes parameter is in a correlation: XX = I + Q, XY = U + iV, RR = I + V, RL = Q + iU, ..."""
    for kind in _FROM.values():
        factor = kind.get(stokes, {}).get(correlation, 0)
        if factor:
            return 2 * complex(factor).conjugate()
    return 0


PLACES = {a + b: (i, k) for feeds in ("XY", "RL") for i, a in enumerate(feeds) for k, b in enumerate(feeds)}
"""Of correlations in the matrix of a visibility."""


def feeds_of(correlations: tuple[str, ...]) -> str:
    """linear or circular; raises ImagingError for anything but correlations of either."""
    kinds = {"linear" if name[0] in "XY" else "circular" for name in correlations if name in PLACES}
    if len(kinds) != 1 or not set(correlations) <= set(PLACES):
        raise ImagingError("Matrices of visibilities are made of correlations of two feeds.",
                           got=", ".join(correlations), expected="some of XX, XY, YX, YY, or of RR, RL, LR, LL",
                           next_step="take a set with correlations rather than Stokes parameters")  # fmt: skip
    return kinds.pop()


def as_matrices(vis: np.ndarray, correlations: tuple[str, ...]) -> np.ndarray:
    """vis (…, corr) as matrices (…, 2, 2) complex128; correlations that are not there are 0."""
    made = np.zeros((*vis.shape[:-1], 2, 2), complex)
    for index, name in enumerate(correlations):
        made[..., *PLACES[name]] = vis[..., index]
    return made


def from_matrices(vis: np.ndarray, correlations: tuple[str, ...]) -> np.ndarray:
    """vis (…, 2, 2) as (…, corr)."""
    return np.stack([vis[..., *PLACES[name]] for name in correlations], -1)
