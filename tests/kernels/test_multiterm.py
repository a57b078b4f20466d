"""The component loop of several Taylor terms: the fast one against the reference, and against the loop of one term."""

import numpy as np
import pytest

from imaging.deconvolution import mtmfs
from imaging.kernels import clean, multiterm, multiterm_reference


def spectral_psfs(rng, nterms, nscale, shape, dtype=np.float64):
    """Psfs (scale, scale, 2 nterms - 1, py, px): a weighted sum of lobes that shrink with frequency."""
    y, x = np.mgrid[: shape[0], : shape[1]] - np.array([n // 2 for n in shape])[:, None, None]
    out = np.zeros((nscale, nscale, 2 * nterms - 1, *shape))
    frequency = np.linspace(-0.35, 0.3, 5)
    for f, weight in zip(frequency, [1.0, 0.8, 1.2, 0.9, 1.1], strict=True):
        for a in range(nscale):
            for b in range(nscale):
                width = 6 / (1 + f) ** 2 + 12 * (a + b)
                lobe = np.exp(-(y**2 + (x - 0.3 * y) ** 2) / width) * 6 / (6 + 12 * (a + b))
                ring = 0.03 * np.cos(np.hypot(y, x) * (1 + f)) * (a + b == 0)
                lobe = weight * (lobe + ring)
                out[a, b] += lobe * f ** np.arange(2 * nterms - 1)[:, None, None]
    return (out / out[0, 0, 0].max()).astype(dtype)


def problem(nterms, nscale, dtype, shape=(40, 150), seed=3):
    """Search arguments: images of random sources with spectra, psfs, Hessians and masks with holes."""
    rng = np.random.default_rng(seed)
    psfs = spectral_psfs(rng, nterms, nscale, (31, 40))
    images = np.zeros((nscale, nterms, *shape))
    for number in range(16):
        a, (y, x) = number % nscale, rng.integers(8, np.array(shape) - 8)
        spectrum = rng.normal() * np.array([1, 0.8, 0.5])[:nterms] * [1, *rng.uniform(-1, 1, nterms - 1)]
        for b, s, t in np.ndindex(nscale, nterms, nterms):
            images[b, s] += spectrum[t] * multiterm_reference._shifted(psfs[a, b, s + t], shape, y, x)
    images += 1e-3 * rng.normal(size=images.shape)
    masks = rng.random((nscale, *shape)) > 0.1
    masks[:, 14:17] = False
    index = np.add.outer(np.arange(nterms), np.arange(nterms))
    hessians = np.stack([psfs[a, a, :, 15, 20][index] for a in range(nscale)])
    return images.astype(dtype), psfs, hessians, masks


def search(images, psfs, hessians, masks, limit=120, gain=0.2, threshold=0.0, growth=np.inf, biases=None):
    biases = np.ones(len(images)) if biases is None else np.array(biases)
    return mtmfs.TermSearch(images.copy(), psfs, hessians, masks)(biases, gain, threshold, limit, growth)


def reference(images, psfs, hessians, masks, limit=120, gain=0.2, threshold=0.0, growth=np.inf, biases=None):
    biases = np.ones(len(images)) if biases is None else np.array(biases)
    found = np.zeros((limit, 3), int), np.zeros((limit, images.shape[1])), np.zeros(limit)
    left = images.copy()
    n, code = multiterm_reference.clean(
        left, psfs, np.linalg.inv(hessians), biases, masks, gain, threshold, growth, *found
    )
    return *(f[:n] for f in found), code, left


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("nterms", "nscale"), [(1, 1), (1, 3), (2, 1), (2, 3), (3, 2)])
def test_fast_is_reference(nterms, nscale, dtype):
    given = problem(nterms, nscale, dtype)
    options = {"biases": [1.0, 0.8, 0.9][:nscale], "threshold": 0.02}
    components, fluxes = search(*given, **options)
    same, expected, *_ = reference(given[0].astype(float), *given[1:], **options)
    assert len(same) > 50
    assert len(np.unique(same[:, 0])) == nscale
    if dtype == np.float64:
        np.testing.assert_array_equal(components, same)
        np.testing.assert_allclose(fluxes, expected, atol=1e-12)
    else:  # merits that are the same in single precision may change places
        np.testing.assert_array_equal(components[:40], same[:40])
        np.testing.assert_allclose(fluxes[:40], expected[:40], atol=2e-5)


@pytest.mark.parametrize("find", [search, reference], ids=["fast", "reference"])
def test_stops_at_the_first_terms_residual(find):
    images, psfs, hessians, masks = problem(2, 2, np.float64)
    threshold = 0.3
    components, fluxes, *_ = find(images, psfs, hessians, masks, threshold=threshold, limit=500)
    left = reference(images, psfs, hessians, masks, limit=len(components))[4]
    before = reference(images, psfs, hessians, masks, limit=len(components) - 1)[4]
    assert 5 < len(components) < 500
    assert abs(left[0, 0][masks[0]]).max() / hessians[0, 0, 0] < threshold
    assert abs(before[0, 0][masks[0]]).max() / hessians[0, 0, 0] >= threshold


@pytest.mark.parametrize("find", [search, reference], ids=["fast", "reference"])
def test_one_source_is_its_spectrum(find):
    _, psfs, hessians, masks = problem(3, 1, np.float64)
    spectrum, shape = np.array([2.0, -1.4, 0.7]), masks.shape[1:]
    traces = [sum(spectrum[t] * psfs[0, 0, s + t] for t in range(3)) for s in range(3)]
    images = np.stack([multiterm_reference._shifted(trace, shape, 33, 70) for trace in traces])[None]
    components, fluxes, *_ = find(images, psfs, hessians, np.ones_like(masks), limit=10)
    assert (components == [0, 33, 70]).all()
    np.testing.assert_allclose(fluxes, spectrum * 0.2 * 0.8 ** np.arange(10)[:, None], atol=1e-9)


def test_one_term_is_multiscale_clean():
    """Both rank components by v^2 / volume."""
    images, psfs, hessians, masks = problem(1, 2, np.float64)
    components, fluxes = search(images, psfs, hessians, masks, limit=60)
    from imaging.deconvolution.planes import Search

    other = Search(images[:, 0].copy(), psfs[:, :, 0], masks)
    same, expected, _ = other(hessians[:, 0, 0], np.ones(2), 0.2, 0.0, 60, (np.inf, 1.0))
    np.testing.assert_array_equal(components, same)
    np.testing.assert_allclose(fluxes[:, 0], expected, atol=1e-12)


@pytest.mark.parametrize("find", [search, reference], ids=["fast", "reference"])
def test_a_clean_that_diverges_stops(find):
    images, psfs, hessians, masks = problem(2, 1, np.float64)
    components, *_ = find(images, psfs, hessians, masks, gain=2.5, growth=4.0, limit=300)
    assert len(components) < 300


def test_bounds_hold_for_all_that_a_component_leaves():
    _, psfs, hessians, _ = problem(3, 2, np.float64)
    rng, roots = np.random.default_rng(1), np.linalg.cholesky(hessians)
    index = np.add.outer(np.arange(3), np.arange(3))
    for a, b in np.ndindex(2, 2):
        bound = mtmfs.trace_norms(psfs, roots, a, b)
        for coefficients in rng.normal(size=(20, 3)) * [1, 3, 20]:
            norm = np.sqrt(coefficients @ hessians[a] @ coefficients)
            trace = np.tensordot(coefficients, psfs[a, b][index], axes=(0, 0))
            left = np.sqrt(np.einsum("syx,st,tyx->yx", trace, np.linalg.inv(hessians[b]), trace).clip(0))
            assert (left <= bound * norm * (1 + 1e-9) + 1e-12).all()
    assert mtmfs.trace_norms(psfs, roots, 0, 0)[15, 20] == pytest.approx(1)


def test_an_empty_mask_of_the_first_scale_stops_at_once():
    images, psfs, hessians, masks = problem(2, 2, np.float64)
    masks[0] = False
    assert len(search(images, psfs, hessians, masks)[0]) == 0
    assert reference(images, psfs, hessians, masks)[3] == clean.BELOW_THRESHOLD
    assert multiterm.BELOW_THRESHOLD == clean.BELOW_THRESHOLD
