"""Beams from FITS files against the functions that they were sampled from."""

import random

import numpy as np
import pytest
from astropy.io import fits

from imaging.errors import ImagingError
from imaging.io.beam_cube import load_beam
from imaging.measurement import contracts
from imaging.measurement.horizon import parallactic_angle
from imaging.measurement.jones.beams import AnalyticBeam, PointingErrors, voltage
from imaging.measurement.jones.fits_beam import FitsBeam
from imaging.measurement.meqmaker import MeqMaker

FREQ = np.array([1.25e9, 1.4e9, 1.55e9])
STEP, HALF = 0.05, 30  # degrees, pixels
L = np.radians(STEP * np.arange(-HALF, HALF + 1))


def element(name, l, m, nu):
    """A beam that is no circle, and leakages, all of the angle in wavelengths."""
    l, m = l * nu / 1.4e9, m * nu / 1.4e9
    main = voltage("gaussian", 15.0, np.hypot(l, 1.3 * m), 1.4e9) * (1.1 if name == "xx" else 1.0)
    return {"xx": main * np.exp(20j * l), "yy": main * np.exp(-5j * m), "xy": 2j * l * main, "yx": m * main}[name]


def write(path, values, **changes):
    """values (chan, y, x) with l along x, both about the middle."""
    header = {
        "CTYPE1": "L",
        "CTYPE2": "M",
        "CTYPE3": "FREQ",
        "CRVAL3": FREQ[0],
        "CDELT3": FREQ[1] - FREQ[0],
        "CRPIX3": 1,
    }
    header |= {f"CRPIX{i}": HALF + 1 for i in (1, 2)} | {f"CDELT{i}": STEP for i in (1, 2)}
    fits.PrimaryHDU(values, fits.Header(header | changes)).writeto(path)


@pytest.fixture
def files(tmp_path):
    """files(names): the pattern of the cubes of these elements."""

    def make(names=("xx", "xy", "yx", "yy"), pattern="beam_$(xy)_$(reim).fits"):
        for name in names:
            cube = np.array([element(name, L, L[:, None], nu) for nu in FREQ])
            for part, values in (("re", cube.real), ("im", cube.imag)):
                file = pattern.replace("$(xy)", name).replace("$(CORR)", name.upper()).replace("$(reim)", part)
                write(tmp_path / file.replace("$RealImag", {"re": "Real", "im": "Imag"}[part]), values)
        return str(tmp_path / pattern)

    return make


@pytest.fixture
def beam(observe, sky):
    def make(module, pointing=None, **more):
        maker = MeqMaker(context=observe(freq=np.array([1.25e9, 1.3e9, 1.4e9, 1.55e9, 1.7e9]), **more))
        maker.add_sky_models(sky)
        maker.add_sky_jones("E", modules=module, pointing=pointing)
        tile = next(maker.context.tiles())[1].with_sources(sky.source_list())
        return contracts.sky_array(maker.get_skyjones_nodes("E"), tile)[0], tile

    return make


def test_exact_at_the_grid_s_points(files):
    cube = load_beam(files())
    y, x = np.mgrid[0 : 2 * HALF + 1, 0 : 2 * HALF + 1]
    for order in (1, 3):
        values = cube.at(L[x][..., None], L[y][..., None], FREQ, order)
        for i, name in enumerate(("xx", "xy", "yx", "yy")):
            for f, nu in enumerate(FREQ):
                np.testing.assert_allclose(values[i, ..., f], element(name, L[x], L[y], nu), atol=1e-9)
    assert not cube.at(np.array([L[-1] + 1e-4]), np.array([0.0]), FREQ).any()


def test_the_full_beam_with_pointing_and_the_sky_that_turns(files, beam):
    pattern = files()
    fixed, tile = beam(FitsBeam(pattern, parallactic=False), PointingErrors(dl=1e-3, dm=-2e-3))
    l, m = tile.l[:, 0, 0] - 1e-3, tile.m[:, 0, 0] + 2e-3
    for (i, j), name in zip(np.ndindex(2, 2), ("xx", "xy", "yx", "yy"), strict=True):
        expected = element(name, l, m, tile.nu)
        np.testing.assert_allclose(fixed[:, 0, 0, :, i, j], expected, atol=5e-6)
    assert fixed.shape == (3, 1, 1, 5, 2, 2)
    turning, tile = beam(FitsBeam(pattern))
    q = parallactic_angle(tile.time, tile.positions, tile.phase_centre)[..., None]
    # the dish's own north points to position angle q
    across, along = tile.l * np.cos(q) - tile.m * np.sin(q), tile.l * np.sin(q) + tile.m * np.cos(q)
    np.testing.assert_allclose(turning[..., 2, 0, 0], element("xx", across, along, 1.4e9)[..., 0], atol=5e-6)


def test_between_and_beyond_its_frequencies_the_beam_scales(tmp_path, beam):
    cube = np.array([voltage("airy", 15.0, np.hypot(L, L[:, None]), nu) for nu in FREQ])
    write(tmp_path / "one.fits", cube)
    scaled, tile = beam(FitsBeam(str(tmp_path / "one.fits"), parallactic=False))
    assert scaled.shape == (3, 1, 1, 5)
    expected = voltage("airy", 15.0, np.hypot(tile.l, tile.m), tile.nu)
    np.testing.assert_allclose(scaled, expected, atol=1e-5)
    plain = beam(FitsBeam(str(tmp_path / "one.fits"), parallactic=False, scaling=False))[0]
    np.testing.assert_allclose(plain[..., 4], expected[..., 3], atol=1e-5)
    share = (1.3e9 - FREQ[0]) / (FREQ[1] - FREQ[0])
    np.testing.assert_allclose(plain[..., 1], (1 - share) * expected[..., 0] + share * expected[..., 2], atol=1e-5)
    linear = beam(FitsBeam(str(tmp_path / "one.fits"), interpolation="linear", parallactic=False))[0]
    assert 1e-4 < np.abs(linear - expected).max() < 5e-3


def test_the_kind_follows_from_the_files(files, beam, tmp_path):
    diagonal = beam(FitsBeam(files(("xx", "yy")), parallactic=False))[0]
    assert diagonal.shape[4:] == (2,)
    pattern = files(("xx", "yy"), "voltage-$(CORR)-$RealImag.fits")
    np.testing.assert_array_equal(beam(FitsBeam(pattern, parallactic=False))[0], diagonal)
    (tmp_path / "beam_xx_im.fits").unlink()
    real = beam(FitsBeam(files(()), parallactic=False))[0]
    assert not real[..., 0].imag.any()
    np.testing.assert_array_equal(real[..., 1], diagonal[..., 1])
    largest = beam(FitsBeam(files(()), parallactic=False, normalise=True))[0]
    assert (np.abs(largest[0, 0, 0]) ** 2).sum(-1)[0] == pytest.approx(2, rel=1e-4)


def test_one_file_of_everything_its_axes_in_another_order(tmp_path, beam):
    names = ("xx", "yy", "xy", "yx")  # as in FITS: -5, -6, -7, -8
    cube = np.array([[element(name, L, L[:, None], nu) for nu in FREQ] for name in names])
    values = np.stack([cube.real, cube.imag], -1)[..., ::-1, :]  # (stokes, chan, m, l, complex), l to the west
    header = {"CTYPE1": "COMPLEX", "CTYPE2": "RA---SIN", "CRVAL2": 123.0, "CDELT2": -STEP, "CRPIX2": HALF + 1,
              "CTYPE3": "DEC--SIN", "CRVAL3": 45.0, "CDELT3": STEP, "CRPIX3": HALF + 1, "CTYPE4": "FREQ",
              "CTYPE5": "STOKES", "CRVAL5": -5, "CDELT5": -1, "CRPIX5": 1}  # fmt: skip
    header |= {f"GFREQ{i + 1}": nu for i, nu in enumerate(FREQ)}
    fits.PrimaryHDU(values, fits.Header(header)).writeto(tmp_path / "all.fits")
    whole, tile = beam(FitsBeam(str(tmp_path / "all.fits"), parallactic=False))
    for (i, j), name in zip(np.ndindex(2, 2), ("xx", "xy", "yx", "yy"), strict=True):
        expected = element(name, tile.l[:, 0, 0], tile.m[:, 0, 0], tile.nu)
        np.testing.assert_allclose(whole[:, 0, 0, :, i, j], expected, atol=5e-6)
    mirrored = load_beam(str(tmp_path / "all.fits"), l_axis="-RA")
    assert mirrored.dl == pytest.approx(np.radians(STEP))
    with pytest.raises(ImagingError, match="circular feeds"):
        load_beam(str(tmp_path / "all.fits"), "circular")


def test_a_beam_for_each_station(tmp_path, beam):
    for number, name in enumerate(("N01", "E01", "W01", "N02", "E02")):
        write(tmp_path / f"{name}.fits", np.full((3, 61, 61), 1.0 + number))
    values = beam(FitsBeam(str(tmp_path / "$(station).fits"), parallactic=False))[0]
    np.testing.assert_allclose(values, np.arange(1.0, 6)[:, None, None] + 0 * values, rtol=1e-12)


def test_what_is_no_beam(tmp_path):
    with pytest.raises(ImagingError, match="no beam .*beam_xx_re.fits"):
        load_beam(str(tmp_path / "beam_$(xy)_$(reim).fits"))
    with pytest.raises(ImagingError, match=r"\$\(stype\)"):
        load_beam("$(stype).fits")
    (tmp_path / "text.fits").write_text("no")
    with pytest.raises(ImagingError, match="text.fits is no voltage beam"):
        load_beam(str(tmp_path / "text.fits"))
    write(tmp_path / "a_xx.fits", np.ones((3, 61, 61)))
    write(tmp_path / "a_yy.fits", np.ones((3, 61, 61)), CDELT1=1.0)
    with pytest.raises(ImagingError, match="axes unlike"):
        load_beam(str(tmp_path / "a_$(xy).fits"))
    write(tmp_path / "nan.fits", np.full((3, 61, 61), np.nan))
    with pytest.raises(ImagingError, match="not finite"):
        load_beam(str(tmp_path / "nan.fits"))
    write(tmp_path / "odd.fits", np.ones((3, 61, 61)), CTYPE1="GLON")
    with pytest.raises(ImagingError, match="GLON"):
        load_beam(str(tmp_path / "odd.fits"))
    load_beam(str(tmp_path / "odd.fits"), l_axis="GLON")


def test_dishes_that_differ_and_squint(observe, sky, beam):
    several = beam(AnalyticBeam(diameters=(10.0, 15.0, 20.0, 25.0, 30.0)))[0]
    assert several.shape == (3, 5, 1, 5)
    np.testing.assert_array_equal(several[:, 3:4], beam(AnalyticBeam(25.0))[0])
    squinted, tile = beam(AnalyticBeam(25.0, "gaussian", squint=0.1, squint_angle=np.pi / 2))
    width = 1.0289939 * 299792458 / tile.nu / 25
    for feed, sign in ((0, 1), (1, -1)):
        radius = np.hypot(tile.l - sign * 0.05 * width, tile.m)
        np.testing.assert_allclose(squinted[..., feed], voltage("gaussian", 25.0, radius, tile.nu), rtol=1e-12)
    turning, tile = beam(AnalyticBeam(25.0, "gaussian", squint=0.1, parallactic=True))
    q = parallactic_angle(tile.time, tile.positions, tile.phase_centre)[..., None]
    radius = np.hypot(tile.l - 0.05 * width * np.sin(q), tile.m - 0.05 * width * np.cos(q))
    np.testing.assert_allclose(turning[..., 0], voltage("gaussian", 25.0, radius, tile.nu), rtol=1e-12)
    with pytest.raises(ImagingError, match="diameters has not one"):
        beam(AnalyticBeam(diameters=(10.0, 15.0)))


def test_pointing_errors_in_time_and_of_some_stations(observe):
    def pointings(times, **options):
        maker = MeqMaker(context=observe(stations=60, times=3))
        random.seed(1)
        node = PointingErrors(**options).compute_pointings(None, stations=maker.context.stations, context=maker.context)
        return np.concatenate([contracts.pointing_array(node, tile) + np.zeros((60, len(tile.time), 1, 2))
                               for _, tile in maker.context.tiles(times)], 1)  # fmt: skip

    both = pointings(0, swing=1e-3, drift=1e-3, correlation=500.0)
    np.testing.assert_array_equal(pointings(1, swing=1e-3, drift=1e-3, correlation=500.0), both)
    assert both.std() == pytest.approx(1e-3 * np.sqrt(1.5), rel=0.2)
    assert np.abs(np.diff(both, axis=1)).min() > 0
    some = pointings(0, dl=1e-3, stations=("N01", "E01"))
    assert (some[..., 0] != 0).any((1, 2)).sum() == 2
    even = pointings(0, rms=1e-3, distribution="even")
    assert 0.9e-3 < np.abs(even).max() <= 1e-3
