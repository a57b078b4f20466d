"""The loop all built-in deconvolvers share: find the strongest component, subtract its share of the psf, repeat.

Hogbom is the case of one scale; Clark that of few pixels and a cut-out of the psf. Only pixels that may hold
components are kept up to date, as horizontal runs; the caller brings the rest of the residual up to date at the end.
"""

import numpy as np

from imaging.kernels._jit import njit

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


# |value| in the order of its bits read as an integer with the sign bit cleared: a maximum that vectorises, which one of
# floats does not.
@njit(cache=True, nogil=True)
def _largest(bits, no_sign):
    top = no_sign & bits[0]
    for i in range(1, bits.size):
        value = no_sign & bits[i]
        top = value if value > top else top
    return top


@njit(cache=True, nogil=True)
def _subtract(row, psf_row, flux):
    for i in range(row.size):
        row[i] = row[i] - flux * psf_row[i]


@njit(cache=True, nogil=True)
def _subtract_component(image, bits, no_sign, psf, runs, tops, y, x, flux):
    """Subtract flux * psf centred on (y, x) from the runs of `image`; the psf ends at its edges."""
    ph, pw = psf.shape
    for k in range(runs.shape[0]):
        row, first, last = runs[k, 0], runs[k, 1], runs[k, 2]
        py = row - y + ph // 2
        if py < 0 or py >= ph:
            continue
        shift = pw // 2 - x
        begin, end = max(first, -shift), min(last, pw - shift)
        if begin < end:
            _subtract(image[row, begin:end], psf[py, begin + shift : end + shift], flux)
            tops[k] = _largest(bits[row, first:last], no_sign)


@njit(cache=True, nogil=True)
def _find_peak(image, bits, no_sign, runs, tops):
    """Row, column and value of the first pixel of the runs with the largest |value|."""
    best = 0
    for k in range(runs.shape[0]):
        if tops[k] > tops[best]:
            best = k
    row, x = runs[best, 0], runs[best, 1]
    while no_sign & bits[row, x] != tops[best]:
        x += 1
    return row, x, image[row, x]


@njit(cache=True, nogil=True)
def clean(images, bits, psfs, volumes, biases, runs, starts, gain, threshold, growth, components, fluxes, history):
    """Clean `images` in place until `components` is full, the strength is below `threshold`, or it grows too much.

    images : (scale, ny, nx) residual convolved with each scale, finite in the runs; bits : the same memory as signed
    integers. psfs : (scale, scale, py, px) psf convolved with both scales, centre (py//2, px//2). volumes : peak of
    psfs[a, a]; biases : weight of each scale. runs : from `find_runs`, those of scale a between starts[a] and
    starts[a + 1]. threshold : on |image / volume|. growth : (factor, reference): stop when the strength exceeds factor
    times the first (reference 0) or, in figure of merit, the smallest so far (reference 1). components : int64 (n, 3)
    of scale, y, x; fluxes (n,) after the loop gain; history (n,) figure of merit v^2 bias / volume (Cornwell 2008,
    eq. 9) before each component. Returns the number of components and GOING_ON, BELOW_THRESHOLD or DIVERGING.
    """
    nscale = images.shape[0]
    zero = images.dtype.type(0)
    no_sign = bits.dtype.type(np.iinfo(bits.dtype).max)
    tops = np.zeros(runs.shape[0], bits.dtype)
    for a in range(nscale):
        for k in range(starts[a], starts[a + 1]):
            tops[k] = _largest(bits[a, runs[k, 0], runs[k, 1] : runs[k, 2]], no_sign)
    first, smallest = zero, np.inf
    for n in range(components.shape[0]):
        merit, strength = -1.0, zero
        scale, y, x = 0, 0, 0
        for a in range(nscale):
            begin, end = starts[a], starts[a + 1]
            if begin == end:
                continue
            row, column, value = _find_peak(images[a], bits[a], no_sign, runs[begin:end], tops[begin:end])
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
            _subtract_component(
                images[b], bits[b], no_sign, psfs[scale, b], runs[begin:end], tops[begin:end], y, x, flux
            )
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
