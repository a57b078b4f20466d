"""The loop over joined planes: the fast one on pixel lists against the reference on whole planes."""

import numpy as np
import pytest

from imaging.algorithms.spectral_fitting import SpectralFitter
from imaging.kernels import joined_clean as kernel
from imaging.kernels import joined_clean_reference as reference

NCHAN, NY, NX = 4, 20, 24
FREQ = np.linspace(1e9, 2e9, NCHAN)
WEIGHT = np.array([1.0, 0.5, 2, 1])


def psfs_of(rng, dtype):
    """Larger than a plane by 2, so that all of them is reached."""
    y, x = np.mgrid[1 - NY : NY, 1 - NX : NX]
    out = [np.exp(-(y**2 + (x - 0.3 * y) ** 2) / (2 + c)) + 0.03 * rng.normal(size=y.shape) for c in range(NCHAN)]
    for psf in out:
        psf[NY - 1, NX - 1] = 1
    return np.array(out).astype(dtype)


def sky(rng, psfs, npol):
    images = np.zeros((NCHAN, npol, NY, NX))
    for _ in range(6):
        y, x = rng.integers(NY), rng.integers(NX)
        flux = rng.uniform(0.5, 2, npol) * (FREQ[:, None] / 1.5e9) ** rng.normal()
        images += flux[..., None, None] * psfs[:, None, NY - 1 - y : 2 * NY - 1 - y, NX - 1 - x : 2 * NX - 1 - x]
    return images.reshape(-1, NY, NX)


def run_fast(images, mask, factor, psfs, weights, squared, fitter, gain, threshold, limit, spectrum=None, shares=None):
    shares = np.ones(len(psfs)) if shares is None else shares
    kind = {"none": 0, "polynomial": 1, "logpolynomial": 2, "forced": 3}[fitter.mode]
    runs, pixels = kernel.find_pixels(images[0], factor, mask, 0.0)
    assert pixels == mask.sum()
    values, own_factor = np.empty((len(images), pixels), images.dtype), np.empty(pixels, images.dtype)
    for j, image in enumerate(images):
        kernel.gather(image, runs, values[j])
    kernel.gather(factor, runs, own_factor)
    terms = np.zeros((fitter.nterms, pixels))
    if spectrum is not None:
        terms[0] = 1
        for t, plane in enumerate(spectrum, 1):
            kernel.gather(plane, runs, terms[t])
    smoothing = getattr(fitter, "smoothing", np.zeros((NCHAN, NCHAN)))
    components, fluxes = np.zeros((limit, 2), np.int64), np.zeros((limit, len(images)), images.dtype)
    n, code, best, top = kernel.clean_pixels(
        values, runs, own_factor, psfs, shares, weights, squared, kind, smoothing, fitter.logs, WEIGHT, fitter.valid,
        fitter.nterms, terms, gain, threshold, 4.0, components, fluxes,
    )  # fmt: skip
    return components[:n], fluxes[:n], code, best, top, values


@pytest.mark.parametrize("mode", ["none", "polynomial", "logpolynomial", "forced"])
@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("npol", [1, 2])
def test_fast_is_the_reference(mode, squared, npol):
    rng = np.random.default_rng(7)
    psfs = psfs_of(rng, float)
    images = sky(rng, psfs, npol)
    mask = rng.random((NY, NX)) < 0.7
    factor = rng.uniform(0.5, 1, (NY, NX))
    weights = np.repeat(WEIGHT / WEIGHT.sum(), npol)[None]
    if mode == "polynomial" and not squared:
        weights = np.concatenate([weights, weights * np.repeat([-1.0, -0.5, 0.3, 1.2], npol)])
    spectrum = rng.normal(size=(1, NY, NX)) if mode == "forced" else None
    fitter = SpectralFitter(mode, 2, FREQ, WEIGHT, spectrum)

    def smooth(values, y, x):
        pols = values.reshape(NCHAN, npol).T * shares
        return np.array([fitter.fit_and_evaluate(v, x, y) for v in pols]).T.ravel()

    limit, shares = 40, rng.uniform(0.8, 1.2, NCHAN)
    found = np.zeros((limit, 2), np.int64), np.zeros((limit, len(images)))
    left = images.copy()
    every = np.repeat(psfs, npol, axis=0)
    n, code, best, top = reference.clean_pixels(
        left, mask, factor, every, weights, squared, smooth, 0.3, 0.05, 4.0, *found
    )
    fast = run_fast(images, mask, factor, psfs, weights, squared, fitter, 0.3, 0.05, limit, spectrum, shares)
    assert n > 10
    assert fast[2:4] == (code, best)
    np.testing.assert_array_equal(fast[0], found[0][:n])
    np.testing.assert_allclose(fast[1], found[1][:n], rtol=1e-6, atol=1e-9)
    assert fast[4] == pytest.approx(top)
    np.testing.assert_allclose(fast[5], left[:, mask], atol=1e-8)


def test_it_stops_where_the_peak_grows():
    """A psf with a sidelobe deeper than its peak."""
    psf = np.zeros((1, 2 * NY - 1, 2 * NX - 1))
    psf[0, NY - 1, NX - 1], psf[0, NY - 1, NX + 2] = 1, -1.5
    images = np.zeros((1, NY, NX))
    images[0, 5, 5] = 1
    fitter = SpectralFitter("none", 1, FREQ[:1], WEIGHT[:1])
    components, _, code, best, _, _ = run_fast(
        images, np.ones((NY, NX), bool), np.ones((NY, NX)), psf, np.ones((1, 1)), False, fitter, 1.0, 0.01, 50
    )
    assert code == kernel.DIVERGING
    assert len(components) > best


def test_pixels_of_a_list_are_the_bright_ones_of_the_mask():
    rng = np.random.default_rng(3)
    image, factor, mask = rng.normal(size=(NY, NX)), rng.uniform(0, 1, (NY, NX)), rng.random((NY, NX)) < 0.5
    runs, pixels = kernel.find_pixels(image, factor, mask, 0.4)
    wanted = mask & (abs(image * factor) >= 0.4)
    assert pixels == wanted.sum()
    out = np.empty(pixels)
    kernel.gather(image, runs, out)
    np.testing.assert_array_equal(out, image[wanted])
    assert kernel.find_pixels(image, factor, np.zeros_like(mask), 0.0)[1] == 0
