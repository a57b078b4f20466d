"""Clean of joined planes on a list of pixels: one position for all planes, each with its own flux and psf.

The position is where an integrated image is largest: the weighted mean of the planes, their slope, ..., or the root of
the weighted mean square. The fluxes of a component are made a smooth spectrum before they are subtracted. After
Offringa & Smirnov (2017, MNRAS 471, 301), section 3.
"""

import math

import numpy as np

from imaging.kernels._jit import njit
from imaging.kernels.spectral_fitting import evaluate_log_polynomial, fit_spectrum

GOING_ON, BELOW_THRESHOLD, DIVERGING = 0, 1, 2
FORCED = 3


@njit(cache=True, nogil=True)
def find_pixels(image, factor, mask, level):
    """Runs int64 (m, 4) of row, first column, column after the last and pixels before; and the number of pixels.

    They hold the pixels of `mask` where |image factor| >= level, all (ny, nx).
    """
    ny, nx = image.shape
    runs = np.empty((0, 4), np.int64)
    pixels = 0
    for filling in (False, True):
        m, pixels = 0, 0
        for y in range(ny):
            inside = False
            for x in range(nx):
                here = mask[y, x] and abs(image[y, x] * factor[y, x]) >= level
                if here and not inside:
                    if filling:
                        runs[m, 0], runs[m, 1], runs[m, 3] = y, x, pixels
                    m += 1
                if here:
                    if filling:
                        runs[m - 1, 2] = x + 1
                    pixels += 1
                inside = here
        if not filling:
            runs = np.empty((m, 4), np.int64)
    return runs, pixels


@njit(cache=True, nogil=True)
def highest(image, factor, mask):
    """max |image factor| in the mask; -1 where that is empty."""
    top = -1.0
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            if mask[y, x]:
                top = max(top, abs(image[y, x] * factor[y, x]))
    return top


@njit(cache=True, nogil=True)
def gather(image, runs, out):
    """out = the pixels of `image` (ny, nx) in the runs."""
    for row, first, last, at in runs:
        out[at : at + last - first] = image[row, first:last]


@njit(cache=True, nogil=True)
def _subtract(values, at, psf, start, count, flux):
    for i in range(count):
        values[at + np.uint64(i)] -= flux * psf[start + np.uint64(i)]


@njit(cache=True, nogil=True)
def _integrate(values, weights, squared, total, integrated):
    """integrated = max_t |sum_j w_tj v_j|, or the root of sum_j w_0j v_j^2; total is scratch of its size."""
    n = integrated.size
    flat = values.reshape(-1)
    for t in range(len(weights)):
        for i in range(n):
            total[i] = 0
        for j in range(weights.shape[1]):
            weight = weights[t, j]
            if weight != 0:
                at = np.uint64(j * n)
                for i in range(n):
                    value = flat[at + np.uint64(i)]
                    total[i] += weight * (value * value if squared else value)
        for i in range(n):
            value = math.sqrt(total[i]) if squared else abs(total[i])
            integrated[i] = max(integrated[i], value) if t else value


@njit(cache=True, nogil=True)
def _peak(integrated, factor):
    best, top = -1, -1.0
    for i in range(integrated.size):
        value = integrated[i] * factor[i]
        if value > top:
            best, top = i, value
    return best, top


@njit(cache=True, nogil=True)
def _place(runs, pixel):
    """Row and column of a pixel of the list."""
    low, high = 0, len(runs)
    while high - low > 1:
        middle = (low + high) // 2
        if runs[middle, 3] <= pixel:
            low = middle
        else:
            high = middle
    return runs[low, 0], runs[low, 1] + pixel - runs[low, 3]


@njit(cache=True, nogil=True)
def _spectrum(
    values, pixel, shares, kind, smoothing, logs, channel_weights, valid, nterms, terms, spectrum, work, fluxes
):
    """Fluxes (plane,) of a component at a pixel: what the planes hold there times shares, smoothed over the channels.

    Planes are ordered (channel, polarisation).
    """
    nchan = logs.size
    npol = len(values) // nchan
    for p in range(npol):
        for c in range(nchan):
            spectrum[c] = shares[c] * values[c * npol + p, pixel]
        if kind == FORCED:
            evaluate_log_polynomial(terms[:, pixel], logs, work[0])
            above, below = 0.0, 0.0
            for c in valid:
                above += channel_weights[c] * spectrum[c]
                below += channel_weights[c] * work[0, c]
            for c in range(nchan):
                spectrum[c] = work[0, c] * above / below
        else:
            fit_spectrum(kind, smoothing, logs, valid, nterms, spectrum, work)
        for c in range(nchan):
            fluxes[c * npol + p] = spectrum[c]


@njit(cache=True, nogil=True)
def clean_pixels(
    values, runs, factor, psfs, shares, weights, squared, kind, smoothing, logs, channel_weights, valid, nterms, terms,
    gain, threshold, growth, components, fluxes,
):  # fmt: skip
    """Find components until `components` is full, the peak is below `threshold`, or it grows too much.

    values : (plane, pixel) of the runs, kept up to date; planes are ordered (channel, polarisation). factor : (pixel,)
    multiplies the integrated image where its peak is looked for. psfs : (channel, py, px), peak at [py//2, px//2].
    shares : (channel,), what makes values of the channels with unlike psfs comparable fluxes.
    weights : (term, plane) of the integrated images. kind, smoothing, logs, valid, nterms : of `fit_spectrum`; or
    FORCED with `terms` (term, pixel), the first of which is 1, and `channel_weights`. gain : what a component takes of
    the planes' values. growth : diverging is a peak above growth times the lowest. components : int64 (n, 2) of row and
    column; fluxes : (n, plane). Returns their number, a code, the number at the lowest peak, and the last peak.
    """
    nplane, pixels = values.shape
    nchan, ph, pw = psfs.shape
    npol = nplane // nchan
    integrated, total = np.empty(pixels, values.dtype), np.empty(pixels, values.dtype)
    flat, psf = values.reshape(-1), psfs.reshape(-1)
    spectrum, work = np.empty(nchan), np.empty((2, nchan))
    own, lowest, best = np.empty(nplane), np.inf, 0
    for n in range(len(components) + 1):
        _integrate(values, weights, squared, total, integrated)
        pixel, top = _peak(integrated, factor)
        if top < lowest:
            lowest, best = top, n
        if pixel < 0 or top < threshold:
            return n, BELOW_THRESHOLD, best, top
        if top > growth * lowest:
            return n, DIVERGING, best, top
        if n == len(components):
            break
        y, x = _place(runs, pixel)
        _spectrum(
            values, pixel, shares, kind, smoothing, logs, channel_weights, valid, nterms, terms, spectrum, work, own
        )
        components[n, 0], components[n, 1] = y, x
        for j in range(nplane):
            fluxes[n, j] = gain * own[j]
        for row, first, last, at in runs:
            py, shift = row - y + ph // 2, pw // 2 - x
            begin, end = max(first, -shift), min(last, pw - shift)
            if 0 <= py < ph and begin < end:
                for j in range(nplane):
                    if fluxes[n, j] != 0:
                        start = ((j // npol) * ph + py) * pw + begin + shift
                        to = j * pixels + at + begin - first
                        _subtract(flat, np.uint64(to), psf, np.uint64(start), end - begin, fluxes[n, j])
    return len(components), GOING_ON, best, top
