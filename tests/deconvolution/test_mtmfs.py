"""Multi-term clean: what it promises beyond the component search."""

import numpy as np
import pytest

from imaging.algorithms.convolving import convolve_patch
from imaging.algorithms.taylor import Taylor
from imaging.contracts import Meta
from imaging.deconvolution import hogbom, mtmfs
from imaging.errors import ImagingError
from imaging.state import PlaneStop

SHAPE = (96, 80)
FREQ = np.linspace(1.0e9, 1.8e9, 6)
TERMS = Taylor(2, 1.4e9)


def psf_at(freq):
    """Main lobe and rings of an instrument with gaps, whose uv coverage scales with frequency."""
    y, x = (np.fft.fftfreq(n)[k] for n, k in ((SHAPE[0], np.s_[:, None]), (SHAPE[1], np.s_[None, :])))
    radius = np.hypot(y, x) * 1.4e9 / freq
    return np.fft.fftshift(np.fft.ifft2((radius < 0.18) * (radius > 0.015) * (1 + (radius < 0.08))).real)


@pytest.fixture(scope="module")
def psf():
    """The spectral psfs of two terms, float32 (3, y, x)."""
    planes = np.stack([psf_at(freq) for freq in FREQ])
    terms = np.tensordot(TERMS.powers(FREQ, 3), planes, axes=1)
    return (terms / terms[0].max()).astype(np.float32)


def observe(model, psf, noise=0.0):
    """Residuals (term, 1, y, x) of a model (term, y, x)."""
    random = np.random.default_rng(2)
    dirty = [sum(convolve_patch(model[t], psf[s + t]) for t in range(2)) for s in range(2)]
    dirty = np.stack([plane + noise * 0.5**s * random.normal(size=SHAPE) for s, plane in enumerate(dirty)])
    return dirty.astype(np.float32)[:, None]


def points(*sources):
    sky = np.zeros((2, *SHAPE))
    for y, x, flux, index in sources:
        sky[:, y, x] = flux, flux * index
    return sky


def clean(residual, psf, model=None, deconvolve=mtmfs.deconvolve, **kw):
    about = Meta(**({"max_iterations": 400, "gain": 0.1, "final_threshold": 1e-3, "options": {"scales": [0]}} | kw))
    model = np.zeros_like(residual) if model is None else model
    return deconvolve(residual.copy(), model.copy(), psf.copy(), about), about


def test_finds_sources_and_their_spectra(psf):
    out, about = clean(observe(points((40, 50, 1.0, -0.8), (60, 20, 0.5, 1.5)), psf), psf)
    flux, slope = (plane[0] for plane in out["model"])
    for y, x, true, index in ((40, 50, 1.0, -0.8), (60, 20, 0.5, 1.5)):
        box = np.s_[y - 2 : y + 3, x - 2 : x + 3]
        assert flux[box].sum() == pytest.approx(true, abs=5e-3)
        assert slope[box].sum() / flux[box].sum() == pytest.approx(index, abs=0.02)
    assert about.plane_results[0].stop == PlaneStop.CYCLETHRESHOLD
    assert out["level"] <= 1e-3
    assert out["continue"] is False


@pytest.mark.parametrize("scales", [[0], [0, 4, 8]])
def test_model_and_residual_still_make_the_dirty_images(psf, scales):
    dirty = observe(points((20, 20, 1.0, 0), (60, 40, -0.6, 2), (2, 77, 0.5, -1)), psf, noise=0.01)
    mask = np.zeros((1, 1, *SHAPE), bool)
    mask[0, 0, 10:70, 10:75] = True
    earlier = np.zeros_like(dirty)
    earlier[:, 0, 33, 33] = 0.2, 0.1
    out, about = clean(dirty, psf, earlier, mask=mask, max_iterations=120, options={"scales": scales})
    change = out["model"][:, 0] - earlier[:, 0]
    for s in range(2):
        again = out["residual"][s, 0] + sum(convolve_patch(change[t], psf[s + t]) for t in range(2))
        np.testing.assert_allclose(again, dirty[s, 0], atol=3e-6)
    assert abs(change[0]).sum() > 0.5
    assert about.plane_results[0].model_flux == pytest.approx(out["model"][0].sum(), abs=1e-5)
    assert about.plane_results[0].peak_after == pytest.approx(abs(out["residual"][0, 0][mask[0, 0]]).max())


def test_points_stay_in_the_mask(psf):
    dirty = observe(points((40, 50, 1.0, 1), (20, 20, 3.0, 1)), psf)
    mask = np.zeros((1, 1, *SHAPE), bool)
    mask[0, 0, 30:60, 40:70] = True
    out, _ = clean(dirty, psf, mask=mask, max_iterations=60)
    assert not out["model"][:, 0][:, ~mask[0, 0]].any()
    assert out["model"][:, 0][:, mask[0, 0]].any()


def test_nothing_to_do(psf):
    dirty = observe(points((40, 50, 1.0, 0)), psf)
    for kw, stop in (
        ({"mask": np.zeros((1, 1, *SHAPE), bool)}, PlaneStop.SKIPPED),
        ({"iteration_number": 5, "max_iterations": 5}, None),
        ({"final_threshold": 2.0}, None),
    ):
        out, about = clean(dirty, psf, **kw)
        assert not out["model"].any()
        np.testing.assert_array_equal(out["residual"], dirty)
        assert about.plane_results[0].iterations == 0
        assert stop is None or about.plane_results[0].stop == stop


def test_iterations_are_counted_exactly_in_each_polarisation(psf):
    one = observe(points((40, 50, 1.0, 0.5), (60, 30, 0.8, -1)), psf)
    both = np.concatenate([one, 0.5 * one], axis=1)
    out, about = clean(both, psf, iteration_number=100, max_iterations=117, final_threshold=0.0)
    assert [(p.pol, p.iterations) for p in about.plane_results] == [(0, 17), (1, 17)]
    assert about.iteration_number == 134
    np.testing.assert_allclose(out["model"][:, 1], 0.5 * out["model"][:, 0], atol=1e-6)


def test_one_term_of_points_is_hogbom(psf):
    dirty = observe(points((40, 50, 1.0, 0), (60, 30, 0.8, 0)), psf, noise=0.01)[:1]
    out, about = clean(dirty, psf[:1], max_iterations=60)
    same, other = clean(dirty, psf[:1], deconvolve=hogbom.deconvolve, max_iterations=60)
    np.testing.assert_allclose(out["model"], same["model"], atol=1e-6)
    assert about.plane_results[0].iterations == other.plane_results[0].iterations


def test_a_threshold_of_a_plane_counts(psf):
    dirty = observe(points((40, 50, 1.0, 0.5)), psf)
    out, about = clean(dirty, psf, plane_thresholds=np.array([[0.3]]))
    assert 0.2 < out["level"] < 0.3
    assert about.plane_results[0].stop == PlaneStop.NSIGMA


def test_planes_that_are_no_terms_are_refused(psf):
    dirty = observe(points((40, 50, 1.0, 0)), psf)
    with pytest.raises(ImagingError, match="no Taylor terms"):
        clean(dirty, psf[:2])
    with pytest.raises(ImagingError, match="so many Taylor terms"):
        clean(dirty, psf[:1] * np.array([1, 0.1, 0.01], np.float32)[:, None, None])


SUPPORTS = [(0, (500, 400), 80), (15, (500, 400), 310), (0, (64, 60), 60), (9, (151, 151), 150)]


@pytest.mark.parametrize(("scale", "shape", "side"), SUPPORTS)
def test_support_of_a_component(scale, shape, side):
    assert mtmfs.support(scale, shape) == side


def test_psfs_that_are_too_large_are_cut(psf, monkeypatch):
    """The search then knows less of far sidelobes; the residual that is returned does not."""
    dirty = observe(points((40, 50, 1.0, -0.8), (60, 20, 0.5, 1.5)), psf)
    monkeypatch.setattr(mtmfs, "MEMORY", 1000)
    monkeypatch.setattr(mtmfs, "LOBES", 6.0)
    out, _ = clean(dirty, psf, max_iterations=100)
    monkeypatch.undo()
    whole, _ = clean(dirty, psf, max_iterations=100)
    assert 0 < abs(out["model"] - whole["model"]).max() < 0.1
    change = out["model"][:, 0]
    again = out["residual"][0, 0] + sum(convolve_patch(change[t], psf[t]) for t in range(2))
    np.testing.assert_allclose(again, dirty[0, 0], atol=3e-6)
