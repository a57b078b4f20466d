"""Planes that are cleaned together: which they are, their integrated image, and means over channels.

The integrated image of a group is f sum_c w_c sum_p R_cp / sum_c w_c, w a channel's weight; f makes it 1/2 where the
polarisations are correlations, 1/npol for Stokes without I, else 1 (WSClean's normalisation). Joined by squares it is
the root of the same sum of R². Channels without weight or values do not count.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from imaging.image import Image


@dataclass(frozen=True, slots=True)
class PlaneGroup:
    """Planes of a cube that are joined: `chans` and `pols` are slices of its first two axes."""

    chans: slice
    pols: slice


def plane_groups(nchan: int, npol: int, join) -> list[PlaneGroup]:
    """The groups of a cube (nchan, npol, ...), channels outermost; `join` names "channels" and/or "polarizations"."""
    chans = [slice(0, nchan)] if "channels" in join else [slice(c, c + 1) for c in range(nchan)]
    pols = [slice(0, npol)] if "polarizations" in join else [slice(p, p + 1) for p in range(npol)]
    return [PlaneGroup(c, p) for c in chans for p in pols]


def polarisation_factor(stokes) -> float:
    """By what the sum over joined polarisations is multiplied."""
    names = tuple(stokes)
    if len(names) < 2 or "I" in names:
        return 1.0
    return 1 / len(names) if set(names) <= set("QUV") else 0.5


def joined_weights(weight: np.ndarray, stokes) -> np.ndarray:
    """Weights (plane,) of the planes of a group in its integrated image; planes are ordered (channel, polarisation)."""
    weight = np.nan_to_num(np.asarray(weight, np.float64)).clip(0)
    total = weight.sum()
    share = weight / total if total > 0 else weight
    return np.repeat(share * polarisation_factor(stokes), len(stokes))


def spectral_weights(weight: np.ndarray, frequency: np.ndarray, stokes, terms: int) -> np.ndarray:
    """Weights (term, plane) of images of the mean, the slope, the curvature, ... of the spectra; mean first.

    Polynomials in frequency, orthogonal under the weights, so that all these images have the noise of the mean: where
    spectra of components are off, they show what the mean does not. No more terms than channels with weight.
    """
    used = weight > 0
    count = min(terms, int(used.sum()))
    root = np.sqrt(weight[used] / weight.sum())
    offset = frequency[used] / np.average(frequency, weights=weight) - 1
    basis = np.linalg.qr(np.vander(offset, count, increasing=True) * root[:, None])[0]
    out = np.zeros((count, len(weight)))
    out[:, used] = (basis * root[:, None]).T * np.sign(basis[0, 0] or 1.0)
    return np.repeat(out * polarisation_factor(stokes), len(stokes), axis=1)


def integrate(planes: np.ndarray, weights: np.ndarray, squared: bool = False) -> np.ndarray:
    """The integrated image (ny, nx) of `planes` (plane, ny, nx), in their dtype."""
    total = np.zeros(planes.shape[1:], planes.dtype)
    for plane, weight in zip(planes, weights.astype(planes.dtype), strict=True):
        if weight:
            total += weight * (plane * plane if squared else plane)
    return np.sqrt(total) if squared else total


def integrate_cube(cube: np.ndarray, weight: np.ndarray, stokes, join, squared: bool = False) -> np.ndarray:
    """`cube` (chan, pol, y, x) with the joined axes integrated to length 1; `weight` (chan,)."""
    nchan, npol = cube.shape[:2]
    out = []
    for group in plane_groups(nchan, npol, join):
        part = cube[group.chans, group.pols]
        own = np.where([np.isfinite(chan).any() for chan in part], weight[group.chans], 0)
        weights = joined_weights(own, stokes[group.pols])
        planes = integrate(part.reshape(-1, *cube.shape[2:]), weights, squared)
        out.append(planes if own.any() else np.full_like(planes, np.nan))
    shape = (1 if "channels" in join else nchan, 1 if "polarizations" in join else npol)
    return np.reshape(out, (*shape, *cube.shape[2:]))


def any_of_cube(cube: np.ndarray, join) -> np.ndarray:
    """`cube` (chan, pol, y, x) of bool with the joined axes reduced to length 1: true where any plane is."""
    axes = tuple(axis for axis, name in enumerate(("channels", "polarizations")) if name in join)
    return cube.any(axis=axes, keepdims=True)


def mean_over_channels(image: Image, weight: np.ndarray) -> Image:
    """The weighted mean of the channels of an image, at their weighted mean frequency; without beams.

    A channel without weight or values does not count; a pixel is valid where it is in any that counts.
    """
    used = (np.nan_to_num(weight) > 0) & np.array([np.isfinite(chan).any() for chan in image.data])
    weight = np.where(used, weight, 0.0).astype(np.float64)
    data = average_channels(np.nan_to_num(image.data), weight, [slice(0, len(weight))])
    edges = [(f - w / 2, f + w / 2) for f, w, u in zip(image.grid.freq, image.grid.width, used, strict=True) if u]
    low, high = min(e[0] for e in edges), max(e[1] for e in edges)
    grid = replace(image.grid, freq=(float(np.average(image.grid.freq, weights=weight)),), width=(high - low,))
    valid = None if image.valid is None else image.usable(image.data.shape)[used].any(axis=0, keepdims=True)
    return replace(image, data=data, grid=grid, beams=(), valid=valid)


def channel_blocks(weight: np.ndarray, count: int) -> list[slice]:
    """`count` runs of neighbouring channels, as even in number as can be."""
    edges = np.linspace(0, len(weight), min(count or len(weight), len(weight)) + 1).round().astype(int)
    return [slice(a, b) for a, b in zip(edges[:-1], edges[1:], strict=True)]


def average_channels(cube: np.ndarray, weight: np.ndarray, blocks: list[slice]) -> np.ndarray:
    """Weighted means (block, ...) of `cube` (chan, ...) over each block; 0 where it has no weight."""
    out = np.zeros((len(blocks), *cube.shape[1:]), cube.dtype)
    for mean, block in zip(out, blocks, strict=True):
        total = weight[block].sum()
        for plane, w in zip(cube[block], weight[block], strict=True):
            if w > 0:
                mean += cube.dtype.type(w / total) * plane
    return out
