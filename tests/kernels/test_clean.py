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
    runs = [kernel.find_runs(m) for m in masks]
    starts = np.concatenate([[0], np.cumsum([len(r) for r in runs])])
    volumes = np.array([psfs[a, a].max() for a in range(scales)])
    biases = np.ones(scales, images.dtype) if biases is None else biases.astype(images.dtype)
    components, fluxes, history = np.zeros((limit, 3), np.int64), np.zeros(limit, images.dtype), np.zeros(limit)
    n, code = kernel.clean(
        images, images.view(f"i{images.itemsize}"), psfs, volumes, biases, np.concatenate(runs), starts,
        real(gain), real(threshold), growth, components, fluxes, history,
    )  # fmt: skip
    return components[:n], fluxes[:n], history[:n], code, images


def test_runs_are_the_maximal_ones(kernel):
    mask = np.array([[1, 1, 0, 1], [0, 0, 0, 0], [1, 1, 1, 1], [0, 1, 0, 0]], bool)
    assert kernel.find_runs(mask).tolist() == [[0, 0, 2], [0, 3, 4], [2, 0, 4], [3, 1, 2]]
    assert kernel.find_runs(np.zeros((3, 3), bool)).shape == (0, 3)


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
    shape = (24, 31)
    images = rng.normal(size=(scales, *shape)).astype(dtype)
    psfs = np.stack([[psf_like(rng, (17, 24), dtype) for _ in range(scales)] for _ in range(scales)])
    masks = rng.random((scales, *shape)) < 0.7
    biases = np.linspace(1, 0.6, scales)
    fast, reference = (
        run(k, images, psfs, masks, limit=150, biases=biases, threshold=0.05) for k in (clean, clean_reference)
    )
    np.testing.assert_array_equal(fast[0], reference[0])
    for a, b in zip(fast[1:3], reference[1:3], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6 if dtype == np.float32 else 1e-13)
    assert fast[3] == reference[3]
    np.testing.assert_array_equal(fast[4], reference[4])
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
