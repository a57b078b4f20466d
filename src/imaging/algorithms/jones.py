"""Algebra of Jones matrices as arrays (source, station, time, chan) and, by kind, nothing, (2,) or (2, 2) after it.

The kinds: scalar (a number times the identity), diagonal, full. Any of the first four axes may be 1: the matrix does
not depend on it. Products keep the smallest kind and the shortest axes.
"""

from __future__ import annotations

import numpy as np

KINDS = ("scalar", "diagonal", "full")
SINGULAR = 1e-12  # of |J|^2: a determinant below this is none


def kind_of(jones: np.ndarray, axes: int = 4) -> str:
    return KINDS[jones.ndim - axes]


def as_kind(jones: np.ndarray, kind: str, axes: int = 4) -> np.ndarray:
    """The same matrices, written as `kind`, which holds them."""
    have, want = jones.ndim - axes, KINDS.index(kind)
    if have == want:
        return jones
    if have == 0:
        jones = np.repeat(jones[..., None], 2, axis=-1)
    if want < 2:
        return jones
    full = np.zeros((*jones.shape, 2), complex)
    full[..., 0, 0], full[..., 1, 1] = jones[..., 0], jones[..., 1]
    return full


def some_sources(jones: np.ndarray, which) -> np.ndarray:
    """The matrices of the sources `which` (bool); no copy where it is all of them."""
    return jones if jones.shape[0] == 1 or which.all() else jones[which]


def multiply(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The matrix products left right, of the smallest kind that holds them; an array itself where the other is 1."""
    for one, other in ((left, right), (right, left)):
        if other.shape == (1, 1, 1, 1) and other.item() == 1:
            return one
    if left.ndim == right.ndim == 4:
        return left * right
    from imaging.kernels import jones

    ends = left.shape[4:] if left.ndim > right.ndim else right.shape[4:]
    product = np.empty((*np.broadcast_shapes(left.shape[:4], right.shape[:4]), *ends), complex)
    jones.multiply(np.require(left, complex, ["C", "W"]), np.require(right, complex, ["C", "W"]), product)
    return product


def inverse(jones: np.ndarray, axes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """The inverse matrices, of the same kind, and where there is none (the first `axes` axes, bool): identity there."""
    kind = kind_of(jones, axes)
    if kind != "full":
        entries = jones if kind == "diagonal" else jones[..., None]
        magnitude = np.abs(entries)
        singular = ~np.isfinite(magnitude).all(-1) | (magnitude.min(-1) <= SINGULAR * magnitude.max(-1))
        return 1 / np.where(singular[..., None] if kind == "diagonal" else singular, 1, jones), singular
    determinant = jones[..., 0, 0] * jones[..., 1, 1] - jones[..., 0, 1] * jones[..., 1, 0]
    norm = (np.abs(jones) ** 2).sum((-2, -1))
    singular = ~np.isfinite(norm) | (np.abs(determinant) <= SINGULAR * norm)
    safe = np.where(singular[..., None, None], np.eye(2), jones)
    determinant = np.where(singular, 1, determinant)
    turned = np.empty_like(safe, complex)
    turned[..., 0, 0], turned[..., 1, 1] = safe[..., 1, 1], safe[..., 0, 0]
    turned[..., 0, 1], turned[..., 1, 0] = -safe[..., 0, 1], -safe[..., 1, 0]
    return turned / determinant[..., None, None], singular
