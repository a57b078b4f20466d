import numpy as np
import pytest
from scipy.signal import convolve2d

from imaging.algorithms.convolving import PointSubtractor, convolve_patch, convolve_periodic


@pytest.mark.parametrize("patch_shape", [(5, 7), (4, 6), (31, 40), (1, 1)])
def test_convolution_is_the_sum(patch_shape):
    rng = np.random.default_rng(0)
    plane, patch = np.zeros((20, 27)), rng.normal(size=patch_shape)
    plane[3:9, 0:5] = rng.normal(size=(6, 5))
    plane[19, 26] = 2
    cy, cx = patch_shape[0] // 2, patch_shape[1] // 2
    full = convolve2d(plane, patch)
    np.testing.assert_allclose(convolve_patch(plane, patch), full[cy : cy + 20, cx : cx + 27], atol=1e-12)


def test_nothing_in_nothing_out():
    assert not convolve_patch(np.zeros((4, 5)), np.ones((3, 3))).any()


@pytest.mark.parametrize("patch_shape", [(5, 7), (10, 12), (25, 29)])
def test_periodic_convolution_wraps(patch_shape):
    rng = np.random.default_rng(1)
    plane, patch = rng.normal(size=(10, 12)), rng.normal(size=patch_shape)
    expected = np.zeros_like(plane)
    for i in range(patch_shape[0]):
        for j in range(patch_shape[1]):
            expected += patch[i, j] * np.roll(plane, (i - patch_shape[0] // 2, j - patch_shape[1] // 2), (0, 1))
    np.testing.assert_allclose(convolve_periodic(plane, patch), expected, atol=1e-11)


@pytest.mark.parametrize("shape", [(12, 14), (13, 11)])
@pytest.mark.parametrize("single", [False, True])
def test_components_are_subtracted_except_where_kept(shape, single):
    rng = np.random.default_rng(2)
    residual, psf = rng.normal(size=(2, *shape)).astype(np.float32)
    components, fluxes = (
        np.array([[0, 1, 2], [0, shape[0] - 1, shape[1] - 1], [0, 1, 2]]),
        np.array([1, -2, 0.5], np.float32),
    )
    expected = residual.astype(float)
    for (_, y, x), flux in zip(components, fluxes, strict=True):
        for i in range(shape[0]):
            for j in range(shape[1]):
                py, px = i - y + shape[0] // 2, j - x + shape[1] // 2
                if 0 <= py < shape[0] and 0 <= px < shape[1]:
                    expected[i, j] -= flux * psf[py, px]
    out = np.full_like(residual, 9)
    keep = rng.random(residual.shape) < 0.3
    PointSubtractor(psf, single)(residual, components, fluxes, out, keep)
    np.testing.assert_allclose(out[~keep], expected[~keep], atol=1e-6)
    assert (out[keep] == 9).all()
