"""`imaging.automask`: the steps and the plane as pclean's tests know them, CASA's masks, planes of cubes."""

import dataclasses
import inspect
import json
from pathlib import Path

import numpy as np
import pytest

from imaging import automask as api
from imaging.algorithms.beams import area_pixels, common_beam
from imaging.algorithms.masking import sidelobe_level
from imaging.automask import (
    AutoMaskConfig,
    AutoMaskState,
    _beam_sigma_to_axis,
    _grow_mask,
    _make_gaussian_psf,
    _plane_stats,
    _prune_regions,
    _robust_rms,
    _smooth_and_cut,
    automask_plane,
    beam_info_from_image,
    read_plane,
    write_plane,
)
from imaging.config import Config
from imaging.errors import ImagingError
from imaging.image import Beam, Grid, Image
from imaging.io.images import load_image, save_image

ORACLES = Path(__file__).parents[1] / "oracles"
ARCSEC = np.pi / 648000
CELL = (12 * ARCSEC, 12 * ARCSEC)
FWHM = np.sqrt(8 * np.log(2))
BEAM = {"sidelobe_level": 0.1, "beam_area_pix": 30.0, "beam_sigma_pix": (3.0, 3.0)}


def noise(shape=(128, 96), sigma=0.01, seed=0):
    return np.random.default_rng(seed).normal(0, sigma, shape).astype(np.float32)


def source(peak=1.0, at=(70, 40), sigma=3.0, shape=(128, 96)):
    i, j = np.mgrid[: shape[0], : shape[1]]
    return noise(shape) + (peak * np.exp(-((i - at[0]) ** 2 + (j - at[1]) ** 2) / (2 * sigma**2))).astype(np.float32)


def region(*boxes, shape=(64, 48), dtype=np.float32):
    mask = np.zeros(shape, dtype)
    for a, b, c, d in boxes:
        mask[a:b, c:d] = 1
    return mask


def extent(mask):
    return tuple(int(np.ptp(np.flatnonzero(mask.any(axis=axis)))) + 1 for axis in (1, 0))


# Signatures and defaults


def test_signatures_and_defaults_are_those_people_know():
    assert list(inspect.signature(automask_plane).parameters) == [
        "residual", "sidelobe_level", "beam_area_pix", "beam_sigma_pix", "cfg", "state", "pb", "pblimit",
        "beam_pa_rad",
    ]  # fmt: skip
    assert dataclasses.asdict(AutoMaskConfig()) == {
        "sidelobethreshold": 3.0, "noisethreshold": 5.0, "lownoisethreshold": 1.5, "negativethreshold": 0.0,
        "smoothfactor": 1.0, "minbeamfrac": 0.3, "cutthreshold": 0.01, "growiterations": 100, "dogrowprune": True,
        "minpercentchange": 0.0, "fastnoise": True,
    }  # fmt: skip
    assert list(inspect.signature(AutoMaskState).parameters) == ["posmask", "prevmask", "iteration", "skip"]
    state = AutoMaskState()
    assert (state.posmask, state.prevmask, state.iteration, state.skip) == (None, None, 0, False)
    for function in (read_plane, write_plane, beam_info_from_image):
        assert next(iter(inspect.signature(function).parameters)) == "imagename"


@pytest.mark.parametrize(
    ("name", "nearest"), [("negthreshold", "negativethreshold"), ("nosethreshhold", "noisethreshold")]
)
def test_an_unknown_parameter_is_refused_with_the_nearest_name(name, nearest):
    with pytest.raises(ImagingError, match=rf"(?s){name}=5\.0.*did you mean {nearest}\?") as caught:
        AutoMaskConfig(**{name: 5.0})
    assert isinstance(caught.value, TypeError)  # as of any dataclass
    assert "sidelobethreshold" in inspect.signature(AutoMaskConfig).parameters
    assert dataclasses.replace(AutoMaskConfig(2.5), fastnoise=False) == AutoMaskConfig(2.5, fastnoise=False)


def test_from_a_configuration_section():
    mask = Config.parse({"mask": {"sidelobethreshold": 2.5, "noisethreshold": 4.5, "growiterations": 50}}).mask
    made = AutoMaskConfig.from_pclean_config(mask)
    assert (made.sidelobethreshold, made.noisethreshold, made.growiterations, made.minpercentchange) == (
        2.5, 4.5, 50, -1.0,
    )  # fmt: skip


# Noise


def test_robust_rms():
    assert _robust_rms(noise((500, 500), 1.0)) == pytest.approx(1, rel=0.02)
    assert _robust_rms(np.zeros((10, 10), np.float32)) == 0


def test_plane_stats_bear_emission_in_a_quarter_of_the_pixels():
    data = noise((256, 256), 0.5)
    peak, median, rms, again = _plane_stats(data)
    assert peak == np.abs(data).max()
    assert abs(median) < 0.02
    assert rms == again == pytest.approx(0.5, rel=0.03)
    data[data > np.percentile(data, 75)] += 3
    assert _plane_stats(data, fastnoise=True)[2] < 0.75


def test_plane_stats_without_fastnoise():
    data = noise((256, 256), 1.0)
    assert _plane_stats(data, fastnoise=False)[2] == pytest.approx(1, rel=0.03)
    data[100:150, 100:150] = 5
    masked = region((100, 150, 100, 150), shape=data.shape)
    clean = _plane_stats(data, fastnoise=False, prev_mask=masked)[2]
    assert clean == pytest.approx(_plane_stats(data[masked == 0][None])[2])
    assert clean < _plane_stats(data, fastnoise=True)[2]


# Steps


@pytest.mark.parametrize("dtype", [np.float32, bool])
def test_prune_regions(dtype):
    mask = region((5, 15, 5, 15), (40, 42, 40, 42), dtype=dtype)
    assert _prune_regions(mask, min_size=10).sum() == 100
    assert _prune_regions(mask, min_size=4).sum() == 104
    assert _prune_regions(mask, min_size=101).sum() == 0
    np.testing.assert_array_equal(_prune_regions(mask, min_size=0), mask)
    assert _prune_regions(mask, 10).dtype == bool


@pytest.mark.parametrize("dtype", [np.float32, bool])
def test_smooth_and_cut(dtype):
    dot = region((32, 33, 20, 21), dtype=dtype)
    grown = _smooth_and_cut(dot, beam_sigma_pix=(2.0, 2.0), smooth_factor=1.0, cut_threshold=0.01)
    assert grown.dtype == bool
    assert extent(grown) == (13, 13)  # 0.01 of the peak is at 3.03 sigma
    assert not _smooth_and_cut(dot * 0, (2.0, 2.0), 1.0, 0.01).any()
    block = region((30, 34, 20, 24), dtype=dtype)
    assert 0 < _smooth_and_cut(block, (2.0, 2.0), 1.0, 0.99).sum() < block.sum()


def test_smoothing_turns_with_the_position_angle():
    dot = region((32, 33, 24, 25), shape=(64, 64))
    north, east, slanted = (_smooth_and_cut(dot, (4.0, 1.0), 1.0, 0.1, beam_pa_rad=pa) for pa in (0, np.pi / 2, 0.6))
    assert extent(north) == extent(east)[::-1] == (5, 17)  # axis 1 is north
    np.testing.assert_array_equal(slanted, _make_gaussian_psf((64, 64), 4.0, 1.0, 0.6)[:, np.arange(64) + 8 - 64] > 0.1)
    i, j = np.nonzero(slanted)
    assert np.corrcoef(i, j)[0, 1] < -0.7  # north through east: to smaller i, which is west


def test_grow_mask():
    seed, everywhere = region((16, 17, 20, 21)), np.ones((64, 48), np.float32)
    grown = _grow_mask(seed, everywhere, iterations=3)
    assert grown.sum() == 25
    assert grown[13, 20]
    assert not grown[13, 21]
    small = region((15, 18, 19, 22))
    np.testing.assert_array_equal(_grow_mask(seed, small, iterations=100), small)
    np.testing.assert_array_equal(_grow_mask(seed, everywhere, iterations=0), seed)
    assert not _grow_mask(seed * 0, everywhere, 10).any()
    np.testing.assert_array_equal(_grow_mask(seed > 0, small > 0, 2), small)


def test_beam_sigma_to_axis():
    assert _beam_sigma_to_axis(5.0, 2.0, pa_rad=0.0) == pytest.approx((2, 5), abs=1e-10)
    assert _beam_sigma_to_axis(5.0, 2.0, pa_rad=np.pi / 2) == pytest.approx((5, 2), abs=1e-10)
    assert _beam_sigma_to_axis(3.0, 3.0, 0.7) == pytest.approx((3, 3), abs=1e-10)


def test_make_gaussian_psf():
    psf = _make_gaussian_psf((64, 48), 10.0, 2.0)
    assert psf.dtype == np.float32
    assert psf.shape == (64, 48)
    assert psf[32, 24] == psf.max() == 1
    assert extent(psf > 0.5) == (5, 23)
    assert extent(_make_gaussian_psf((64, 48), 10.0, 2.0, np.pi / 2) > 0.5) == (23, 5)


# A plane


def test_finds_a_source_and_remembers_it():
    state = AutoMaskState()
    first = automask_plane(source(), **BEAM, cfg=AutoMaskConfig(), state=state)
    assert first.dtype == np.float32
    assert first[70, 40] == 1
    assert first.shape == (128, 96)
    assert set(np.unique(first)) == {0, 1}
    assert state.iteration == 1
    for mask in (state.posmask, state.prevmask):
        assert mask.dtype == bool
        np.testing.assert_array_equal(mask, first > 0)
    second = automask_plane(source(), **BEAM, cfg=AutoMaskConfig(), state=state)
    assert state.iteration == 2
    assert (second >= first).all()


def test_nothing_in_nothing():
    state = AutoMaskState()
    mask = automask_plane(np.zeros((64, 48), np.float32), **BEAM, cfg=AutoMaskConfig(), state=state)
    assert not mask.any()
    assert not state.prevmask.any()
    assert automask_plane(noise(), **BEAM, cfg=AutoMaskConfig(), state=AutoMaskState()).mean() < 0.01


def test_the_primary_beam_cuts():
    pb = np.full((128, 96), 0.5, np.float32)
    pb[66:] = 0.05
    mask = automask_plane(source(at=(64, 40)), **BEAM, cfg=AutoMaskConfig(), state=AutoMaskState(), pb=pb)
    assert mask[:66].any()
    assert not mask[66:].any()
    with pytest.raises(ImagingError, match="pb and the residual") as caught:
        automask_plane(source(), **BEAM, cfg=AutoMaskConfig(), state=AutoMaskState(), pb=pb.T)
    assert "(128, 96)" in str(caught.value)


def test_negative_features_only_on_request():
    residual = source(-0.5)
    assert not automask_plane(residual, **BEAM, cfg=AutoMaskConfig(), state=AutoMaskState()).any()
    config, state = AutoMaskConfig(), AutoMaskState()
    config.negativethreshold = 3.0
    assert automask_plane(residual, **BEAM, cfg=config, state=state)[70, 40] == 1
    assert not state.posmask.any()


@pytest.mark.parametrize("name", ["plain", "negative", "chauvenet", "nsigma", "cube"])
def test_casa_s_masks_to_the_pixel(name):
    golden = np.load(ORACLES / f"automask_{name}.npz")
    record = json.loads(str(golden["record"]))
    parameters = record["parameters"]
    controls = [result for event, _, result in record["events"] if event == "getminorcyclecontrols"]
    reached = [False, *(c["thresholdreached"] for c in controls)]
    known = {f.name for f in dataclasses.fields(AutoMaskConfig)}
    config = AutoMaskConfig(**{"growiterations": 75, "minpercentchange": -1.0}
                            | {k: v for k, v in parameters.items() if k in known})  # fmt: skip
    beams = [Beam(a * ARCSEC, b * ARCSEC, np.radians(pa)) for a, b, pa in golden["beams"] if np.isfinite(a)]
    level = max(sidelobe_level(psf[0], beam, CELL) for psf, beam in zip(golden["psf"], beams, strict=True))
    beam = common_beam(beams, "casa")
    sigmas = (beam.major / CELL[0] / FWHM, beam.minor / CELL[0] / FWHM)
    states = [AutoMaskState() for _ in beams]
    for residual, casa, last in zip(golden["residual"], golden["mask_after"], reached, strict=False):
        for chan, state in enumerate(states):
            state.threshold_reached = last
            valid = golden["valid"][chan, 0] if golden["valid"].ndim == 4 else golden["valid"]
            ours = automask_plane(
                residual[chan, 0].T, level, area_pixels(beam, CELL), sigmas, config, state,
                pb=valid.T.astype(np.float32), beam_pa_rad=beam.pa,
            )  # fmt: skip
            assert np.count_nonzero(casa[chan, 0] != ours.T) == 0
    assert any(s.skip for s in states) == (name == "cube")
    assert max(s.iteration for s in states) > 1


# Planes of images


@pytest.fixture(params=["cube.residual", "cube.residual.fits"])
def cube(request, tmp_path):
    grid = Grid((1.0, 0.5), CELL, (16, 24), (1e9, 1.1e9, 1.2e9), (1e8,) * 3, ("I", "Q"))
    data = np.random.default_rng(3).normal(size=grid.cube_shape).astype(np.float32)
    valid = np.ones(data.shape, bool)
    valid[2, 0, :4] = False
    path = tmp_path / request.param
    save_image(Image(data, grid, beams=(Beam(5e-4, 4e-4, 0.3),) * 3, valid=valid), path)
    return path, data, valid


def test_any_plane_of_a_cube_is_read(cube):
    path, data, valid = cube
    np.testing.assert_array_equal(read_plane(str(path)), data[0, 0].T)
    np.testing.assert_array_equal(read_plane(str(path), chan=1, pol=1), data[1, 1].T)
    masked = read_plane(path, 2, 0)
    assert masked.shape == (24, 16)
    assert masked.dtype == np.float32
    np.testing.assert_array_equal(masked[:, 4:], data[2, 0, 4:].T)
    for chan, pol in ((3, 0), (0, 2), (-1, 0)):
        with pytest.raises(ImagingError, match="no such plane"):
            read_plane(path, chan, pol)


def test_the_ending_of_a_fits_file_may_be_left_out(cube):
    path, data, _ = cube
    bare = str(path).removesuffix(".fits")
    write_plane(bare, np.full((24, 16), 7), chan=1, pol=1)
    assert (load_image(path).data[1, 1] == 7).all()
    np.testing.assert_array_equal(read_plane(bare, chan=1), data[1, 0].T)
    np.testing.assert_array_equal(read_plane(path, chan=1, pol=1), 7)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_plane_is_written_and_the_others_stay(cube):
    path, data, valid = cube
    before = load_image(path)
    write_plane(str(path), np.full((24, 16), 7, np.float64), chan=1, pol=1)
    after = load_image(path)
    assert (after.data[1, 1] == 7).all()
    after.data[1, 1] = before.data[1, 1]
    np.testing.assert_array_equal(after.data, before.data)
    np.testing.assert_array_equal(after.valid, valid)
    assert (after.beams, after.grid, after.unit) == (before.beams, before.grid, before.unit)
    for shape in ((16, 24), (24, 15)):
        with pytest.raises(ImagingError):
            write_plane(path, np.zeros(shape), 1, 1)
    with pytest.raises(ImagingError, match="no image"):
        write_plane(f"{path}.absent", np.zeros((24, 16)))


@pytest.mark.parametrize("ending", ["psf", "psf.fits", "psf.tt0", "psf.tt0.fits"])
def test_beam_info(tmp_path, ending):
    beam, cell = Beam(60 * ARCSEC, 40 * ARCSEC, 0.5), (8 * ARCSEC, 8 * ARCSEC)
    grid = Grid((1.0, 0.5), cell, (64, 64), (1e9, 1.1e9), (1e8,) * 2)
    sigmas = (60 / 8 / FWHM, 40 / 8 / FWHM)
    psf = np.stack([_make_gaussian_psf((64, 64), *sigmas, 0.5).T[None]] * 2)
    psf[1, 0, 5, 9] = -0.2
    smaller = Beam(58 * ARCSEC, 39 * ARCSEC, 0.5)
    save_image(Image(psf, grid, beams=(beam, smaller)), tmp_path / f"x.{ending}")
    area, sidelobe, found, pa = beam_info_from_image(str(tmp_path / "x"))
    assert area == pytest.approx(np.pi * 60 * 40 / 64 / (4 * np.log(2)))
    assert sidelobe == pytest.approx(0.2, abs=0.01)
    assert found == pytest.approx(sigmas)
    assert pa == pytest.approx(0.5)


def test_no_psf_is_told(tmp_path):
    with pytest.raises(ImagingError, match="no image") as caught:
        beam_info_from_image(str(tmp_path / "x"))
    assert "x.psf.fits" in str(caught.value)


def test_pclean_s_private_names_are_here():
    names = ("_beam_sigma_to_axis", "_grow_mask", "_make_gaussian_psf", "_plane_stats", "_prune_regions",
             "_robust_rms", "_smooth_and_cut")  # fmt: skip
    assert all(callable(getattr(api, name)) for name in names)
