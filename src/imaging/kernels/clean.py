"""The loop all built-in deconvolvers share: find the strongest component, subtract its share of the psf, repeat.

Hogbom is the case of one scale; Clark that of few pixels and a cut-out of the psf. Only pixels that may hold
components are kept up to date, as horizontal runs; the caller brings the rest of the residual up to date at the end.
"""

import numpy as np
from numba import njit

GOING_ON, BELOW_THRESHOLD, DIVERGING = 0, 1, 2


@njit(cache=True, nogil=True)
def find_runs(mask):
    """Maximal horizontal runs of True in `mask` (ny, nx): int64 (n, 3) of row, first column, column after the last."""
    ny, nx = mask.shape
    count = 0
    for y in range(ny):
        for x in range(nx):
            if mask[y, x] and (x == 0 or not mask[y, x - 1]):
                count += 1
    runs = np.empty((count, 3), np.int64)
    k = -1
    for y in range(ny):
        for x in range(nx):
            if mask[y, x]:
                if x == 0 or not mask[y, x - 1]:
                    k += 1
                    runs[k, 0] = y
                    runs[k, 1] = x
                runs[k, 2] = x + 1
    return runs


# nnan and nsz let the maximum vectorise; they do not allow sums in another order or fused multiply-adds.
@njit(cache=True, nogil=True, fastmath={"nnan", "nsz"})
def _largest(row):
    top = row[0] - row[0]
    for i in range(row.size):
        value = abs(row[i])
        top = value if value > top else top
    return top


@njit(cache=True, nogil=True, fastmath={"nnan", "nsz"})
def _subtract(row, psf_row, flux):
    """row -= flux * psf_row; the largest |row| afterwards."""
    top = flux - flux
    for i in range(row.size):
        value = row[i] - flux * psf_row[i]
        row[i] = value
        value = abs(value)
        top = value if value > top else top
    return top


@njit(cache=True, nogil=True)
def _subtract_component(image, psf, runs, tops, y, x, flux):
    """Subtract flux * psf centred on (y, x) from the runs of `image`; the psf ends at its edges."""
    ph, pw = psf.shape
    for k in range(runs.shape[0]):
        row, first, last = runs[k, 0], runs[k, 1], runs[k, 2]
        py = row - y + ph // 2
        if py < 0 or py >= ph:
            continue
        shift = pw // 2 - x
        begin, end = max(first, -shift), min(last, pw - shift)
        if begin >= end:
            continue
        top = _subtract(image[row, begin:end], psf[py, begin + shift : end + shift], flux)
        if begin > first or end < last:
            top = _largest(image[row, first:last])
        tops[k] = top


@njit(cache=True, nogil=True)
def _find_peak(image, runs, tops):
    """Row, column and value of the first pixel of the runs with the largest |value|."""
    best = 0
    for k in range(runs.shape[0]):
        if tops[k] > tops[best]:
            best = k
    row = runs[best, 0]
    for x in range(runs[best, 1], runs[best, 2]):
        if abs(image[row, x]) == tops[best]:
            return row, x, image[row, x]
    return row, runs[best, 1], image[row, runs[best, 1]]


@njit(cache=True, nogil=True)
def clean(images, psfs, volumes, biases, runs, starts, gain, threshold, growth, components, fluxes, history):
    """Clean `images` in place until `components` is full, the strength is below `threshold`, or it grows too much.

    images : (scale, ny, nx) residual convolved with each scale; psfs : (scale, scale, py, px) psf convolved with both
    scales, centre (py//2, px//2). volumes : peak of psfs[a, a]; biases : weight of each scale. runs : from
    `find_runs`, those of scale a between starts[a] and starts[a + 1]. threshold : on |image / volume|. growth :
    (factor, reference): stop when the strength exceeds factor times the first (reference 0) or, in figure of merit,
    the smallest so far (reference 1). components : int64 (n, 3) of scale, y, x; fluxes (n,) after the loop gain;
    history (n,) figure of merit v^2 bias / volume (Cornwell 2008, eq. 9) before each component.
    Returns the number of components and one of GOING_ON, BELOW_THRESHOLD, DIVERGING.
    """
    nscale = images.shape[0]
    tops = np.zeros(runs.shape[0], images.dtype)
    for a in range(nscale):
        for k in range(starts[a], starts[a + 1]):
            tops[k] = _largest(images[a, runs[k, 0], runs[k, 1] : runs[k, 2]])
    first, smallest = images.dtype.type(0), np.inf
    for n in range(components.shape[0]):
        merit, strength = -1.0, images.dtype.type(0)
        scale, y, x = 0, 0, 0
        for a in range(nscale):
            if starts[a] == starts[a + 1]:
                continue
            row, column, value = _find_peak(images[a], runs[starts[a] : starts[a + 1]], tops[starts[a] : starts[a + 1]])
            candidate = abs(value * (value * biases[a] / volumes[a]))
            if candidate > merit:
                merit, strength = candidate, value / volumes[a]
                scale, y, x = a, row, column
        if merit < 0 or abs(strength) < threshold:
            return n, BELOW_THRESHOLD
        if n == 0:
            first = abs(strength)
        smallest = min(smallest, merit)
        if growth[1] == 0 and abs(strength) - first > first * (growth[0] - 1.0):
            return n, DIVERGING
        if growth[1] == 1 and merit > smallest * growth[0]:
            return n, DIVERGING
        flux = gain * strength
        components[n, 0], components[n, 1], components[n, 2] = scale, y, x
        fluxes[n] = flux
        history[n] = merit
        for b in range(nscale):
            begin, end = starts[b], starts[b + 1]
            _subtract_component(images[b], psfs[scale, b], runs[begin:end], tops[begin:end], y, x, flux)
    return components.shape[0], GOING_ON


@njit(cache=True, nogil=True)
def add_components(model, patches, components, fluxes):
    """model (ny, nx) += fluxes times patches (scale, 2r+1, 2r+1) centred on each component, cut at the edges."""
    ny, nx = model.shape
    radius = patches.shape[1] // 2
    for n in range(components.shape[0]):
        scale, y, x = components[n, 0], components[n, 1], components[n, 2]
        for i in range(max(0, y - radius), min(ny, y + radius + 1)):
            for j in range(max(0, x - radius), min(nx, x + radius + 1)):
                share = patches[scale, i - y + radius, j - x + radius]
                if share != 0:
                    model[i, j] += fluxes[n] * share
