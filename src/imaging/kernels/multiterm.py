"""The search of multi-term multi-scale clean (Rau and Cornwell 2011, A&A 532, A71): `clean` for several Taylor terms.

At each pixel and scale a component has a coefficient a term, c = A^-1 R, with R the residuals of all terms convolved
with the scale and A the Hessian's peak of that scale. As in `clean` a tile is brought up to date only when it may
matter: sqrt(R . A^-1 R) is a norm, so that a bound of it grows by no more than the norm of what is subtracted.
"""

import math

import numpy as np

from imaging.kernels._jit import njit
from imaging.kernels.clean import BELOW_THRESHOLD, DIVERGING, GOING_ON, ROUNDING, TILE_X, TILE_Y


@njit(cache=True, nogil=True)
def _subtract1(pixels, at, psf, start, count, flux):
    for i in range(count):
        pixels[at + np.uint64(i)] -= flux * psf[start + np.uint64(i)]


@njit(cache=True, nogil=True)
def _subtract2(pixels, at, psf, start, step, count, flux0, flux1):
    first, second = start, start + step
    for i in range(count):
        k = np.uint64(i)
        pixels[at + k] -= flux0 * psf[first + k] + flux1 * psf[second + k]


@njit(cache=True, nogil=True)
def _subtract3(pixels, at, psf, start, step, count, flux0, flux1, flux2):
    first, second, third = start, start + step, start + step + step
    for i in range(count):
        k = np.uint64(i)
        pixels[at + k] -= flux0 * psf[first + k] + flux1 * psf[second + k] + flux2 * psf[third + k]


@njit(cache=True, nogil=True)
def _merits(image, inverse, row, first, last, out):
    """out[i] = R . A^-1 R of the pixels `first` to `last` of a row of `image` (term, ny, nx)."""
    r0 = image[0, row]
    if image.shape[0] == 1:
        for x in range(first, last):
            out[x - first] = inverse[0, 0] * r0[x] * r0[x]
    elif image.shape[0] == 2:
        r1 = image[1, row]
        a, b, c = inverse[0, 0], inverse[0, 1] + inverse[0, 1], inverse[1, 1]
        for x in range(first, last):
            out[x - first] = (a * r0[x] + b * r1[x]) * r0[x] + c * r1[x] * r1[x]
    else:
        r1, r2 = image[1, row], image[2, row]
        a, b, c = inverse[0, 0], inverse[0, 1] + inverse[0, 1], inverse[0, 2] + inverse[0, 2]
        d, e, f = inverse[1, 1], inverse[1, 2] + inverse[1, 2], inverse[2, 2]
        for x in range(first, last):
            out[x - first] = (
                (a * r0[x] + b * r1[x] + c * r2[x]) * r0[x] + (d * r1[x] + e * r2[x]) * r1[x] + (f * r2[x]) * r2[x]
            )


# As in `clean`: the bits of |value| as integers, a maximum of which vectorises.
@njit(cache=True, nogil=True)
def _largest(bits, no_sign):
    top = no_sign & bits[0]
    for i in range(1, bits.size):
        value = no_sign & bits[i]
        top = value if value > top else top
    return top


@njit(cache=True, nogil=True)
def _bring_up_to_date(b, t, data, found, sums, n, tiles, bounds, tops, applied):
    """Subtract from tile t of scale b the components it has not had, up to the n-th; then its bound is exact.

    bounds[t] : largest sqrt(R . A^-1 R); tops[t] : largest |R| of the first term. Those of one pixel go together.
    """
    images, bits, psfs, inverses, runs, merits, merit_bits = data
    components, fluxes, earlier = found
    nterm, ny, nx = images.shape[1:]
    for c in range(applied[t], n):
        for term in range(nterm):
            sums[c, term] = fluxes[c, term]
            if earlier[c] >= applied[t]:
                sums[c, term] += sums[earlier[c], term]
                sums[earlier[c], term] = 0
    ph, pw = psfs.shape[3:]
    pixels, psf, step = images.reshape(-1), psfs.reshape(-1), np.uint64(ph * pw)
    no_sign = bits.dtype.type(np.iinfo(bits.dtype).max)
    top, top0 = bits.dtype.type(0), bits.dtype.type(0)
    for k in range(tiles[t, 0], tiles[t, 1]):
        row, first, last = runs[k, 0], runs[k, 1], runs[k, 2]
        for c in range(applied[t], n):
            a, y, x = components[c, 0], components[c, 1], components[c, 2]
            py, shift = row - y + ph // 2, pw // 2 - x
            begin, end = max(first, -shift), min(last, pw - shift)
            if not 0 <= py < ph or begin >= end:
                continue
            for term in range(nterm):
                at = np.uint64(((b * nterm + term) * ny + row) * nx + begin)
                start = np.uint64((((a * psfs.shape[1] + b) * psfs.shape[2] + term) * ph + py) * pw + begin + shift)
                if nterm == 1:
                    _subtract1(pixels, at, psf, start, end - begin, sums[c, 0])
                elif nterm == 2:
                    _subtract2(pixels, at, psf, start, step, end - begin, sums[c, 0], sums[c, 1])
                else:
                    _subtract3(pixels, at, psf, start, step, end - begin, sums[c, 0], sums[c, 1], sums[c, 2])
        _merits(images[b], inverses[b], row, first, last, merits)
        top = max(top, _largest(merit_bits[: last - first], no_sign))
        top0 = max(top0, _largest(bits[b, 0, row, first:last], no_sign))
    merit_bits[0] = top
    bounds[t] = math.sqrt(merits[0])
    merit_bits[0] = top0
    tops[t] = merits[0]
    applied[t] = n


@njit(cache=True, nogil=True)
def _first_peak(b, t, data, tiles):
    """Row, column and value of the first pixel of a tile with its largest R . A^-1 R."""
    images, bits, psfs, inverses, runs, merits, merit_bits = data
    best, y, x = merits.dtype.type(-1), -1, -1
    for k in range(tiles[t, 0], tiles[t, 1]):
        row, first, last = runs[k, 0], runs[k, 1], runs[k, 2]
        _merits(images[b], inverses[b], row, first, last, merits)
        for i in range(last - first):
            if merits[i] > best:
                best, y, x = merits[i], row, first + i
    return y, x, best


@njit(cache=True, nogil=True)
def _find_peak(b, start, stop, data, found, sums, n, tiles, bounds, tops, applied):
    """Row, column and value of the first pixel of scale b with the largest R . A^-1 R, after n components."""
    guess = start
    for t in range(start + 1, stop):
        if bounds[t] > bounds[guess]:
            guess = t
    if applied[guess] < n:
        _bring_up_to_date(b, guess, data, found, sums, n, tiles, bounds, tops, applied)
    top = bounds[guess]
    for t in range(start, stop):
        if bounds[t] >= top:
            if applied[t] < n:
                _bring_up_to_date(b, t, data, found, sums, n, tiles, bounds, tops, applied)
            top = max(top, bounds[t])
    row, x, value = -1, -1, 0.0
    for t in range(start, stop):
        if bounds[t] == top and applied[t] == n:
            y, column, merit = _first_peak(b, t, data, tiles)
            if row < 0 or y < row or (y == row and column < x):
                row, x, value = y, column, merit
    return row, x, value


@njit(cache=True, nogil=True)
def _tile_above(level, guess, stop, share, data, found, sums, n, tiles, bounds, tops, applied):
    """A tile of scale 0 where |R| of the first term reaches `level`, or -1; `guess` is tried first."""
    for t in range(-1, stop):
        t = guess if t < 0 else t
        if bounds[t] * share >= level:
            if applied[t] < n:
                _bring_up_to_date(0, t, data, found, sums, n, tiles, bounds, tops, applied)
            if tops[t] >= level:
                return t
    return -1


@njit(cache=True, nogil=True)
def clean(
    images, bits, psfs, reach, hessians, inverses, biases, runs, tiles, starts, gain, threshold, growth, components,
    fluxes, history, earlier, done, bounds, tops, applied, merits, merit_bits,
):  # fmt: skip
    """Find components until `components` is full, the residual is below `threshold`, or the merit grows too much.

    images : (scale, term, ny, nx) residuals of up to 3 terms convolved with each scale, finite in the runs; brought up
    to date only where needed. bits : the same memory as signed integers. psfs : (scale, scale, 2 term - 1, py, px)
    spectral psfs convolved with both scales, centre (py//2, px//2). reach : (scale, scale, ...) of
    `clean.psf_bounds`, of the norm of a component's trace. hessians, inverses : (scale, term, term), psfs[a, a, s + t]
    at the centre, and inverse. biases : weight of each scale. runs, tiles, starts : as in `clean.clean`. threshold :
    on |image / hessian| of the first term at the first scale. growth : stop when the figure of merit
    R . A^-1 R bias exceeds so many times the smallest so far. components : int64 (n, 3) of scale, y, x; fluxes
    (n, term) after the loop gain; history, earlier, done, bounds, applied : as in `clean.clean`; tops : of each tile
    the largest |image| of the first term. merits, merit_bits : room for a tile's row, and the same as integers.
    Returns the number of components and GOING_ON, BELOW_THRESHOLD or DIVERGING.
    """
    nscale, nterm = images.shape[:2]
    data = images, bits, psfs, inverses, runs, merits, merit_bits
    found = components, fluxes, earlier
    my, mx = reach.shape[2] // 2, reach.shape[3] // 2
    smallest = history[:done].min() if done else np.inf
    last = np.full((nscale, *images.shape[2:]), -1, np.int32)
    sums = np.empty_like(fluxes)
    for c in range(done):
        last[components[c, 0], components[c, 1], components[c, 2]] = c
    if done == 0:
        applied[:] = 0
        for b in range(nscale):
            for t in range(starts[b], starts[b + 1]):
                _bring_up_to_date(b, t, data, found, sums, 0, tiles, bounds, tops, applied)
    above, level = starts[0], threshold * hessians[0, 0, 0]
    share = math.sqrt(hessians[0, 0, 0]) * (1 + ROUNDING)
    for n in range(done, components.shape[0]):
        if starts[1] > starts[0]:
            above = _tile_above(level, above, starts[1], share, data, found, sums, n, tiles, bounds, tops, applied)
        if starts[1] == starts[0] or above < 0:
            return n, BELOW_THRESHOLD
        merit, norm = -1.0, 0.0
        scale, y, x = 0, 0, 0
        for a in range(nscale):
            if starts[a] < starts[a + 1]:
                row, column, value = _find_peak(
                    a, starts[a], starts[a + 1], data, found, sums, n, tiles, bounds, tops, applied
                )
                if value * biases[a] > merit:
                    merit, norm = value * biases[a], math.sqrt(value)
                    scale, y, x = a, row, column
        smallest = min(smallest, merit)
        if merit > smallest * growth:
            return n, DIVERGING
        components[n, 0], components[n, 1], components[n, 2] = scale, y, x
        for s in range(nterm):
            fluxes[n, s] = 0
            for t in range(nterm):
                fluxes[n, s] += gain * inverses[scale, s, t] * images[scale, t, y, x]
        history[n] = merit
        earlier[n] = last[scale, y, x]
        last[scale, y, x] = n
        size, away_y, away_x = gain * norm * (1 + ROUNDING), my - y // TILE_Y, mx - x // TILE_X
        for b in range(nscale):
            for t in range(starts[b], starts[b + 1]):
                extra = reach[scale, b, tiles[t, 2] + away_y, tiles[t, 3] + away_x]
                bounds[t] = bounds[t] * (1 + ROUNDING) + size * extra
    return components.shape[0], GOING_ON
