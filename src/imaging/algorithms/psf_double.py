"""The residual of a model without the data: the dirty image less the model convolved with a psf on twice the image.

What a model M puts at pixel p is, with ω the weights of the samples, x = (l, m) and n the third direction cosine,

    Σ_q M_q Σ_k ω_k cos(2π u_k·(x_q − x_p) + δ) / Σ_k ω_k,    δ = 2π w_k (n_q − n_p).

Without w it depends on x_p − x_q alone: a convolution. Where δ is small, the first terms of the series of exp(iδ) leave
convolutions too, with r the largest 1 − n of the image and j counting from 0:

    Σ_j Σ_q M_q ((n_q − n_p) / r)^j K_j(x_p − x_q),
    K_j(x) = Σ_k ω_k (2π w_k r)^j / j! Re(i^j exp(−2πi u_k·x)) / Σ_k ω_k.

K_0 is the psf of a flat array. Powers of the difference are taken apart by the binomial theorem, so that J terms take J
transforms of the model and J back. What J terms leave out is at most min(|δ|^J / J!, 2 |δ|^(J−1) / (J−1)!) a sample
(the remainder of the exponential series), which, averaged over the samples and summed over the model, is the bound.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from imaging.algorithms import fourier
from imaging.algorithms.major_cycle import Accuracy, Part, as_slice, make_operator, row_batches
from imaging.image import Grid
from imaging.units import SPEED_OF_LIGHT

MAX_TERMS = 5
MARGIN = 100
"""By so much a point source is better than epsilon asks, in what the terms leave out and in their own errors, where
possible: the flux of a model may be many times the peak of its image."""
ROUNDING = {np.dtype(np.float32): 3e-7, np.dtype(np.float64): 1e-15}
"""Errors of the transforms, relative to the flux of the model; at least four times those found."""
LEVELS = 256
SMALLEST, STEP, BINS = 1e-12, 0.01, 4096  # of δ: the bins of its distribution are so much apart in the logarithm
SHRINK = 4
"""The gridder leaves out what is beyond the horizon, and twice the image may be: finer cells, longer baselines."""


@dataclass(frozen=True, slots=True)
class DoublePsf:
    """The terms of one channel, on twice the image, and what they are good for.

    spectra : (term, 2 ny, nx + 1) transforms of K_j, the centre in the first pixel; the real part of even terms, the
    imaginary one of odd ones (the other part is 0). May be memory-mapped.
    sizes : (term,) mean of |2πwr|^j / j!, the largest value that K_j can have.
    left_out : (term, LEVELS + 1) most that the terms up to this one leave out of 1 Jy where |n_q − n_p| / r is 0,
    1/LEVELS, ..., 1.
    error : of K_j, relative to its size.
    """

    spectra: np.ndarray
    sizes: np.ndarray
    left_out: np.ndarray
    error: float

    def first(self, terms: int) -> DoublePsf:
        """With fewer terms: faster, and less accurate."""
        return replace(self, spectra=self.spectra[:terms], sizes=self.sizes[:terms], left_out=self.left_out[:terms])


def depth(grid: Grid) -> tuple[np.ndarray, float]:
    """(1 − n) / r of the pixels (ny, nx), 0 ... 1, and r; r is infinite where the image reaches the horizon."""
    l, m = grid.lm()
    r2 = l**2 + m[:, None] ** 2
    if r2.max() >= 1:
        return np.zeros(grid.shape), math.inf
    one_plus_n = np.sqrt(1 - r2)
    one_plus_n += 1
    depths = np.divide(r2, one_plus_n, out=r2)
    reach = float(depths.max())
    depths /= reach
    return depths, reach


def w_distribution(parts: list[Part], plane: int, reach: float, memory: float) -> np.ndarray:
    """(BINS,) fraction of the weight of an image channel by δ = 2π|w|`reach`; bin i ends at `edges`[i]."""
    counts = np.zeros(BINS)
    for part, rows, channels in _batches(parts, plane, memory):
        weight = np.asarray(part.weight[rows, channels])
        used = weight > 0
        delta = np.outer(np.abs(part.uvw[rows, 2]), 2 * np.pi * reach * part.freq[channels] / SPEED_OF_LIGHT)[used]
        index = np.ceil(np.log(np.maximum(delta, SMALLEST) / SMALLEST) / STEP)
        counts += np.bincount(np.minimum(index, BINS - 1).astype(int), weight[used], BINS)
    return counts / (counts.sum() or 1)


def _batches(parts: list[Part], plane: int, memory: float):
    """(part, rows, channels) of the samples of an image channel."""
    for part in parts:
        if np.any(part.plane == plane):
            channels = as_slice(np.flatnonzero(part.plane == plane))
            yield from ((part, rows, channels) for rows in row_batches(part, channels, 1, memory))


def edges() -> np.ndarray:
    """Upper edges of the bins of `w_distribution`; there is none to the last, but 1e30 is as good as infinite."""
    return np.append(SMALLEST * np.exp(STEP * np.arange(BINS - 1)), 1e30)


def left_out(distribution: np.ndarray, terms: int, fraction: np.ndarray) -> np.ndarray:
    """Most that `terms` leave out of 1 Jy at so large a `fraction` of the largest |n_q − n_p|."""
    filled = distribution > 0
    delta = np.multiply.outer(fraction, edges()[filled])
    rest = np.minimum(delta**terms / math.factorial(terms), 2 * delta ** (terms - 1) / math.factorial(terms - 1))
    return rest @ distribution[filled]


def terms_needed(distributions: list[np.ndarray], epsilon: float) -> int:
    """How many terms keep a point source anywhere in the image within epsilon, by MARGIN or just so; 0 for none."""
    for terms, margin in [(j, MARGIN) for j in range(1, MAX_TERMS + 1)] + [(MAX_TERMS, 1)]:
        if all(left_out(d, terms, np.ones(1))[0] <= epsilon / margin for d in distributions):
            return terms
    return 0


def make_double_psf(parts, plane: int, grid: Grid, accuracy: Accuracy, distribution, terms: int, reach: float,
                    threads: int = 1) -> DoublePsf:  # fmt: skip
    """The `terms` of image channel `plane`; `distribution` and `reach` as from `w_distribution` and `depth`."""
    error = max(accuracy.epsilon / MARGIN, 1e-13)
    ny, nx = grid.shape
    double = replace(grid, shape=(2 * ny, 2 * nx), cell=(grid.cell[0] / SHRINK, grid.cell[1] / SHRINK))
    # Single precision would lose 4e-5 of the peak in the sum of 5e7 samples.
    finer = replace(accuracy, epsilon=error, wterm=False, precision="double")
    sums, sumwt = np.zeros((terms, *double.shape)), 0.0
    # A batch is three real arrays and a complex one: with 4 times the memory they fill it. Few batches save transforms.
    for part, rows, channels in _batches(parts, plane, 4 * accuracy.memory):
        weight = part.weight[rows, channels].astype(np.float64)
        sumwt += weight.sum()
        uvw, freq = part.uvw[rows], part.freq[channels]
        turn = np.outer(uvw[:, 2], 2 * np.pi * reach / SPEED_OF_LIGHT * freq)
        operator = make_operator(uvw, freq * SHRINK, weight > 0, double, finer, threads)
        for j in range(terms):
            if j:
                weight *= turn / j
            unit = np.broadcast_to(1j**j, (1, *weight.shape)) if j % 2 else None
            sums[j] += operator.vis2dirty(unit, -weight if j % 4 == 2 else weight)[0]
    real = np.float32 if accuracy.epsilon >= 1e-5 else np.float64
    spectra = np.empty((terms, 2 * ny, nx + 1), real)
    for j, sum_ in enumerate(sums):
        spectrum = fourier.rfft2(np.fft.ifftshift(sum_ / (sumwt or 1)), sum_.shape)
        spectra[j] = spectrum.imag if j % 2 else spectrum.real
    filled = distribution > 0
    sizes = np.array([edges()[filled] ** j @ distribution[filled] / math.factorial(j) for j in range(terms)])
    fractions = np.arange(LEVELS + 1) / LEVELS
    rest = np.stack([left_out(distribution, j, fractions) for j in range(1, terms + 1)])
    return DoublePsf(spectra, sizes, rest, error)


def error_bound(model: np.ndarray, psf: DoublePsf, depth: np.ndarray) -> float:
    """Most by which any pixel of `convolved` may be wrong, Jy/beam. model, depth : (y, x).

    Pixels are taken together by their depth, in LEVELS; the distance of two levels is rounded up.
    """
    used = np.flatnonzero(model)
    level = np.minimum((depth.ravel()[used] * LEVELS).astype(int), LEVELS - 1)
    flux = np.bincount(level, np.abs(model.ravel()[used].astype(np.float64)), LEVELS)
    levels = np.arange(LEVELS)
    series = psf.left_out[-1, np.abs(levels - levels[:, None]) + 1] @ flux
    spread = np.sum(2.0 ** np.arange(len(psf.sizes)) * psf.sizes)  # the binomial coefficients of a term add up to 2^j
    return float(series.max() + (psf.error + ROUNDING[psf.spectra.dtype]) * spread * flux.sum())


def convolved(model: np.ndarray, psf: DoublePsf, depth: np.ndarray, threads: int = 1) -> np.ndarray:
    """What the `model` (y, x) Jy/pixel puts into the dirty image (y, x), Jy/beam; independent of `threads`."""
    (ny, nx), terms, real = model.shape, len(psf.spectra), psf.spectra.dtype
    depth = depth.astype(real)
    transforms = np.zeros((terms, ny, nx + 1), np.result_type(real, np.complex64))
    out = np.empty((ny, nx), real)

    def rows_forward(rows):
        plane = model[rows].astype(real)
        if plane.any():
            for i in range(terms):
                transforms[i, rows] = fourier.rfft_rows(plane, 2 * nx)
                plane = -depth[rows] * plane  # (n_q − 1) / r is −depth

    def columns(span):
        padded = np.zeros((2 * ny, span.stop - span.start), transforms.dtype)
        found = []
        for i in range(terms):
            padded[:ny] = transforms[i, :, span]
            found.append(fourier.fft_columns(padded, forward=True))
        for m in range(terms):
            total, odd = found[0] * psf.spectra[m, :, span], m % 2 == 1
            for i in range(1, terms - m):
                product = found[i] * psf.spectra[i + m, :, span]
                product *= math.comb(i + m, i) * (1 if i % 2 == 0 else 1j if m % 2 == 0 else -1j)
                total += product
            if odd:
                total *= 1j
            transforms[m, :, span] = fourier.fft_columns(total, forward=False)[:ny]

    def rows_back(rows):
        out[rows] = 0
        for m in range(terms)[::-1]:  # Horner's rule in −(n_p − 1) / r
            out[rows] = out[rows] * depth[rows] + fourier.irfft_rows(transforms[m, rows], 2 * nx)[:, :nx]

    # Blocks of a fixed size: how a transform is rounded depends on its neighbours in the vectors.
    fourier.in_blocks(rows_forward, ny, 64, threads)
    fourier.in_blocks(columns, nx + 1, 16, threads)
    fourier.in_blocks(rows_back, ny, 64, threads)
    return out


def worst_error(model: np.ndarray, dirty: np.ndarray, psfs: list[DoublePsf], depth: np.ndarray) -> float:
    """The largest `error_bound` of all planes, relative to their dirty peaks. model, dirty : (chan, pol, y, x).

    It is the distance from the exact operator; the dirty image has an error of its own.
    """
    worst = 0.0
    for plane in np.ndindex(model.shape[:2]):
        if model[plane].any():
            peak = float(np.abs(dirty[plane]).max())
            worst = max(worst, error_bound(model[plane], psfs[plane[0]], depth) / peak if peak else math.inf)
    return worst


def as_many_as_needed(model, dirty, psfs: list[DoublePsf], depth: np.ndarray, epsilon: float):
    """The psfs with the fewest terms that keep `worst_error` within epsilon, or all of them; and that error."""
    for terms in range(1, len(psfs[0].sizes) + 1):
        fewer = [psf.first(terms) for psf in psfs]
        error = worst_error(model, dirty, fewer, depth)
        if error <= epsilon:
            break
    return fewer, error


def residual_by_psf(model, dirty, psfs: list[DoublePsf], depth: np.ndarray, threads: int = 1) -> np.ndarray:
    """`dirty` less the model convolved with its channel's psf: (chan, pol, y, x) float32."""
    out = np.array(dirty, np.float32)
    for chan, pol in np.ndindex(model.shape[:2]):
        if model[chan, pol].any():
            out[chan, pol] -= convolved(model[chan, pol], psfs[chan], depth, threads)
    return out
