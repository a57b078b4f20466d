"""The loop all built-in deconvolvers share: find the strongest component, subtract its share of the psf, repeat.

Hogbom is the case of one scale; Clark that of few pixels and a cut-out of the psf. Only pixels that may hold
components are looked at, as horizontal runs within small tiles. A tile is brought up to date when it may hold the
highest peak: until then a bound of its values, from the largest psf value that can fall on it, says that it does not.
So the components are those of a loop that subtracts from all pixels every time.
"""

import numpy as np

from imaging.kernels._jit import njit

GOING_ON, BELOW_THRESHOLD, DIVERGING = 0, 1, 2


TILE_Y, TILE_X = 8, 128  # pixels of a tile
ROUNDING = 1e-6  # relative, of a bound: more than what single precision rounds in one subtraction


@njit(cache=True, nogil=True)
def find_runs(mask):
    """Maximal horizontal runs of True within tiles of `mask` (ny, nx), tile by tile, and the tiles that have any.

    Runs: int64 (n, 3) of row, first column, column after the last. Tiles: int64 (m, 4) of the first run, the run after
    the last, and the tile's place in y and x.
    """
    ny, nx = mask.shape
    tiles = np.zeros((-(-ny // TILE_Y) * -(-nx // TILE_X), 4), np.int64)
    runs = np.empty((0, 3), np.int64)
    for filling in (False, True):
        n, m = 0, 0
        for top in range(0, ny, TILE_Y):
            for left in range(0, nx, TILE_X):
                first, end = n, min(left + TILE_X, nx)
                for y in range(top, min(top + TILE_Y, ny)):
                    for x in range(left, end):
                        if mask[y, x]:
                            if x == left or not mask[y, x - 1]:
                                if filling:
                                    runs[n, 0], runs[n, 1] = y, x
                                n += 1
                            if filling:
                                runs[n - 1, 2] = x + 1
                if n > first:
                    tiles[m, 0], tiles[m, 1], tiles[m, 2], tiles[m, 3] = first, n, top // TILE_Y, left // TILE_X
                    m += 1
        if not filling:
            runs = np.empty((n, 3), np.int64)
    return runs, tiles[:m]


@njit(cache=True, nogil=True)
def psf_bounds(psf, ny, nx):
    """The largest |psf| that a component of an image (ny, nx) can have in a tile, by the distance of their tiles.

    Float64 (2 my + 1, 2 mx + 1) for distances in tiles from -my to my and from -mx to mx.
    """
    my, mx = -(-ny // TILE_Y), -(-nx // TILE_X)
    blocks = np.zeros((2 * my + 2, 2 * mx + 2))  # of distances in pixels from k * TILE on, k from -my - 1
    for i in range(psf.shape[0]):
        for j in range(psf.shape[1]):
            y = (i - psf.shape[0] // 2) // TILE_Y + my + 1
            x = (j - psf.shape[1] // 2) // TILE_X + mx + 1
            if 0 <= y < blocks.shape[0] and 0 <= x < blocks.shape[1]:
                blocks[y, x] = max(blocks[y, x], abs(psf[i, j]))
    rows = np.maximum(blocks[1:], blocks[:-1])
    return np.maximum(rows[:, 1:], rows[:, :-1])


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
def _subtract(pixels, at, psf, start, count, flux):
    for i in range(count):
        pixels[at + np.uint64(i)] -= flux * psf[start + np.uint64(i)]


@njit(cache=True, nogil=True)
def _bring_up_to_date(b, t, images, bits, psfs, runs, tiles, components, fluxes, earlier, sums, n, bounds, applied):
    """Subtract from tile t of scale b the components it has not had, up to the n-th; its bound is then its peak.

    Those of one pixel are subtracted together: most of the time goes into fetching the psf.
    """
    for c in range(applied[t], n):
        sums[c] = fluxes[c]
        if earlier[c] >= applied[t]:
            sums[c] += sums[earlier[c]]
            sums[earlier[c]] = 0
    ph, pw = psfs.shape[2:]
    nx, pixels, psf = images.shape[2], images[b].reshape(-1), psfs.reshape(-1)
    for k in range(tiles[t, 0], tiles[t, 1]):
        row, first, last = runs[k, 0], runs[k, 1], runs[k, 2]
        for c in range(applied[t], n):
            a, y, x = components[c, 0], components[c, 1], components[c, 2]
            py, shift = row - y + ph // 2, pw // 2 - x
            begin, end = max(first, -shift), min(last, pw - shift)
            if sums[c] != 0 and 0 <= py < ph and begin < end:
                start = ((a * psfs.shape[1] + b) * ph + py) * pw + begin + shift
                _subtract(pixels, np.uint64(row * nx + begin), psf, np.uint64(start), end - begin, sums[c])
    bounds[t] = abs(_first_peak(images[b], bits[b], runs, tiles[t])[2])
    applied[t] = n


@njit(cache=True, nogil=True)
def _first_peak(image, bits, runs, tile):
    """Row, column and value of the first pixel of a tile with its largest |value|."""
    no_sign = bits.dtype.type(np.iinfo(bits.dtype).max)
    best, top = tile[0], bits.dtype.type(-1)
    for k in range(tile[0], tile[1]):
        value = _largest(bits[runs[k, 0], runs[k, 1] : runs[k, 2]], no_sign)
        if value > top:
            best, top = k, value
    row, x = runs[best, 0], runs[best, 1]
    while no_sign & bits[row, x] != top:
        x += 1
    return row, x, image[row, x]


@njit(cache=True, nogil=True)
def _find_peak(b, start, stop, images, bits, psfs, runs, tiles, components, fluxes, earlier, sums, n, bounds, applied):
    """Row, column and value of the first pixel of scale b with the largest |value|, after n components."""
    guess = start
    for t in range(start + 1, stop):
        if bounds[t] > bounds[guess]:
            guess = t
    _bring_up_to_date(b, guess, images, bits, psfs, runs, tiles, components, fluxes, earlier, sums, n, bounds, applied)
    top = bounds[guess]
    for t in range(start, stop):
        if bounds[t] >= top and applied[t] < n:
            _bring_up_to_date(
                b, t, images, bits, psfs, runs, tiles, components, fluxes, earlier, sums, n, bounds, applied
            )
            top = max(top, bounds[t])
    row, x, value = -1, -1, images.dtype.type(0)
    for t in range(start, stop):
        if bounds[t] == top and applied[t] == n:
            found = _first_peak(images[b], bits[b], runs, tiles[t])
            if row < 0 or found[0] < row or (found[0] == row and found[1] < x):
                row, x, value = found
    return row, x, value


@njit(cache=True, nogil=True)
def settle(images, bits, psfs, runs, tiles, starts, components, fluxes, earlier, done, bounds, applied):
    """Bring all tiles up to date with the `done` components of `clean`."""
    sums = np.empty_like(fluxes)
    for b in range(images.shape[0]):
        for t in range(starts[b], starts[b + 1]):
            _bring_up_to_date(
                b, t, images, bits, psfs, runs, tiles, components, fluxes, earlier, sums, done, bounds, applied
            )


@njit(cache=True, nogil=True)
def clean(
    images, bits, psfs, reach, volumes, biases, runs, tiles, starts, gain, threshold, growth, components, fluxes,
    history, earlier, done, bounds, applied,
):  # fmt: skip
    """Find components until `components` is full, the strength is below `threshold`, or it grows too much.

    images : (scale, ny, nx) residual convolved with each scale, finite in the runs; brought up to date only where
    needed. bits : the same memory as signed integers. psfs : (scale, scale, py, px) psf convolved with both scales,
    centre (py//2, px//2). reach : (scale, scale, ...) of `psf_bounds`. volumes : peak of psfs[a, a]; biases : weight of
    each scale. runs, tiles : from `find_runs`, the tiles of scale a between starts[a] and starts[a + 1]. threshold : on
    |image / volume|. growth : (factor, reference): stop when the strength exceeds factor times the first (reference
    0) or, in figure of merit, the smallest so far (reference 1). components : int64 (n, 3) of scale, y, x; fluxes
    (n,) after the loop gain; history (n,) figure of merit v^2 bias / volume (Cornwell 2008, eq. 9) before each;
    earlier int64 (n,) the component before at its place, or -1; the first `done` are from the call before. bounds,
    applied : of each tile a bound of |image| and the components it has had, set at the first call. Returns the
    number of components and GOING_ON, BELOW_THRESHOLD or DIVERGING.
    """
    nscale = images.shape[0]
    first = abs(fluxes[0]) / gain if done else images.dtype.type(0)
    smallest = history[:done].min() if done else np.inf
    my, mx = reach.shape[2] // 2, reach.shape[3] // 2
    sums, last = np.empty_like(fluxes), np.full(images.shape, -1, np.int32)
    for c in range(done):
        last[components[c, 0], components[c, 1], components[c, 2]] = c
    if done == 0:
        applied[:] = 0
        settle(images, bits, psfs, runs, tiles, starts, components, fluxes, earlier, 0, bounds, applied)
    for n in range(done, components.shape[0]):
        merit, strength = -1.0, images.dtype.type(0)
        scale, y, x = 0, 0, 0
        for a in range(nscale):
            begin, end = starts[a], starts[a + 1]
            if begin == end:
                continue
            row, column, value = _find_peak(
                a, begin, end, images, bits, psfs, runs, tiles, components, fluxes, earlier, sums, n, bounds, applied
            )
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
        earlier[n] = last[scale, y, x]
        last[scale, y, x] = n
        size, away_y, away_x = abs(flux) * (1 + ROUNDING), my - y // TILE_Y, mx - x // TILE_X
        for b in range(nscale):
            for t in range(starts[b], starts[b + 1]):
                share = reach[scale, b, tiles[t, 2] + away_y, tiles[t, 3] + away_x]
                bounds[t] = bounds[t] * (1 + ROUNDING) + size * share
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
