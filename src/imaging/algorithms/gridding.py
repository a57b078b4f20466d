"""Visibilities to dirty image and image to visibilities: the operator pair, with the w-term, to a stated accuracy.

V(u, v, w) = sum over pixels of B exp(+2 pi i (u l + v m + w (n - 1)) nu / c), and its adjoint
dirty = sum over samples of w Re(V exp(-2 pi i (...))), neither divided by the sum of weights nor by n.
Pixel x has l = (nx // 2 - x) cell_x + l0, pixel y has m = (y - ny // 2) cell_y + m0; pixels beyond the horizon are 0.

The method is improved w-stacking (Arras, Reinecke et al. 2021, A&A 646, A58; Ye, Gull, Tan and Nikolic 2022). Where the
longest baselines exceed half a cycle per pixel the result is still the sum above: the grid is periodic, as the sum is.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np

from imaging.algorithms.gridding_kernel import SUPPORTS, find_kernel, tap_polynomials, transform, transform_polynomial
from imaging.errors import ImagingError
from imaging.kernels import fft, gridding_rows
from imaging.kernels import gridding as kernels
from imaging.kernels import gridding_flat as flat
from imaging.kernels import gridding_reference as reference
from imaging.kernels import gridding_sort as sorting
from imaging.units import SPEED_OF_LIGHT

EPSILON = {"single": 5e-7, "double": 1e-13}
MEMORY = 2 << 30


class Gridder:
    """The operator pair for one set of samples and one image; sorts the samples once, for PSF, residuals and models.

    Parameters
    ----------
    uvw : (row, 3), m.
    freq : (chan,), Hz.
    shape : (ny, nx) of the image.
    cell : (cell_x, cell_y), rad, positive.
    epsilon : relative l2 error allowed, against the direct sum. 1e-2 to 1e-6 in single, to 1e-12 in double precision.
    mask : (row, chan) bool, optional; false samples are left out for good (their uvw may be anything).
    wterm : false leaves out w (n - 1).
    centre : (l0, m0), direction cosines of pixel (ny // 2, nx // 2).
    precision : "single" or "double", of grid, kernel and results; coordinates are always double.
    threads : results do not depend on it.
    memory : bytes for the grid. Less means more passes over the samples, not another result beyond rounding.

    Raises ImagingError for arrays that do not fit each other and for accuracies out of reach.
    """

    supports = SUPPORTS

    def __init__(self, uvw, freq, shape, cell, epsilon, *, mask=None, wterm=True, centre=(0.0, 0.0),
                 precision="single", threads=1, memory=MEMORY):  # fmt: skip
        _check(uvw, freq, shape, cell, epsilon, mask, precision)
        self.shape, self.cell, self.centre = tuple(map(int, shape)), tuple(map(float, cell)), tuple(map(float, centre))
        self.real, self.complex = (np.float32, np.complex64) if precision == "single" else (np.float64, np.complex128)
        self.threads, self.memory = int(threads), int(memory)
        self._storage = np.empty(0, self.real)
        self.uvw = _fixed(uvw, np.float64)
        self.freq_c = _fixed(np.asarray(freq, np.float64) / SPEED_OF_LIGHT, np.float64)
        mask = _fixed(np.empty((0, 0)) if mask is None else mask, np.bool_)
        self._set_geometry(mask, wterm, float(epsilon), precision)
        self._sort(mask)

    # --- geometry and plan -------------------------------------------------------------------------------------------

    def _set_geometry(self, mask, wterm, epsilon, precision):
        """Choose kernel, grid and planes: the cheapest combination that reaches epsilon."""
        (ny, nx), (cell_l, cell_m), (l0, m0) = self.shape, self.cell, self.centre
        n_low, n_high = _range_of_n1(self.shape, self.cell, self.centre)
        w_low, w_high, self.samples = _range_of_w(self.uvw, self.freq_c, mask)
        # Where the whole w-term is far below the accuracy asked for, a single plane will do.
        use_w = bool(wterm and 2 * math.pi * w_high * max(-n_low, -n_high) > 0.1 * epsilon)
        t_max = (n_high - n_low) / 2 if use_w else 0.0
        t_max = max(t_max, 1e-3 * max(-n_low, 1e-12)) if use_w else 0.0

        def size(n, oversampling):
            unit = 2 * kernels.TILE
            count = max(1, math.ceil(n * oversampling / unit))
            while not fft.radices(count):
                count += 1
            return unit * count

        def plan(kernel):
            nu, nv = size(nx, kernel.oversampling), size(ny, kernel.oversampling)
            planes = math.ceil((w_high - w_low) * 2 * t_max * kernel.oversampling + 1e-6) + kernel.support
            planes = planes if use_w else 1
            # Nanoseconds, measured: transforms and phases per cell; fetching a sample, and its block of taps.
            cells, width = planes * nu * nv * math.log2(nu * nv), kernel.support
            wide = 1 if precision == "single" else 2  # vectors of double precision hold half as many
            if use_w:
                cost = wide * 0.15 * cells + self.samples * (35 + wide * 0.125 * width**3)
            elif width <= flat.GROUP:
                cost = wide * 0.1 * cells + self.samples * (20 + wide * width)
            else:
                cost = wide * 0.1 * cells + self.samples * (25 + wide * 0.4 * width**2)
            return cost, kernel, nu, nv, planes

        target = 0.8 * epsilon / math.sqrt(3 if use_w else 2)
        kernels_found = [find_kernel(support, target) for support in self.supports[precision]]
        plans = [plan(kernel) for kernel in kernels_found if kernel]
        if not plans:
            raise ImagingError("gridding.epsilon is too small", got=epsilon, expected=f">= {EPSILON[precision]}")
        _, self.kernel, nu, nv, self.planes = min(plans, key=lambda p: p[0])
        shift_n = -(n_low + n_high) / 2 if use_w else 0.0
        dw = 1 / (2 * self.kernel.oversampling * t_max) if use_w else 1.0
        support = self.kernel.support
        self.support = (0.0,) * support
        self.w0 = w_low - (support // 2) * dw if use_w else 0.0
        self.geometry = sorting.Geometry(-cell_l, cell_m, nu, nv, use_w, w_low, 1 / dw, l0, m0, -shift_n)
        self.fft_u, self.fft_v = _fft_plan(nu, self.real), _fft_plan(nv, self.real)
        self.sky = gridding_rows.Sky(cell_l, cell_m, l0, m0, shift_n, 1 / t_max if use_w else 0.0, dw)
        self.coefficients = tap_polynomials(self.kernel, self.real)
        self.flat = not use_w and support <= flat.GROUP
        coefficients = self.coefficients
        if self.flat:
            wide = np.pad(coefficients, ((0, 0), (0, flat.GROUP - coefficients.shape[1])))
            coefficients = np.concatenate([wide, wide], axis=1)
        freq_c = np.concatenate([self.freq_c, np.zeros(kernels.MARGIN)])
        self._operands = (self.support, coefficients, self.geometry, self.uvw, freq_c)
        self.correct_u = 1 / transform(self.coefficients, support, (np.arange(nx) - nx // 2) / nu)
        self.correct_v = 1 / transform(self.coefficients, support, (np.arange(ny) - ny // 2) / nv)
        self.transform_w = np.ones(1)
        if use_w:
            self.transform_w = transform_polynomial(self.coefficients, support, t_max * dw)

    def _sort(self, mask):
        """List the samples as runs of channels, by tile and w-plane."""
        g, rows = self.geometry, len(self.uvw)
        tiles_u, tiles = g.nu // kernels.TILE, (g.nu // kernels.TILE) * (g.nv // kernels.TILE)
        edges = np.linspace(0, rows, self.threads + 1).astype(np.intp)
        cursor = np.zeros((self.threads, tiles), np.int64)
        self.load = np.zeros(tiles, np.int64)
        self.used = np.zeros((self.planes, tiles_u), np.bool_)
        depth = self.kernel.support if g.use_w else 1
        with self._pool() as run:
            found = run(sorting.list_runs, [(self.uvw, self.freq_c, mask, g, edges[i], edges[i + 1], cursor[i])
                                            for i in range(self.threads)])  # fmt: skip
            counts = cursor.sum(axis=0)
            self.starts = np.concatenate([[0], np.cumsum(counts)])
            cursor = self.starts[:-1] + np.cumsum(cursor, axis=0) - cursor
            self.runs = np.empty((self.starts[-1], 4), np.int32)
            run(sorting.runs_by_tile, [(part, cursor[i], self.runs) for i, part in enumerate(found)])
            parts = _share(counts, 4 * self.threads)
            run(sorting.sort_tiles, [(self.runs, self.starts, a, b, self.load, self.used, tiles_u, depth)
                                     for a, b in parts])  # fmt: skip

    @contextmanager
    def _pool(self):
        """run(function, list of arguments), with threads that live no longer than the call (so a fork is safe)."""
        if self.threads == 1:
            yield lambda function, items: [function(*item) for item in items]
        else:
            with ThreadPoolExecutor(self.threads) as pool:
                yield lambda function, items: list(pool.map(lambda item: function(*item), items))

    def _batches(self, count):
        """Ranges of planes that fit the memory: (first, end, grid (count, planes, v, 2 u)) of each."""
        g = self.geometry
        pitch = g.nu + 8  # cells; rows a power of two apart would share cache lines in the transforms along v
        bytes_per_plane = count * g.nv * pitch * np.dtype(self.complex).itemsize
        depth = min(self.planes, max(1, self.memory // bytes_per_plane))
        passes = math.ceil(self.planes / depth)
        edges = [round(i * self.planes / passes) for i in range(passes + 1)]
        depth = max(b - a for a, b in zip(edges[:-1], edges[1:], strict=True))
        cells = 2 * count * depth * g.nv * pitch
        if self._storage.size < cells:  # kept between calls: touching new memory costs as much as a transform
            self._storage = np.empty(cells, self.real)
        for first, last in zip(edges[:-1], edges[1:], strict=True):
            shape = (count, last - first, g.nv, 2 * pitch)
            yield first, last, self._storage[: math.prod(shape)].reshape(shape)

    # --- transforms --------------------------------------------------------------------------------------------------

    def _blocks_used(self):
        """Which columns of the grid, fft.LANES at a time, samples of each plane can reach: (plane, block)."""
        per_tile, half = kernels.TILE // fft.LANES, -(-self.kernel.support // 2 // fft.LANES)
        blocks = np.repeat(self.used, per_tile, axis=1)
        return np.logical_or.reduce([np.roll(blocks, shift, axis=1) for shift in range(-half, half + 1)])

    def _along_v(self, run, grid, used, forward):
        """Transform the columns of the planes (rhs, plane, v, 2 u) in place."""
        planes, blocks = used.shape
        run(fft.along_v, [
            (grid[r, p], used[p], a * fft.WIDE, b * fft.WIDE, self.shape[0], forward, *self.fft_v)
            for r in range(len(grid)) for p in range(planes) for a, b in _even(blocks // fft.WIDE, 4)])  # fmt: skip

    def _rows(self, first):
        """Operands of gridding_rows for each share of the image's rows, with the planes from `first` on."""
        plane_w = self.w0 + first * self.sky.dw
        return [(self.geometry, self.sky, self.correct_u, self.correct_v, self.transform_w, plane_w,
                 a * fft.LANES, min(b * fft.LANES, self.shape[0]), *self.fft_u)
                for a, b in _even(-(-self.shape[0] // fft.LANES), 4 * self.threads)]  # fmt: skip

    # --- the operators -----------------------------------------------------------------------------------------------

    def vis2dirty(self, vis=None, weight=None, psf=0) -> np.ndarray:
        """dirty (plane, ny, nx) = sum of w Re(V exp(-2 pi i ...)).

        vis : (plane, row, chan) complex, may be memory-mapped; None for unit visibilities (the PSF).
        weight : (row, chan) or (plane, row, chan); None for 1. Samples of weight 0 are not looked at.
        psf : how many planes, the last ones, are of unit visibilities; vis has the others. One plane of vis will do
            for several of weight, as of Taylor terms.
        """
        vis = self._samples(vis, self.complex, "vis")
        weight = self._samples(weight, self.real, "weight")
        count = max(len(vis) + psf, len(weight), 1)
        if len(vis) not in (0, 1, count - psf) or len(weight) not in (0, 1, count):
            raise ImagingError("vis and weight have different numbers of planes", got=(vis.shape, weight.shape))
        image = np.zeros((count, *self.shape), self.real)
        if not len(self.runs):
            return image
        used = self._blocks_used()
        with self._pool() as run:
            for first, last, grid in self._batches(count):
                blocks = used[first:last]
                run(fft.clear, [(plane, blocks[p]) for planes in grid for p, plane in enumerate(planes)])
                for colour in range(4):
                    works = self._tile_work(colour, first, last)
                    if self.flat:
                        run(flat.grid_tiles, [
                            (*self._operands, vis, weight, psf, self.runs, self.starts, work, grid[:, 0])
                            for work in works])  # fmt: skip
                        continue
                    run(kernels.grid_tiles, [
                        (*self._operands, vis, weight, psf, self.runs, self.starts, work, first, grid)
                        for work in works])  # fmt: skip
                self._along_v(run, grid, blocks, True)
                run(gridding_rows.planes_to_image, [(grid, blocks, *rows, image) for rows in self._rows(first)])
        return image

    def dirty2vis(self, image) -> np.ndarray:
        """vis (plane, row, chan) = sum over pixels of image (plane, ny, nx) exp(+2 pi i ...); 0 where masked."""
        image = _fixed(image, self.real)
        if image.ndim != 3 or image.shape[1:] != self.shape:
            raise ImagingError("the image does not fit the gridder", got=image.shape, expected=("plane", *self.shape))
        vis = np.zeros((len(image), len(self.uvw), len(self.freq_c)), self.complex)
        if not len(self.runs):
            return vis
        used = self._blocks_used()
        with self._pool() as run:
            for first, last, grid in self._batches(len(image)):
                blocks = used[first:last]
                run(gridding_rows.image_to_planes, [(image, blocks, *rows, grid) for rows in self._rows(first)])
                self._along_v(run, grid, blocks, False)
                if self.flat:
                    run(flat.degrid_tiles, [(*self._operands, grid[:, 0], self.runs, work, vis)
                                            for work in self._run_work()])  # fmt: skip
                    continue
                run(kernels.degrid_tiles, [
                    (*self._operands, grid, self.runs, work, first, vis)
                    for work in self._run_work()])  # fmt: skip
        return vis

    def _samples(self, array, dtype, name):
        """As (plane, row, chan), C-contiguous, read-only: one type, so one compiled kernel; size 0 for None."""
        if array is None:
            return _fixed(np.empty((0, 0, 0)), dtype)
        array = np.asarray(array)
        array = array[None] if array.ndim == 2 else array
        if array.shape[1:] != (len(self.uvw), len(self.freq_c)):
            raise ImagingError(f"{name} does not fit uvw and freq", got=array.shape,
                               expected=("plane", len(self.uvw), len(self.freq_c)))  # fmt: skip
        return _fixed(array, dtype)

    def _tile_work(self, colour, first, last):
        """Work (tile, first plane, end plane) for every second tile in u and v, in about equal shares.

        Tiles of one colour do not overlap. One with more than its share is cut by planes, which leaves the order of
        every cell's sum as it is.
        """
        tiles = self.load.reshape(-1, self.geometry.nu // kernels.TILE)
        chosen = np.zeros_like(tiles)
        chosen[colour // 2 :: 2, colour % 2 :: 2] = tiles[colour // 2 :: 2, colour % 2 :: 2]
        load = chosen.ravel()
        share = max(1, int(load.sum()) // (8 * self.threads)) if self.threads > 1 else load.sum() + 1
        work, loads = [], []
        for tile in np.flatnonzero(load):
            cuts = [first, last]
            if load[tile] > share and last - first > 1:
                runs = self.runs[self.starts[tile] : self.starts[tile + 1]]
                level = np.cumsum(runs[:, 2] - runs[:, 1])
                at = np.searchsorted(level, np.arange(1, math.ceil(load[tile] / share)) * share)
                cuts = sorted({first, last, *(int(p) for p in runs[at, 3] if first < p < last)})
            work += [(tile, a, b) for a, b in zip(cuts[:-1], cuts[1:], strict=True)]
            loads += [load[tile] / (len(cuts) - 1)] * (len(cuts) - 1)
        work = np.array(work, np.int64).reshape(-1, 3)
        return [work[a:b] for a, b in _share(np.array(loads), 8 * self.threads)] if len(work) else []

    def _run_work(self):
        """Work (tile, first run, end run) in about equal shares; samples are independent of each other here."""
        parts = []
        for a, b in _share(np.diff(self.starts), 8 * self.threads):
            tiles = np.arange(a, b)[np.diff(self.starts[a : b + 1]) > 0]
            work = np.stack([tiles, self.starts[tiles], self.starts[tiles + 1]], axis=1)
            parts.append(work.astype(np.int64))
        return parts


def vis2dirty(uvw, freq, vis, weight, shape, cell, epsilon, *, mask=None, wterm=True, centre=(0.0, 0.0),
              precision="single", threads=1, memory=MEMORY, backend="fast"):  # fmt: skip
    """dirty (plane, ny, nx) of visibilities (plane, row, chan); see `Gridder` for units and `Gridder.vis2dirty`."""
    if backend == "reference":
        _check(uvw, freq, shape, cell, epsilon, mask, precision)
        good = np.ones((len(uvw), len(freq)), bool) if mask is None else np.asarray(mask)
        weight = np.where(good, 1.0 if weight is None else weight, 0)
        vis = np.ones_like(weight) if vis is None else np.asarray(vis)
        vis, weight = np.broadcast_arrays(vis if vis.ndim == 3 else vis[None], weight)
        dirty = reference.vis2dirty(np.where(good.any(1)[:, None], uvw, 0), np.asarray(freq), vis, weight, shape, cell,
                                    wterm=wterm, centre=centre)  # fmt: skip
        return dirty.astype(np.float32 if precision == "single" else np.float64)
    gridder = Gridder(uvw, freq, shape, cell, epsilon, mask=mask, wterm=wterm, centre=centre, precision=precision,
                      threads=threads, memory=memory)  # fmt: skip
    return gridder.vis2dirty(vis, weight)


def dirty2vis(uvw, freq, image, cell, epsilon, *, mask=None, wterm=True, centre=(0.0, 0.0), precision="single",
              threads=1, memory=MEMORY, backend="fast"):  # fmt: skip
    """vis (plane, row, chan) of an image (plane, ny, nx), the adjoint of `vis2dirty`; 0 where `mask` is false."""
    shape = np.shape(image)[1:]
    if backend == "reference":
        _check(uvw, freq, shape, cell, epsilon, mask, precision)
        good = np.ones((len(uvw), len(freq)), bool) if mask is None else np.asarray(mask)
        vis = reference.dirty2vis(np.where(good.any(1)[:, None], uvw, 0), np.asarray(freq), np.asarray(image), cell,
                                  wterm=wterm, centre=centre)  # fmt: skip
        return (vis * good).astype(np.complex64 if precision == "single" else np.complex128)
    gridder = Gridder(uvw, freq, shape, cell, epsilon, mask=mask, wterm=wterm, centre=centre, precision=precision,
                      threads=threads, memory=memory)  # fmt: skip
    return gridder.dirty2vis(image)


# --- helpers ---------------------------------------------------------------------------------------------------------


def _fixed(array, dtype):
    """A C-contiguous, aligned, read-only plain array: one type for the compiled kernels, memory-mapped or not."""
    array = np.require(np.asarray(array), dtype, ["C", "A"]).view(np.ndarray)
    array = array.view()
    array.flags.writeable = False
    return array


def _fft_plan(n, real):
    factors = fft.radices(n)
    return np.array(factors), fft.twiddle_factors(n, factors, real)


def _even(n, parts):
    edges = np.linspace(0, n, min(n, parts) + 1).astype(int)
    return list(zip(edges[:-1], edges[1:], strict=True))


def _share(load, parts):
    """Ranges of consecutive items whose loads are about equal."""
    level = np.concatenate([[0.0], np.cumsum(load)])
    edges = np.unique(np.searchsorted(level, np.linspace(0, level[-1], parts + 1)[1:-1]))
    edges = np.unique(np.concatenate([[0], edges, [len(load)]])).astype(int)
    return list(zip(edges[:-1], edges[1:], strict=True))


def _range_of_n1(shape, cell, centre):
    """Least and greatest n - 1 of an image."""
    (ny, nx), (l0, m0) = shape, centre
    l = (nx // 2 - np.array([0, nx - 1])) * cell[0] + l0
    m = (np.array([0, ny - 1]) - ny // 2) * cell[1] + m0
    far = min(1.0, np.abs(l).max() ** 2 + np.abs(m).max() ** 2)
    near = sum(0.0 if a.min() <= 0 <= a.max() else np.abs(a).min() ** 2 for a in (l, m))
    return tuple(math.sqrt(1 - min(r2, 1.0)) - 1 for r2 in (far, near))


def _range_of_w(uvw, freq_c, mask):
    """Least and greatest |w| in wavelengths, and the number, of the samples in use."""
    rows = mask.any(axis=1) if mask.size else np.ones(len(uvw), bool)
    w = np.abs(uvw[rows, 2])
    if not w.size or not freq_c.size:
        return 0.0, 0.0, 0
    if not np.isfinite(uvw[rows]).all():
        raise ImagingError("uvw has values that are not finite", next_step="flag these rows")
    samples = int(np.count_nonzero(mask)) if mask.size else w.size * freq_c.size
    return float(w.min() * freq_c.min()), float(w.max() * freq_c.max()), samples


def _check(uvw, freq, shape, cell, epsilon, mask, precision):
    if precision not in EPSILON:
        raise ImagingError("unknown gridding.precision", got=precision, expected="single or double")
    if not EPSILON[precision] <= epsilon <= 0.1:
        raise ImagingError(
            f"gridding.epsilon is out of reach in {precision} precision",
            got=epsilon,
            expected=f"{EPSILON[precision]} to 0.1",
            next_step="change epsilon or precision",
        )
    if np.ndim(uvw) != 2 or np.shape(uvw)[1] != 3 or np.ndim(freq) != 1:
        raise ImagingError("uvw or freq has the wrong shape", got=(np.shape(uvw), np.shape(freq)),
                           expected="(row, 3) and (chan,)")  # fmt: skip
    if mask is not None and np.shape(mask) != (len(uvw), len(freq)):
        raise ImagingError("mask does not fit uvw and freq", got=np.shape(mask), expected=(len(uvw), len(freq)))
    if len(shape) != 2 or min(shape) < 1 or len(cell) != 2 or not min(cell) > 0:
        raise ImagingError("the image needs a shape (ny, nx) and a positive cell (x, y)", got=(shape, cell))
