"""What every built-in deconvolver must do, and what each promises on its own."""

import math

import numpy as np
import pytest

from imaging.algorithms.beams import gaussian
from imaging.algorithms.convolving import convolve_patch
from imaging.contracts import Channel, Meta
from imaging.deconvolution import clark, hogbom, multiscale, wideband
from imaging.image import Beam
from imaging.state import PlaneStop

SHAPE = (96, 80)
BUILT_IN = {
    "hogbom": (hogbom.deconvolve, {}),
    "clark": (clark.deconvolve, {"psfpatch": 31}),
    "multiscale": (multiscale.deconvolve, {"scales": [0, 4, 9], "smallscalebias": 0.2}),
    "wideband": (wideband.deconvolve, {"scales": [0, 8, 16]}),
    "points": (wideband.deconvolve, {"scales": [0]}),
}


@pytest.fixture(params=BUILT_IN)
def builtin(request):
    return BUILT_IN[request.param]


@pytest.fixture(scope="module")
def psf():
    """Main lobe and rings of an instrument with gaps, peak exactly 1 in the middle."""
    y, x = (np.fft.fftfreq(n)[k] for n, k in ((SHAPE[0], np.s_[:, None]), (SHAPE[1], np.s_[None, :])))
    radius = np.hypot(y, x)
    plane = np.fft.fftshift(np.fft.ifft2((radius < 0.2) * (radius > 0.015) * (1 + (radius < 0.08))).real)
    return (plane / plane[SHAPE[0] // 2, SHAPE[1] // 2]).astype(np.float32)


def observe(sky, psf, noise=0.0, seed=0):
    dirty = convolve_patch(sky, psf) + noise * np.random.default_rng(seed).normal(size=SHAPE)
    return dirty.astype(np.float32)[None, None]


def points(*sources):
    sky = np.zeros(SHAPE)
    for y, x, flux in sources:
        sky[y, x] = flux
    return sky


def meta(options, **kw):
    return Meta(**({"max_iterations": 500, "gain": 0.1, "final_threshold": 1e-3, "options": options} | kw))


def call(builtin, residual, psf, model=None, **kw):
    deconvolve, options = builtin
    about = meta(options, **kw)
    model = np.zeros(residual.shape, residual.dtype) if model is None else model
    psfs = np.repeat(psf[None], len(residual), axis=0)
    return deconvolve(residual.copy(), model.copy(), psfs, about), about


def test_finds_a_point_source(builtin, psf):
    out, about = call(builtin, observe(points((40, 50, 1.0)), psf), psf)
    flux = out["model"][0, 0, 38:43, 48:53].sum()
    assert flux == pytest.approx(1, abs=5e-3)
    assert abs(out["model"]).sum() == pytest.approx(1, abs=0.02)
    assert out["level"] <= 1e-3
    assert out["continue"] is False
    assert about.plane_results[0].stop == PlaneStop.CYCLETHRESHOLD
    assert 0 < about.iteration_number == about.plane_results[0].iterations < 500


def test_model_and_residual_still_make_the_dirty_image(builtin, psf):
    """Also outside the mask, at the edges, for negative sources, and on top of an earlier model."""
    sky = points((20, 20, 1.0), (60, 40, -0.6), (50, 70, 0.4), (2, 77, 0.5))
    dirty = observe(sky, psf, noise=0.01)
    mask = np.zeros(dirty.shape, bool)
    mask[0, 0, 10:70, 10:75] = True
    earlier = np.zeros_like(dirty)
    earlier[0, 0, 33, 33] = 0.2
    out, about = call(builtin, dirty, psf, model=earlier, mask=mask, max_iterations=120)
    change = out["model"][0, 0] - earlier[0, 0]
    np.testing.assert_allclose(out["residual"][0, 0] + convolve_patch(change, psf), dirty[0, 0], atol=2e-6)
    assert abs(change).sum() > 0.5
    assert about.plane_results[0].model_flux == pytest.approx(out["model"].sum(), abs=1e-5)


def test_respects_the_mask(builtin, psf):
    dirty = observe(points((40, 50, 1.0), (20, 20, 3.0)), psf)
    mask = np.zeros(dirty.shape, bool)
    mask[0, 0, 30:60, 40:70] = True
    out, _ = call(builtin, dirty, psf, mask=mask, max_iterations=60)
    assert not out["model"][~mask].any()
    assert out["model"][mask].any()


def test_an_empty_mask_changes_nothing(builtin, psf):
    dirty = observe(points((40, 50, 1.0)), psf)
    out, about = call(builtin, dirty, psf, mask=np.zeros(dirty.shape, bool))
    assert not out["model"].any()
    np.testing.assert_array_equal(out["residual"], dirty)
    assert out["continue"] is False
    assert about.plane_results[0].stop == PlaneStop.SKIPPED
    assert about.iteration_number == 0


@pytest.mark.parametrize("limit", [1, 7, 40])
def test_max_iterations_is_exact_and_counts_from_before(builtin, psf, limit):
    dirty = observe(points((40, 50, 1.0), (60, 30, 0.8)), psf)
    out, about = call(builtin, dirty, psf, iteration_number=1000, max_iterations=1000 + limit, final_threshold=0.0)
    assert about.iteration_number == 1000 + limit
    assert about.plane_results[0].stop == PlaneStop.CYCLENITER
    assert out["continue"] is True
    if limit == 1:
        assert out["model"].sum() == pytest.approx(0.1, rel=0.3)


def test_no_iterations_left_means_none_done(builtin, psf):
    dirty = observe(points((40, 50, 1.0)), psf)
    out, about = call(builtin, dirty, psf, iteration_number=5, max_iterations=5)
    assert not out["model"].any()
    assert about.iteration_number == 5


def test_stops_at_the_larger_threshold(builtin, psf):
    dirty = observe(points((40, 50, 1.0)), psf)
    for kw in ({"major_iter_threshold": 0.3}, {"plane_thresholds": np.array([[0.3]])}, {"mgain": 0.7}):
        _, about = call(builtin, dirty, psf, **kw)
        (plane,) = about.plane_results
        assert 0.2 < plane.peak_after <= 0.3
        assert plane.stop == (PlaneStop.NSIGMA if "plane_thresholds" in kw else PlaneStop.CYCLETHRESHOLD)


def test_does_not_write_to_the_psf_and_keeps_types(builtin, psf):
    before = psf.copy()
    for dtype in (np.float32, np.float64):
        dirty = observe(points((40, 50, 1.0)), psf).astype(dtype)
        out, _ = call(builtin, dirty, psf, max_iterations=20)
        assert out["model"].dtype == out["residual"].dtype == dtype
        assert out["model"].shape == out["residual"].shape == dirty.shape
    np.testing.assert_array_equal(psf, before)


def test_planes_do_not_know_of_each_other(builtin, psf):
    one = observe(points((40, 50, 1.0), (20, 60, 0.3)), psf, noise=0.01, seed=1)
    other = observe(points((70, 30, -2.0)), psf, noise=0.02, seed=2)
    both = np.concatenate([np.concatenate([one, other], axis=1), np.concatenate([other, one], axis=1)])
    out, about = call(builtin, both, psf, max_iterations=50)
    alone, _ = call(builtin, one, psf, max_iterations=50)
    np.testing.assert_array_equal(out["model"][0, 0], alone["model"][0, 0])
    np.testing.assert_array_equal(out["residual"][1, 1], alone["residual"][0, 0])
    assert [(p.chan, p.pol) for p in about.plane_results] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert about.iteration_number == sum(p.iterations for p in about.plane_results)


def test_blank_planes_are_skipped(builtin, psf):
    """A fully flagged channel: residual not a number, psf zero."""
    residual = np.concatenate([np.full((1, 1, *SHAPE), np.nan, np.float32), observe(points((40, 50, 1.0)), psf)])
    deconvolve, options = builtin
    about = meta(options)
    out = deconvolve(residual, np.zeros_like(residual), np.stack([np.zeros_like(psf), psf]), about)
    assert [p.stop for p in about.plane_results] == [PlaneStop.SKIPPED, PlaneStop.CYCLETHRESHOLD]
    assert out["model"][1].sum() == pytest.approx(1, abs=0.01)
    assert np.isfinite(out["model"]).all()


def test_a_hopeless_psf_ends_no_worse_than_it_began(builtin):
    """Sidelobes above the main lobe: whatever comes out is finite and the residual has not exploded."""
    psf = np.full(SHAPE, 1.8, np.float32)
    psf[SHAPE[0] // 2, SHAPE[1] // 2] = 1
    dirty = observe(points((40, 50, 1.0), (60, 30, 0.8)), psf)
    out, about = call(builtin, dirty, psf, max_iterations=5000)
    assert np.isfinite(out["model"]).all()
    assert about.plane_results[0].peak_after < 4 * about.plane_results[0].peak_before
    assert about.iteration_number < 5000


def test_multiscale_explains_extended_emission_with_few_components(psf):
    sky = 0.02 * gaussian(Beam(12, 9, math.radians(30)), (1.0, 1.0), SHAPE)
    dirty = observe(sky, psf, noise=1e-4)
    levels = {}
    for name in ("hogbom", "multiscale"):
        out, _ = call(BUILT_IN[name], dirty, psf, max_iterations=60, final_threshold=0.0)
        levels[name] = np.abs(out["residual"]).max()
    assert levels["multiscale"] < 0.5 * levels["hogbom"]


def test_multiscale_scales_have_unit_sum_and_finite_support():
    for scale in (0.0, 1.0, 4.0, 7.5):
        patch = multiscale.scale_patch(scale, 9)
        r = np.hypot(*np.mgrid[-9:10, -9:10])
        assert patch.sum() == pytest.approx(1)
        assert (patch[r >= max(scale, 0.5)] == 0).all()
        assert patch.argmax() == patch.size // 2


def test_hogbom_casa_does_one_component_more_than_it_says(psf):
    dirty = observe(points((40, 50, 1.0)), psf)
    kw = {"max_iterations": 3, "gain": 0.5}
    ours, _ = call(BUILT_IN["hogbom"], dirty, psf, **kw)
    casa, about = call(BUILT_IN["hogbom"], dirty, psf, compat="casa", **kw)
    assert ours["model"].sum() == pytest.approx(1 - 0.5**3, abs=1e-6)
    assert casa["model"].sum() == pytest.approx(1 - 0.5**4, abs=1e-6)
    assert about.iteration_number == 3


def test_meta_reads_as_object_and_as_dictionary():
    about = Meta(gain=0.2, channels=[Channel(1.4e9, 2.5)], mask=None)
    assert about["gain"] == about.gain == 0.2
    assert about.channels[0].weight == about["channels"][0].weights == 2.5
    about["iteration_number"] = np.int64(7)
    assert about.iteration_number == 7
    assert type(about.iteration_number) is int
    assert "gain" in about
    assert about.get("nothing", 3) == 3
    with pytest.raises(KeyError):
        about["to_json"]
    for wrong in (1.5, -1, "3"):
        with pytest.raises(TypeError):
            about.iteration_number = wrong
