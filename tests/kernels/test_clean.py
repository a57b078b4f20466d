"""The component loop: both implementations, then one against the other."""

import numpy as np
import pytest

from imaging.kernels import clean, clean_reference


@pytest.fixture(params=[clean, clean_reference], ids=["fast", "reference"])
def kernel(request):
    return request.param


def psf_like(rng, shape, dtype):
    y, x = (np.arange(n) - n // 2 for n in shape)
    psf = np.exp(-(y[:, None] ** 2 / 8 + (x[None, :] - 0.4 * y[:, None]) ** 2 / 5)) + 0.02 * rng.normal(size=shape)
    psf[shape[0] // 2, shape[1] // 2] = 1
    return psf.astype(dtype)


def run(kernel, images, psfs, masks, *, limit, gain=0.2, threshold=0.0, growth=(np.inf, 0.0), biases=None):
    """(components, fluxes, history, code, images afterwards)."""
    images = images.copy()
    real, scales = images.dtype.type, len(images)
    volumes = np.array([psfs[a, a].max() for a in range(scales)])
    biases = np.ones(scales, images.dtype) if biases is None else biases.astype(images.dtype)
    found = np.zeros((limit, 3), np.int64), np.zeros(limit, images.dtype), np.zeros(limit)
    if kernel is clean_reference:
        n, code = kernel.clean(images, psfs, volumes, biases, masks, real(gain), real(threshold), growth, *found)
        return *(f[:n] for f in found), code, images
    bits = images.view(f"i{images.itemsize}")
    runs, tiles = (list(part) for part in zip(*(kernel.find_runs(m) for m in masks), strict=True))
    for a in range(1, scales):
        tiles[a][:, :2] += sum(len(r) for r in runs[:a])
    starts = np.cumsum([0] + [len(t) for t in tiles])
    runs, tiles = np.concatenate(runs), np.concatenate(tiles)
    reach = np.stack([[kernel.psf_bounds(psf, *images.shape[1:]) for psf in row] for row in psfs])
    bounds, applied = np.empty(len(tiles)), np.zeros(len(tiles), np.int64)
    found = *found, np.zeros(limit, np.int64)
    n = 0
    for end in (limit // 3, limit):  # in two calls, as when there is no more room for components
        n, code = kernel.clean(
            images, bits, psfs, reach, volumes, biases, runs, tiles, starts, real(gain), real(threshold), growth,
            *(f[:end] for f in found), n, bounds, applied,
        )  # fmt: skip
        if code != clean.GOING_ON:
            break
    kernel.settle(images, bits, psfs, runs, tiles, starts, *found[:2], found[3], n, bounds, applied)
    return *(f[:n] for f in found[:3]), code, images


def test_runs_are_the_maximal_ones_of_each_tile():
    high, wide = clean.TILE_Y, clean.TILE_X
    mask = np.zeros((high + 4, wide + 6), bool)
    mask[0, [0, 1, 3]] = mask[2, wide - 2 : wide + 3] = mask[high + 3, 5] = True
    runs, tiles = clean.find_runs(mask)
    assert runs.tolist() == [[0, 0, 2], [0, 3, 4], [2, wide - 2, wide], [2, wide, wide + 3], [high + 3, 5, 6]]
    assert tiles.tolist() == [[0, 3, 0, 0], [3, 4, 0, 1], [4, 5, 1, 0]]
    assert [len(part) for part in clean.find_runs(np.zeros((3, 3), bool))] == [0, 0]


def test_bounds_hold_for_every_pair_of_pixels():
    rng = np.random.default_rng(4)
    psf, (ny, nx) = rng.normal(size=(41, 90)), (40, 150)
    reach = clean.psf_bounds(psf, ny, nx)
    for _ in range(2000):
        y, x, row, column = rng.integers([ny, nx, ny, nx])
        away = row // clean.TILE_Y - y // clean.TILE_Y, column // clean.TILE_X - x // clean.TILE_X
        i, j = row - y + 20, column - x + 45
        if 0 <= i < 41 and 0 <= j < 90:
            assert abs(psf[i, j]) <= reach[reach.shape[0] // 2 + away[0], reach.shape[1] // 2 + away[1]]


def test_one_point_source_is_found_with_the_loop_gain(kernel):
    psf = psf_like(np.random.default_rng(1), (21, 21), np.float64)
    image = np.zeros((1, 21, 21))
    image[0] = -3 * psf  # negative: the peak is of the absolute value
    components, fluxes, _, code, left = run(kernel, image, psf[None, None], np.ones((1, 21, 21), bool), limit=12)
    assert (components == [0, 10, 10]).all()
    np.testing.assert_allclose(fluxes, -3 * 0.2 * 0.8 ** np.arange(12), rtol=1e-12)
    np.testing.assert_allclose(left[0], -3 * 0.8**12 * psf, atol=1e-13)
    assert code == clean.GOING_ON


def test_stops_strictly_below_the_threshold(kernel):
    psf = np.zeros((5, 5), np.float32)
    psf[2, 2] = 1
    image = np.zeros((1, 5, 5), np.float32)
    image[0, 1, 3] = 1
    *_, code, left = run(kernel, image, psf[None, None], np.ones((1, 5, 5), bool), limit=50, gain=0.5, threshold=0.25)
    assert code == clean.BELOW_THRESHOLD
    assert left[0, 1, 3] == 0.125  # 0.25 itself was not below


def test_first_pixel_wins_a_tie(kernel):
    psf = np.zeros((3, 3), np.float32)
    psf[1, 1] = 1
    image = np.zeros((1, 4, 6), np.float32)
    image[0, 1, 4], image[0, 2, 1], image[0, 1, 2] = 1, 1, -1
    components, *_ = run(kernel, image, psf[None, None], np.ones((1, 4, 6), bool), limit=1)
    assert components.tolist() == [[0, 1, 2]]


def test_nothing_is_found_or_touched_outside_the_mask(kernel):
    rng = np.random.default_rng(2)
    psf = psf_like(rng, (16, 16), np.float64)
    image = rng.normal(size=(1, 16, 16))
    mask = np.zeros((1, 16, 16), bool)
    mask[0, 3:9, 5:13] = True
    image[~mask] = 1e6
    components, _, _, _, left = run(kernel, image, psf[None, None], mask, limit=40)
    assert mask[0][components[:, 1], components[:, 2]].all()
    np.testing.assert_array_equal(left[~mask], 1e6)


def test_an_empty_mask_ends_at_once(kernel):
    one = np.ones((1, 4, 4))
    components, *_, code, _ = run(kernel, one, one[None], np.zeros((1, 4, 4), bool), limit=3)
    assert len(components) == 0
    assert code == clean.BELOW_THRESHOLD


@pytest.mark.parametrize("growth", [(1.5, 0.0), (4.0, 1.0)])
def test_divergence_stops(kernel, growth):
    psf = np.full((9, 9), 2.5)  # sidelobes above the peak: every subtraction makes it worse
    psf[4, 4] = 1
    image = np.zeros((1, 9, 9))
    image[0, 4, 4] = 1
    *_, fluxes, _, code, _ = run(
        kernel, image, psf[None, None], np.ones((1, 9, 9), bool), limit=60, gain=0.9, growth=growth
    )
    assert code == clean.DIVERGING
    assert 0 < len(fluxes) < 60


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scales", [1, 3])
def test_fast_equals_reference(scales, dtype):
    rng = np.random.default_rng(scales)
    shape = (40, 150)
    images = rng.normal(size=(scales, *shape)).astype(dtype)
    psfs = np.stack([[psf_like(rng, (49, 60), dtype) for _ in range(scales)] for _ in range(scales)])
    masks = rng.random((scales, *shape)) < 0.7
    biases = np.linspace(1, 0.6, scales)
    fast, reference = (
        run(k, images, psfs, masks, limit=150, biases=biases, threshold=0.05) for k in (clean, clean_reference)
    )
    np.testing.assert_array_equal(fast[0], reference[0])
    for a, b in zip(fast[1:3], reference[1:3], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6 if dtype == np.float32 else 1e-13)
    assert fast[3] == reference[3]
    np.testing.assert_allclose(fast[4], reference[4], rtol=0, atol=2e-6 if dtype == np.float32 else 1e-14)
    assert len(set(fast[0][:, 0])) == scales


def test_components_are_added_and_cut_at_the_edges(kernel):
    patches = np.zeros((2, 5, 5))
    patches[0, 2, 2] = 1
    patches[1] = np.arange(25).reshape(5, 5)
    model = np.zeros((7, 8))
    kernel.add_components(model, patches, np.array([[0, 3, 4], [1, 0, 7], [0, 3, 4]]), np.array([1.0, 2.0, 0.5]))
    assert model[3, 4] == 1.5
    np.testing.assert_array_equal(model[:3, 5:], 2 * patches[1][2:, :3])
    assert model.sum() == 1.5 + 2 * patches[1][2:, :3].sum()
