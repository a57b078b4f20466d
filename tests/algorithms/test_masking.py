"""auto-multithresh on made-up planes; the numbers of CASA are in tests/oracles/test_casa_parity.py."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imaging.algorithms.beams import gaussian
from imaging.algorithms.masking import (
    AutomaskOptions,
    AutomaskState,
    Noise,
    Thresholds,
    automask,
    automask_plane,
    grow,
    make_thresholds,
    prune,
    robust_noise,
    sidelobe_level,
    smooth_and_cut,
)
from imaging.image import Beam

CELL = (1.0, 1.0)
BEAM = Beam(6.0, 4.0, math.radians(35))
SHAPE = (1, 1, 96, 96)
EVERYWHERE = np.ones(SHAPE, bool)


def field(sources, noise=1e-3, seed=0):
    """Point sources (y, x, Jy) seen with the beam, plus noise, float32."""
    plane = noise * np.random.default_rng(seed).normal(size=SHAPE[2:])
    for y, x, flux in sources:
        plane += flux * np.roll(gaussian(BEAM, CELL, SHAPE[2:]), (y - 48, x - 48), (0, 1))
    return plane.astype(np.float32)[None, None]


def run(residual, mask=None, state=None, valid=EVERYWHERE, iterdone=0, options=None, **more):
    return automask(
        residual,
        valid,
        np.zeros(SHAPE, bool) if mask is None else mask,
        state or AutomaskState.empty(SHAPE),
        sidelobe=0.05,
        beam=BEAM,
        cell=CELL,
        options=options or AutomaskOptions(),
        iterdone=iterdone,
        **more,
    )


def test_robust_noise_of_a_gaussian_sample():
    values = np.random.default_rng(1).normal(3, 2, (300, 300))
    values[:60] = 1e3  # a fifth of emission moves the median by a quarter sigma, the deviation by some 30 %
    noise = robust_noise(values, np.ones(values.shape, bool), np.zeros(values.shape, bool))
    assert noise.sigma == pytest.approx(2, rel=0.4)
    assert noise.peak == 1e3
    outside = robust_noise(values, np.ones(values.shape, bool), values > 100, fastnoise=False)
    assert outside.sigma == pytest.approx(2, rel=0.02)
    assert outside.median == pytest.approx(3, abs=0.03)


def test_chauvenet_drops_what_is_improbable():
    values = np.random.default_rng(2).normal(0, 1, (200, 200))
    values[:3] = 40
    everywhere, nowhere = np.ones(values.shape, bool), np.zeros(values.shape, bool)
    clipped = robust_noise(values, everywhere, nowhere, fastnoise=False)
    np.testing.assert_allclose(
        [clipped.median, clipped.sigma],
        [np.median(values[3:]), 1.4826 * np.median(abs(values[3:] - np.median(values[3:])))],
        atol=2e-3,
    )
    assert robust_noise(values, everywhere, everywhere, fastnoise=False) == clipped


def test_noise_of_nothing_is_zero():
    nowhere = np.zeros((4, 4), bool)
    assert robust_noise(np.ones((4, 4)), nowhere, nowhere) == Noise(0.0, 0.0, 0.0)


def test_thresholds():
    options = AutomaskOptions(sidelobethreshold=2, noisethreshold=5, lownoisethreshold=1.5, negativethreshold=4)
    noisy = make_thresholds(Noise(0.1, 1.0, 10.0), 0.1, options)
    assert noisy == Thresholds(5.1, 2.1, -3.9, "noise")
    bright = make_thresholds(Noise(0.1, 1.0, 100.0), 0.1, options)
    assert bright == Thresholds(20.1, 20.1, -19.9, "sidelobe")


def test_sidelobe_level_ignores_the_main_lobe_at_any_angle():
    for pa in np.radians([-70, -20, 8.6, 45, 90]):
        beam = Beam(7, 4, pa)
        psf = gaussian(beam, CELL, (64, 64))
        assert sidelobe_level(psf, beam, CELL) < 1e-9
        psf[10, 20], psf[50, 12] = 0.12, -0.3
        assert sidelobe_level(psf, beam, CELL) == pytest.approx(0.3)
    assert sidelobe_level(gaussian(Beam(7, 4, 0.6), CELL, (64, 64)), Beam(7, 4, -0.6), CELL) > 0.1


def test_prune_keeps_regions_of_so_many_pixels():
    mask = np.zeros((40, 40), bool)
    mask[5:9, 5:9] = True  # 16 pixels
    mask[20:22, 20:23] = True  # 6
    np.testing.assert_array_equal(prune(mask, 0.0), mask)
    kept = prune(mask, 8.2)
    assert kept.sum() == 16
    assert mask.sum() == 22
    assert not prune(mask, 16.1).any()
    np.testing.assert_array_equal(prune(mask, 16.0), kept)


def test_smoothing_one_pixel_gives_the_beam_s_ellipse():
    mask = np.zeros((61, 61), bool)
    mask[30, 30] = True
    for factor, cut in ((1.0, 0.01), (1.7, 0.2)):
        wide = Beam(factor * BEAM.major, factor * BEAM.minor, BEAM.pa)
        np.testing.assert_array_equal(
            smooth_and_cut(mask, BEAM, CELL, factor, cut), gaussian(wide, CELL, (61, 61)) > cut
        )
    assert not smooth_and_cut(np.zeros((5, 5), bool), BEAM, CELL, 1.0, 0.01).any()
    np.testing.assert_array_equal(smooth_and_cut(mask, BEAM, CELL, 0.0, 0.01), mask)


def test_small_regions_are_measured_in_beam_areas():
    bright = np.zeros((40, 40))
    bright[10:13, 10:13] = 1.0  # 9 pixels; the beam has 27.2
    options = AutomaskOptions(minbeamfrac=0.3)
    everywhere, nowhere = np.ones((40, 40), bool), np.zeros((40, 40), bool)
    for area, kept in ((None, True), (30.0, True), (30.1, False)):
        mask, _ = automask_plane(
            bright, everywhere, nowhere, nowhere, Thresholds(0.5, 0.2, -1.0, "noise"), BEAM, CELL, options, False, area
        )  # fmt: skip
        assert mask.any() == kept


def test_finds_the_source_and_hardly_any_noise():
    mask, state, noise = run(field([(40, 60, 1.0)]))
    assert mask[0, 0, 40, 60]
    assert mask.sum() < 400
    np.testing.assert_array_equal(state.posmask, mask)
    assert noise[0][0].sigma == pytest.approx(1e-3, rel=0.3)
    assert not run(field([]))[0].any()


def test_masks_never_shrink_and_stay_in_the_primary_beam():
    y, x = np.mgrid[-48:48, -48:48]
    valid = (x**2 + y**2 < 40**2)[None, None]
    first, state, _ = run(field([(48, 48, 1.0), (3, 3, 5.0)]), valid=valid)
    assert not first[0, 0, 3, 3]
    again, _, _ = run(field([(30, 48, 0.5)]), first, state, valid=valid, iterdone=100)
    assert (again | ~first).all()
    assert again[0, 0, 30, 48]
    assert not (again & ~valid).any()


def test_growth_needs_iterations_and_a_mask():
    extended = field([(48, 48 + dx, 0.02 if dx else 1.0) for dx in range(0, 30, 2)], noise=1e-3)
    first, state, _ = run(extended)
    options = AutomaskOptions(sidelobethreshold=0.1)
    still, _, _ = run(extended, first, state, iterdone=0, options=options)
    grown, _, _ = run(extended, first, state, iterdone=10, options=options)
    assert grown.sum() > still.sum()


def test_runaway_growth_is_impossible():
    """The seed is cut to the constraint first: pixels of an old mask that are faint now do not grow."""
    residual = np.zeros((30, 30))
    residual[10:20, 10:20] = 1
    old = np.zeros((30, 30), bool)
    old[0:5, 0:30] = True
    np.testing.assert_array_equal(grow(old, residual > 0.5, 75), np.zeros((30, 30), bool))


def test_negative_emission_only_when_asked():
    residual = field([(30, 30, 1.0), (70, 60, -0.8)])
    assert not run(residual)[0][0, 0, 70, 60]
    mask, state, _ = run(residual, options=AutomaskOptions(negativethreshold=7.0))
    assert mask[0, 0, 70, 60]
    assert not state.posmask[0, 0, 70, 60]


def test_channels_that_settled_are_left_alone():
    residual = field([(48, 48, 0.02)])
    options = AutomaskOptions(minpercentchange=1.0)
    mask, state, _ = run(residual, options=options)
    assert not state.chanflag.any()
    mask, state, _ = run(residual, mask, state, iterdone=10, options=options, threshold_reached=False)
    assert not state.chanflag.any()
    mask, state, _ = run(residual, mask, state, iterdone=20, options=options, threshold_reached=True)
    assert state.chanflag.all()
    after, state, _ = run(field([(10, 10, 1.0)]), mask, state, iterdone=30, options=options, threshold_reached=True)
    np.testing.assert_array_equal(after, mask)
    assert state.iterdone == 30


def test_an_empty_noise_limited_channel_is_left_alone():
    _, state, _ = run(field([]), iterdone=5)
    assert state.chanflag.all()
    assert not run(field([]), iterdone=0)[1].chanflag.any()


def test_pbmask_clears_the_mask_outside():
    pb = np.linspace(0, 1, 96)[None, None, None, :] * np.ones(SHAPE)
    old = EVERYWHERE.copy()
    mask, _, _ = run(field([]), mask=old, iterdone=5, options=AutomaskOptions(pbmask=0.5), pb=pb)
    np.testing.assert_array_equal(mask, pb > 0.5)
    assert old.all()


def test_pixels_that_are_not_numbers_do_no_harm():
    residual = field([(48, 48, 1.0)])
    clean = run(residual)[0]
    residual[0, 0, :3] = np.nan
    mask = run(residual)[0]
    assert not mask[0, 0, :3].any()
    assert (mask != clean).mean() < 0.01


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 5))
def test_inputs_are_not_changed(seed, iterdone):
    residual = field([(48, 40, 0.1)], seed=seed)
    mask = np.random.default_rng(seed).random(SHAPE) < 0.1
    state = AutomaskState(mask.copy(), np.zeros(1, bool))
    before = residual.copy(), mask.copy()
    after, new, _ = run(residual, mask, state, iterdone=iterdone)
    np.testing.assert_array_equal(residual, before[0])
    np.testing.assert_array_equal(mask, before[1])
    assert (after | ~mask).all()
    assert (new.posmask | ~state.posmask).all()
