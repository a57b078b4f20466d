"""Primary beams against published widths, transforms of apertures, and brute force."""

import math

import numpy as np
import pytest

from imaging.algorithms.beam_tables import TABLES, load_table
from imaging.algorithms.primary_beam import (
    HALF_POWER,
    PRESETS,
    SPEED_OF_LIGHT,
    BeamModel,
    apply_limit,
    choose_model,
    frequency_weights,
    power,
    primary_beam,
    primary_beam_from_image,
)
from imaging.errors import ImagingError
from imaging.image import Grid, Image

ARCMIN = math.radians(1 / 60)


def full_width(model, freq, level=0.5):
    radius = np.linspace(0, 0.5 * SPEED_OF_LIGHT / freq, 40001)  # wide enough for dishes of 2 m and more
    beam = power(model, radius, freq)
    i = np.argmax(beam < level)
    return 2 * math.asin(np.interp(-level, -beam[i - 1 : i + 1], radius[i - 1 : i + 1]))


# telescope, dishes in the data, frequency, published FWHM, relative tolerance
WIDTHS = [
    ("EVLA", [25], 1.424e9, 42 / 1.424 * ARCMIN, 0.01),  # EVLA memo 195: 42 arcmin GHz
    ("EVLA", [25], 5e9, 42 / 5 * ARCMIN, 0.04),
    ("EVLA", [25], 43e9, 42 / 43 * ARCMIN, 0.03),
    ("VLA", [25], 1.4e9, 31.5 * ARCMIN, 0.02),
    ("ALMA", [12], 1e11, 1.13 * SPEED_OF_LIGHT / 1e11 / 12, 0.025),  # ALMA Technical Handbook: 1.13 lambda/D
    ("ALMA", [7], 1e11, 1.13 * SPEED_OF_LIGHT / 1e11 / 7, 0.025),
    ("MeerKAT", [13.5], 1.5e9, 57.5 * ARCMIN, 1e-3),  # Mauch et al. 2020
    ("MeerKAT", [13.96], 0.9e9, 57.5 / 0.6 * ARCMIN, 1e-3),
    ("ATCA", [22], 4.8e9, 49.5 / 4.8 * ARCMIN, 0.03),  # ATCA users' guide: about 50 arcmin GHz
    ("GMRT", [45], 0.375e9, 85.2 * 325 / 375 * ARCMIN, 0.08),  # GMRT: 85.2 arcmin at 325 MHz
    ("ASKAP", [12], 1.4e9, 1.09 * SPEED_OF_LIGHT / 1.4e9 / 12, 1e-3),
    ("WSRT", [25], 1.4e9, 34 * ARCMIN, 0.01),
    ("VLBA", [25], 8e9, HALF_POWER * SPEED_OF_LIGHT / 8e9 / 25, 1e-4),
]


@pytest.mark.parametrize(("telescope", "dishes", "freq", "width", "tolerance"), WIDTHS)
def test_published_half_power_widths(telescope, dishes, freq, width, tolerance):
    assert full_width(choose_model("auto", telescope, dishes), freq) == pytest.approx(width, rel=tolerance)


@pytest.mark.parametrize("kind", ["airy", "gaussian", "cosine", "cos3"])
def test_an_effective_diameter_is_a_half_power_width(kind):
    for diameter, freq in ((25.0, 1.4e9), (12.0, 1e11)):
        width = full_width(BeamModel(kind, diameter), freq)
        assert width == pytest.approx(HALF_POWER * SPEED_OF_LIGHT / freq / diameter, rel=2e-3)


@pytest.mark.parametrize("telescope", PRESETS)
def test_beams_fall_from_one_to_their_first_null(telescope):
    model = PRESETS[telescope]
    freq = np.array([1.4e9])
    radius = np.linspace(0, 0.5 * full_width(model, 1.4e9, 0.08), 2000)
    beam = power(model, radius, freq)
    assert beam[0] == pytest.approx(1, abs=1e-12)
    assert (np.diff(beam) <= 0).all()
    everywhere = power(model, np.linspace(0, 1.2, 20001), freq)
    assert everywhere.min() >= 0
    assert everywhere.max() <= 1
    assert everywhere[-1] == 0


@pytest.mark.parametrize("blockage", [0.0, 0.75, 3.0])
def test_airy_is_the_transform_of_the_aperture(blockage):
    diameter, freq = 10.7, 1e11
    step = 0.01
    x = np.arange(-550, 551) * step
    r = np.hypot(x, x[:, None])
    # Edge cells count by the fraction of them that is inside, to first order.
    inside = np.clip((diameter / 2 - r) / step + 0.5, 0, 1) - np.clip((blockage / 2 - r) / step + 0.5, 0, 1) * (
        blockage > 0
    )
    sine = np.array([0.1, 0.3, 0.6, 1.0, 1.5, 2.4]) * SPEED_OF_LIGHT / freq / diameter
    wave = np.cos(2 * np.pi * freq / SPEED_OF_LIGHT * x[:, None] * sine)
    expected = ((inside.sum(0) @ wave) / inside.sum()) ** 2
    found = power(BeamModel("airy", diameter, blockage), sine, freq)
    np.testing.assert_allclose(found, expected, atol=2e-4)


def test_airy_nulls():
    model = BeamModel("airy", 25.0)
    nulls = np.array([1.2196699, 2.2331306]) * SPEED_OF_LIGHT / 1.4e9 / 25
    np.testing.assert_allclose(power(model, nulls, 1.4e9), 0, atol=1e-12)
    assert power(model, 1.6347 * SPEED_OF_LIGHT / 1.4e9 / 25, 1.4e9) == pytest.approx(0.0174978, abs=1e-5)


def test_cosine_beam_has_no_hole_at_its_pole():
    model = BeamModel("cosine", 12.3)
    width = HALF_POWER * SPEED_OF_LIGHT / 1.4e9 / 12.3
    radius = np.sin(np.array([0.4999, 0.5, 0.5001]) / 1.189 * width)
    beam = power(model, radius, 1.4e9)
    assert beam[1] == pytest.approx((math.pi / 4) ** 2, abs=1e-5)
    assert beam[0] > beam[1] > beam[2]


def test_a_polynomial_is_that_of_its_row():
    freq, theta = 1.43e9, 10 * ARCMIN
    x = 10 * 1.43
    expected = 1 - 1.462e-3 * x**2 + 8.23e-7 * x**4 - 1.83e-10 * x**6  # EVLA memo 195, 1424 MHz
    assert power(PRESETS["EVLA"], math.sin(theta), freq) == pytest.approx(expected, rel=1e-12)
    x = 10 * 4.8
    expected = 1 / (1 + 1.08e-3 * x**2 + 1.31e-6 * x**4 - 1.17e-9 * x**6 + 1.07e-12 * x**8)
    assert power(PRESETS["ATCA"], math.sin(theta), 4.8e9) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("table", TABLES)
def test_tables_are_usable_rows(table):
    """Each row falls below the default pblimit within its main lobe, of a width within 15 % of its neighbour's."""
    mhz, _, _ = load_table(table)
    assert (np.diff(mhz) > 0).all()
    model = BeamModel("polynomial", 25.0, table=table)
    widths = []
    for freq in mhz * 1e6:
        radius = np.sin(np.linspace(0, 80 / (freq / 1e9), 4001) * ARCMIN)
        beam = power(model, radius[radius < 1], freq)
        assert 0 <= beam[beam > 0].min() < 0.2
        widths.append(np.argmax(beam < 0.5))
    assert (np.abs(np.diff(widths)) / widths[:-1] < 0.15).mean() > 0.95 or table == "vla"


# --- on a grid -------------------------------------------------------------------------------------------------------

GRID = Grid((3.0, 0.7), (40 * ARCMIN / 60, 60 * ARCMIN / 60), (31, 40), (1.4e9, 1.5e9), (1e8, 1e8))


def angles(grid, pointing):
    from astropy.coordinates import angular_separation

    l, m = grid.lm()
    l, m = np.meshgrid(l, m)
    n = np.sqrt(1 - l**2 - m**2)
    ra0, dec0 = grid.centre
    dec = np.arcsin(m * np.cos(dec0) + n * np.sin(dec0))
    ra = ra0 + np.arctan2(l, n * np.cos(dec0) - m * np.sin(dec0))
    return angular_separation(ra, dec, *pointing)


@pytest.mark.parametrize("name", ["EVLA", "ALMA", "MEERKAT", "WSRT"])
@pytest.mark.parametrize("pointing", [None, (3.0, 0.7), (3.004, 0.697), (2.8, 0.6)])
def test_weighted_average_over_frequency(name, pointing):
    rng = np.random.default_rng(1)
    samples = [(rng.uniform(1.2e9, 1.6e9, 7), rng.uniform(0, 1, 7)), (np.array([1.5e9, 1.6e9]), np.array([1.0, 0.0]))]
    found = primary_beam(GRID, PRESETS[name], samples, pointing)
    theta = np.sin(angles(GRID, pointing or GRID.centre))
    assert (found.shape, found.dtype) == ((2, 1, 31, 40), np.float32)
    for chan, (freq, weight) in enumerate(samples):
        expected = sum(w * power(PRESETS[name], theta, f) for f, w in zip(freq, weight, strict=True)) / weight.sum()
        far = expected < 0.05  # where a polynomial is cut off
        np.testing.assert_allclose(np.where(far, 0, found[chan, 0]), np.where(far, 0, expected), atol=5e-6)


def test_without_weights_the_channels_centre_counts():
    empty = [(np.array([1.3e9]), np.zeros(1)), (np.zeros(0), np.zeros(0))]
    np.testing.assert_array_equal(primary_beam(GRID, PRESETS["ALMA"], empty), primary_beam(GRID, PRESETS["ALMA"]))
    assert primary_beam(GRID, PRESETS["ALMA"])[0, 0, 15, 20] == 1


def test_none_is_one_everywhere():
    assert (primary_beam(GRID, BeamModel("none"), pointing=(2.0, 0.1)) == 1).all()


def test_below_the_horizon_there_is_no_beam():
    grid = Grid((3.0, 0.7), (0.02, 0.02), (120, 120), (1e8,), (1e6,))
    beam = primary_beam(grid, BeamModel("gaussian", 1.0))
    assert beam[0, 0, 0, 0] == 0
    assert beam[0, 0, 60, 60] == 1
    assert np.isfinite(beam).all()


def test_frequency_weights_gather_parts():
    from types import SimpleNamespace

    parts = [
        SimpleNamespace(
            freq=np.array([1.0, 2.0, 3.0]), plane=np.array([0, 1, -1]), weight=np.arange(6.0).reshape(2, 3)
        ),
        SimpleNamespace(freq=np.array([1.5, 2.5]), plane=np.array([0, 0]), weight=np.ones((3, 2), np.float32)),
    ]
    (freq, weight), other = frequency_weights(parts, 2)
    assert freq.tolist() == [1.0, 1.5, 2.5]
    assert weight.tolist() == [3.0, 3.0, 3.0]
    assert [v.tolist() for v in other] == [[2.0], [5.0]]


@pytest.mark.parametrize("pblimit", [0.2, -0.2])
def test_limit(pblimit):
    pb = np.array([0.1, 0.2, 0.3], np.float32)
    found, valid = apply_limit(np.where(pb == pb[1], abs(pblimit), pb), pblimit)
    assert valid.tolist() == [False, False, True]
    np.testing.assert_array_equal(found, [0, 0, pb[2]])


# --- a beam image ----------------------------------------------------------------------------------------------------


def beam_image(grid, model=PRESETS["ALMA"], scale=1.0):
    return Image(scale * np.repeat(primary_beam(grid, model), len(grid.stokes), axis=1), grid, "")


def test_an_image_on_the_same_grid_is_taken_as_it_is():
    image = beam_image(GRID, scale=3.0)
    np.testing.assert_allclose(primary_beam_from_image(image, GRID), image.data / 3, atol=1e-6)


@pytest.mark.parametrize("pointing", [None, (3.002, 0.698)])
def test_an_image_on_its_own_grid_and_frequency(pointing):
    """A beam measured at one frequency, finer and wider: shifted, scaled and interpolated."""
    own = Grid((0.1, -0.2), (30 * ARCMIN / 60, 35 * ARCMIN / 60), (130, 140), (1.3e9,), (1e8,))
    model = BeamModel("gaussian", 25.0)
    samples = [(np.array([1.2e9, 1.6e9]), np.array([1.0, 3.0])), (np.array([1.4e9]), np.ones(1))]
    found = primary_beam_from_image(beam_image(own, model), GRID, samples, pointing)
    np.testing.assert_allclose(found, primary_beam(GRID, model, samples, pointing), atol=5e-4)


def test_outside_an_image_there_is_no_beam():
    own = Grid((0.1, -0.2), (ARCMIN, ARCMIN), (8, 8), (1.4e9,), (1e8,))
    found = primary_beam_from_image(beam_image(own, BeamModel("none")), GRID)
    assert found[0, 0, 15, 20] == pytest.approx(1, abs=1e-6)
    assert found[0, 0, 0, 0] == 0


@pytest.mark.parametrize("fault", ["cell", "pol", "middle"])
def test_unusable_beam_images(fault):
    change = {"cell": (0.0, 0.0)} if fault == "cell" else {"stokes": ("I", "Q")} if fault == "pol" else {}
    fields = {"centre": GRID.centre, "cell": GRID.cell, "shape": GRID.shape, "freq": (1.4e9,), "width": (1e8,)} | change
    grid = Grid(**fields)
    with pytest.raises(ImagingError, match="primary-beam image"):
        primary_beam_from_image(Image(np.zeros(grid.cube_shape, np.float32), grid, ""), GRID)


# --- the choice ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("telescope", "dishes", "kind", "diameter"), [
    ("EVLA", [0.0], "polynomial", 25.0), ("ALMA", [7.0], "airy", 6.25), ("ALMA", [7.0, 12.0], "airy", 10.7),
    ("uGMRT", [45.0], "polynomial", 37.0), ("Effelsberg", [100.0], "airy", 100.0), ("MWA", [4.0], "none", 0.0),
    ("LOFAR", [0.0], "none", 0.0), ("", [9.0], "airy", 9.0)])  # fmt: skip
def test_auto(telescope, dishes, kind, diameter):
    model = choose_model("auto", telescope, dishes)
    assert (model.kind, model.diameter) == (kind, diameter)
    assert bool(model.note) == (kind == "none" or len(dishes) > 1)


def test_given_values_come_first():
    model = choose_model("airy", "ALMA", [12.0], dishdiameter=11.0, blockage=1.0)
    assert (model.kind, model.diameter, model.blockage) == ("airy", 11.0, 1.0)
    assert choose_model("gaussian", "EVLA", [25.0]).diameter == 25.0
    assert choose_model("auto", "MWA", [], dishdiameter=4.0).kind == "airy"
    assert choose_model("none", "EVLA", [25.0]).kind == "none"


@pytest.mark.parametrize(("arguments", "message"), [
    (("auto", "", []), "diameter"), (("airy", "MWA", [0.0]), "diameter"),
    (("polynomial", "MeerKAT", [13.5]), "coefficients"), (("airy", "EVLA", [25.0], 2.0, 2.5), "blockage")])  # fmt: skip
def test_what_cannot_be_chosen_is_said(arguments, message):
    with pytest.raises(ImagingError, match=message) as caught:
        choose_model(*arguments)
    assert caught.value.next_step
