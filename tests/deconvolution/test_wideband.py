"""What the deconvolver wideband does beyond the others: joined planes, spectra, scales, noise, component masks."""

import copy
import pickle

import numpy as np
import pytest

from imaging.algorithms.beams import gaussian
from imaging.algorithms.convolving import convolve_patch
from imaging.algorithms.scales import scale_kernel
from imaging.contracts import Channel, Meta
from imaging.deconvolution import wideband
from imaging.image import Beam
from imaging.state import PlaneStop

SHAPE, NCHAN = (96, 80), 6
FREQ = np.linspace(1e9, 2e9, NCHAN)
WEIGHT = np.array([1.0, 2, 2, 1.5, 1, 1])
CHANNELS = {"join": ["channels"]}


def make_psfs(gap):
    """Of an instrument without baselines shorter than a gap, sharper at higher frequencies; peak exactly 1."""
    y, x = (np.fft.fftfreq(n)[k] for n, k in ((SHAPE[0], np.s_[:, None]), (SHAPE[1], np.s_[None, :])))
    radius, out = np.hypot(y, x), []
    for nu in FREQ:
        r = radius * 1.5e9 / nu
        plane = np.fft.fftshift(np.fft.ifft2((r >= gap) * np.exp(-((r / 0.16) ** 2))).real)
        out.append(plane / plane[SHAPE[0] // 2, SHAPE[1] // 2])
    return np.array(out).astype(np.float32)


@pytest.fixture(scope="module")
def psfs():
    return make_psfs(0.012)


def power(flux, index):
    return flux * (FREQ / 1.5e9) ** index


def sky(*sources, npol=1):
    """(chan, pol, y, x) from (y, x, spectra (chan,) or (pol, chan))."""
    cube = np.zeros((NCHAN, npol, *SHAPE))
    for y, x, spectrum in sources:
        cube[:, :, y, x] += np.reshape(spectrum, (npol, NCHAN)).T
    return cube


def observe(cube, psfs, noise=0.0, seed=0):
    rng = np.random.default_rng(seed)
    out = [[convolve_patch(plane, psf) for plane in chan] for chan, psf in zip(cube, psfs, strict=True)]
    return (np.array(out) + noise * rng.normal(size=cube.shape)).astype(np.float32)


def clean(dirty, psfs, options=CHANNELS, model=None, state=None, **kw):
    """(result, meta) of one call; nothing that goes in is changed."""
    channels = [Channel(f, w) for f, w in zip(FREQ, kw.pop("weight", WEIGHT), strict=True)]
    about = {"max_iterations": 4000, "gain": 0.1, "final_threshold": 1e-3, "channels": channels, "options": options}
    meta = Meta(**(about | kw), state=copy.deepcopy(state or {}))
    model = np.zeros_like(dirty) if model is None else model.copy()
    return wideband.deconvolve(dirty.copy(), model, psfs.copy(), meta), meta


POINTS = ((30, 25, power(1.0, -0.7)), (60, 50, power(0.5, 1.0)), (20, 60, power(0.3, -2.0)))
FITS = {
    "none": {},
    "polynomial": {"fit_spectrum": "polynomial", "fit_terms": 5},
    "logpolynomial": {"fit_spectrum": "logpolynomial", "fit_terms": 2},
}


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("scales", [[0], [0, 10, 20]])
def test_spectra_of_points_are_found(psfs, fit, scales):
    out, meta = clean(observe(sky(*POINTS), psfs), psfs, CHANNELS | {"scales": scales} | FITS[fit])
    for y, x, spectrum in POINTS:
        near = out["model"][:, 0, y - 2 : y + 3, x - 2 : x + 3].sum((1, 2))
        np.testing.assert_allclose(near, spectrum, rtol=0.01, atol=0.004)
    assert out["continue"] is False
    assert out["level"] <= 1e-3
    (result,) = meta.plane_results
    assert result.iterations == meta.iteration_number
    assert result.stop == PlaneStop.CYCLETHRESHOLD


@pytest.mark.parametrize("join", [[], ["channels"], ["polarizations"], ["channels", "polarizations"]])
@pytest.mark.parametrize("squared", [False, True])
def test_model_and_residual_still_make_the_dirty_image(psfs, join, squared):
    """Whatever is joined, at the edges, and on top of an earlier model."""
    both = [np.array([power(1.0, -0.7), power(-0.3, 0)]), np.array([power(0.6, 1), power(0.1, 0)])]
    cube = sky((20, 20, both[0]), (2, 78, both[1]), npol=2)
    dirty = observe(cube, psfs, noise=0.01)
    earlier = np.zeros_like(dirty)
    earlier[:, :, 50, 50] = 0.1
    mask = np.ones(dirty.shape, bool)
    mask[:, :, :10] = False
    options = {"join": join, "squared_join": squared, "scales": [0, 8], "stokes": ("I", "Q")}
    out, meta = clean(dirty, psfs, options, earlier, max_iterations=60, mask=mask)
    change = out["model"] - earlier
    assert abs(change).sum() > 0.5
    for made, left, psf, seen in zip(change, out["residual"], psfs, dirty, strict=True):
        for pol in range(2):
            np.testing.assert_allclose(left[pol] + convolve_patch(made[pol], psf), seen[pol], atol=5e-6)
    assert len(meta.plane_results) == (1 if "channels" in join else NCHAN) * (1 if "polarizations" in join else 2)
    places = change.any(axis=(0, 1)) if len(join) == 2 else None
    assert places is None or not places[:10, :].any()


def test_joined_channels_have_components_at_the_same_places(psfs):
    out, _ = clean(observe(sky(*POINTS), psfs, 0.02), psfs, CHANNELS | {"scales": [0]}, final_threshold=0.05)
    used = out["model"][:, 0] != 0
    assert used.any()
    assert (used == used[0]).all()


def test_a_source_below_the_noise_of_each_channel_is_found_in_all_together(psfs):
    dirty = observe(sky((40, 40, power(0.1, -0.7))), psfs, 0.03, seed=4)
    options = CHANNELS | {"scales": [0], "fit_spectrum": "polynomial", "nsigma": 4}
    out, _ = clean(dirty, psfs, options, final_threshold=0.0)
    alone, _ = clean(dirty, psfs, options | {"join": [], "fit_spectrum": "none"}, final_threshold=0.0)
    near = np.s_[:, 0, 38:43, 38:43]
    assert np.average(out["model"][near].sum((1, 2)), weights=WEIGHT) > 0.04
    assert np.average(alone["model"][near].sum((1, 2)), weights=WEIGHT) < 0.03


def test_a_channel_without_data_gets_the_fitted_model(psfs):
    dirty = observe(sky(*POINTS), psfs)
    dirty[2], empty = np.nan, psfs.copy()
    empty[2] = 0
    weight = WEIGHT.copy()
    weight[2] = 0
    out, meta = clean(dirty, empty, CHANNELS | {"scales": [0]} | FITS["polynomial"], weight=weight)
    assert np.isnan(out["residual"][2]).all()
    assert np.isfinite(out["residual"][[0, 1, 3, 4, 5]]).all()
    assert np.isfinite(out["model"]).all()
    near = out["model"][2, 0, 28:33, 23:28].sum()
    assert near == pytest.approx(POINTS[0][2][2], rel=0.02)
    assert np.isfinite(meta.plane_results[0].model_flux)
    nothing, meta = clean(np.full_like(dirty, np.nan), np.zeros_like(psfs), weight=np.zeros(NCHAN))
    assert meta.plane_results[0].stop == PlaneStop.SKIPPED
    assert not nothing["model"].any()
    assert nothing["continue"] is False


@pytest.mark.parametrize("fit", ["polynomial", "logpolynomial"])
def test_fewer_deconvolution_channels_are_interpolated(psfs, fit):
    dirty = observe(sky(*POINTS), psfs)
    options = CHANNELS | {"scales": [0, 12], "deconvolution_channels": 3} | FITS[fit] | {"fit_terms": 2}
    out, meta = clean(dirty, psfs, options)
    for made, left, psf, seen in zip(out["model"], out["residual"], psfs, dirty, strict=True):
        np.testing.assert_allclose(left[0] + convolve_patch(made[0], psf), seen[0], atol=5e-6)
    found = out["model"][:, 0, 28:33, 23:28].sum((1, 2))
    np.testing.assert_allclose(found, POINTS[0][2], rtol=0.05)
    assert len(set(np.round(found, 5).tolist())) == NCHAN
    assert meta.state["groups"][0]["components"]["fluxes"].shape[1] == 3


def test_a_forced_spectrum_is_that_of_the_map(psfs):
    spectrum = np.full((1, *SHAPE), -0.7)
    spectrum[0, :, 40:] = 1.0
    options = CHANNELS | {"scales": [0], "fit_spectrum": "forced", "spectrum": spectrum}
    out, _ = clean(observe(sky(*POINTS[:2]), psfs), psfs, options)
    for y, x, expected in POINTS[:2]:
        made = out["model"][:, 0, y, x]
        np.testing.assert_allclose(made / made[0], expected / expected[0], rtol=1e-4)
        np.testing.assert_allclose(made, expected, rtol=0.02)


def test_joined_by_squares_what_cancels_is_found(psfs):
    """Two polarisations of opposite sign have no mean."""
    dirty = observe(sky((40, 40, [power(1, 0), power(-1, 0)]), npol=2), psfs)
    options = {"join": ["channels", "polarizations"], "scales": [0], "stokes": ("I", "V")}
    linear, _ = clean(dirty, psfs, options)
    assert not linear["model"].any()
    squared, _ = clean(dirty, psfs, options | {"squared_join": True}, final_threshold=0.02)
    np.testing.assert_allclose(squared["model"][:, :, 40, 40], [[1, -1]] * NCHAN, atol=0.05)


def blob(flux, fwhm):
    plane = gaussian(Beam(fwhm, fwhm), (1.0, 1.0), SHAPE)
    return flux * plane / plane.sum()


def test_extended_sources_are_cleaned_with_scales():
    psfs = make_psfs(0.0)
    cube = np.zeros((NCHAN, 1, *SHAPE))
    cube += power(20.0, -0.8)[:, None, None, None] * blob(1.0, 14.0)
    cube += sky((40, 50, power(0.5, 0.5)))
    dirty = observe(cube, psfs, noise=0.002)
    options = CHANNELS | {"fit_spectrum": "polynomial", "fit_terms": 3, "nsigma": 3.0}
    out, meta = clean(dirty, psfs, options, final_threshold=0.0, max_iterations=20000)
    flux = out["model"].sum((1, 2, 3))
    np.testing.assert_allclose(flux, cube.sum((1, 2, 3)), rtol=0.03)
    assert out["residual"].std() < 0.004
    points, one = clean(dirty, psfs, options | {"scales": [0]}, final_threshold=0.0, max_iterations=20000)
    assert meta.iteration_number < one.iteration_number / 3
    components = meta.state["groups"][0]["components"]
    assert components["scales"][:1] == [0.0]
    assert len(components["scales"]) > 1


def test_the_components_that_are_kept_make_the_model(psfs):
    dirty = observe(sky(*POINTS) + blob(3.0, 12.0), psfs)
    options = CHANNELS | {"scales": [0, 9, 18], "fit_spectrum": "polynomial"}
    first, meta = clean(dirty, psfs, options, major_iter_threshold=0.1)
    state = pickle.loads(pickle.dumps(meta.state))
    second, meta = clean(first["residual"], psfs, options, first["model"], state, final_threshold=0.01)
    kept = meta.state["groups"][0]["components"]
    model = np.zeros(dirty.shape)
    for (scale, y, x), fluxes in zip(kept["place"], kept["fluxes"], strict=True):
        patch = scale_kernel(kept["scales"][scale])
        r = len(patch) // 2
        padded = np.zeros((SHAPE[0] + 2 * r, SHAPE[1] + 2 * r))
        padded[y : y + 2 * r + 1, x : x + 2 * r + 1] = patch
        model[:, 0] += fluxes[:, :, None] * padded[r : r + SHAPE[0], r : r + SHAPE[1]]
    np.testing.assert_allclose(second["model"], model, atol=2e-6)
    assert len(np.unique(kept["place"], axis=0)) == len(kept["place"])


def test_component_masks_allow_deeper_cleaning(psfs):
    """First down to 6 sigma anywhere, then down to 1 sigma, but only where there are components."""
    dirty = observe(sky(*POINTS), psfs, noise=0.01, seed=2)
    options = CHANNELS | {"scales": [0, 10], "automask_sigma": 6.0, "nsigma": 1.0}
    first, meta = clean(dirty, psfs, options, final_threshold=0.0)
    assert first["continue"] is True
    assert meta.state["groups"][0]["masked"]
    before = meta.state["groups"][0]["components"]["place"].tolist()
    second, meta = clean(first["residual"], psfs, options, first["model"], meta.state, final_threshold=0.0)
    assert second["continue"] is False
    assert meta.state["groups"][0]["components"]["place"].tolist() == before
    assert meta.iteration_number > 0
    assert first["level"] > second["level"]
    y, x, spectrum = POINTS[0]
    near = np.s_[:, 0, y - 2 : y + 3, x - 2 : x + 3]
    errors = [abs(out["model"][near].sum((1, 2)) - spectrum).mean() for out in (first, second)]
    assert errors[1] < errors[0]
    third, meta = clean(second["residual"], psfs, options, second["model"], meta.state, final_threshold=0.0)
    assert meta.iteration_number == 0
    assert third["continue"] is False


def test_local_noise_keeps_clean_away_from_noisy_places(psfs):
    rng = np.random.default_rng(8)
    noise = 0.01 * rng.normal(size=(NCHAN, 1, *SHAPE))
    noise[:, :, :48] *= 8
    dirty = observe(sky((70, 40, power(0.2, -0.7))), psfs) + noise.astype(np.float32)
    options = CHANNELS | {"scales": [0], "nsigma": 5.0, "local_rms_window": 8.0}
    out, _ = clean(dirty, psfs, options | {"local_rms": "rms"}, final_threshold=0.0)
    assert out["model"][:, 0, 68:73, 38:43].sum() > 0.5
    assert not out["model"][:, :, :40].any()
    everywhere, _ = clean(dirty, psfs, options | {"nsigma": 2.0}, final_threshold=0.0)
    assert everywhere["model"][:, :, :40].any()


def test_what_the_mean_does_not_show_is_found_in_slopes(psfs):
    """A spectrum of no mean: with a fit of two terms its slope is searched too."""
    weight = np.ones(NCHAN)
    spectrum = np.linspace(-1, 1, NCHAN)
    dirty = observe(sky((40, 40, spectrum)), psfs)
    flat, _ = clean(dirty, psfs, CHANNELS | {"scales": [0]}, weight=weight, final_threshold=0.1)
    fitted, _ = clean(
        dirty, psfs, CHANNELS | {"scales": [0], "fit_spectrum": "polynomial"}, weight=weight, final_threshold=0.02
    )
    np.testing.assert_allclose(fitted["model"][:, 0, 40, 40], spectrum, atol=0.05)
    assert abs(flat["model"][:, 0, 40, 40]).max() < 0.9


def test_twice_the_same_bytes(psfs):
    dirty = observe(sky(*POINTS), psfs, 0.01)
    options = CHANNELS | {"fit_spectrum": "logpolynomial", "nsigma": 3.0, "local_rms": "rms-with-min"}
    one, meta = clean(dirty, psfs, options)
    other, again = clean(dirty, psfs, options)
    for name in ("residual", "model"):
        assert one[name].tobytes() == other[name].tobytes()
        assert one[name].dtype == np.float32
    assert pickle.dumps(meta.state) == pickle.dumps(again.state)
