"""FITS images: round trips, world coordinates, foreign files. astropy is the oracle."""

import numpy as np
import pytest
from astropy.io import fits as astropy_fits
from astropy.wcs import WCS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imaging.errors import ImagingError
from imaging.image import Beam, Grid, Image
from imaging.io import fits, fits_file
from imaging.io.header import STOKES

ARCSEC = np.pi / 648000
GRID = Grid((3.5, 0.53), (2 * ARCSEC, 3 * ARCSEC), (12, 10), (1.4e9, 1.41e9, 1.42e9), (1e7,) * 3, ("I", "Q"))


def image(grid=GRID, seed=1, **more):
    data = np.random.default_rng(seed).normal(size=grid.cube_shape).astype(np.float32)
    return Image(data, grid, **more)


stokes = st.sampled_from([("I",), ("I", "Q", "U", "V"), ("I", "V"), ("XX", "YY"), ("RR", "LL"), ("LL",), ("Q", "U")])
angles = st.floats(1e-3, 1.5)


@st.composite
def grids(draw):
    nchan = draw(st.integers(1, 4))
    first, step = draw(st.floats(1e7, 3e11)), draw(st.floats(1e3, 1e7)) * draw(st.sampled_from([1, -1]))
    if draw(st.booleans()):
        freq, width = first + step * np.arange(nchan), np.full(nchan, abs(step))
    else:  # neither even nor as wide as the spacing
        freq = first + abs(step) * np.cumsum(draw(st.lists(st.floats(1, 5), min_size=nchan, max_size=nchan)))
        width = np.full(nchan, abs(step) / 3)
    return Grid(
        (draw(st.integers(0, 6283)) / 1000, draw(st.integers(-1570, 1570)) / 1000),
        (draw(angles) * 1e-4, draw(angles) * 1e-4),
        (draw(st.integers(1, 7)), draw(st.integers(1, 7))), tuple(freq.tolist()), tuple(width.tolist()), draw(stokes),
        draw(st.sampled_from(["ICRS", "FK5", "FK4", "GALACTIC"])), draw(st.sampled_from(["TOPO", "LSRK", "BARY"])),
        draw(st.sampled_from([0.0, 1.420405752e9])),
    )  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(grid=grids(), seed=st.integers(0, 9), nbeams=st.sampled_from([0, 1, 2]), masked=st.booleans())
def test_round_trip(tmp_path, grid, seed, nbeams, masked):
    rng = np.random.default_rng(seed)
    beams = [Beam(*rng.uniform(1e-6, 1e-2, 2), rng.uniform(-1.5, 1.5)) for _ in grid.freq]
    beams = {0: (), 1: (beams[0],) * len(beams), 2: tuple(beams)}[nbeams]
    valid = rng.random(grid.cube_shape) > 0.5 if masked else None
    before = image(grid, seed, unit="Jy/pixel", beams=beams, valid=valid)
    fits.save(before, tmp_path / "a.fits")
    after = fits.load(tmp_path / "a.fits")
    seen = np.ones(grid.cube_shape, bool) if valid is None else valid
    assert after.data.dtype == np.float32
    np.testing.assert_array_equal(after.data, np.where(seen, before.data, 0))
    np.testing.assert_array_equal(after.valid if after.valid is not None else np.ones_like(seen), seen)
    assert (after.unit, after.grid.stokes, after.grid.shape) == ("Jy/pixel", grid.stokes, grid.shape)
    assert (after.grid.frame, after.grid.specframe, after.grid.restfreq) == (grid.frame, grid.specframe, grid.restfreq)
    np.testing.assert_allclose(after.grid.centre, grid.centre, rtol=1e-14, atol=1e-16)
    np.testing.assert_allclose(after.grid.cell, grid.cell, rtol=1e-14)
    np.testing.assert_allclose(after.grid.freq, grid.freq, rtol=0, atol=1e-3 * min(grid.width))
    np.testing.assert_allclose(after.grid.width, grid.width, rtol=1e-3)
    for a, b in zip(after.beams, beams, strict=True):
        np.testing.assert_allclose((a.major, a.minor, a.pa), (b.major, b.minor, b.pa), rtol=2e-7)
    fits.save(after, tmp_path / "b.fits")
    assert (tmp_path / "a.fits").read_bytes() == (tmp_path / "b.fits").read_bytes()


@pytest.mark.parametrize("frame", ["ICRS", "FK5", "GALACTIC"])
@pytest.mark.parametrize(("shape", "dec"), [((12, 10), 0.53), ((11, 13), -1.2)])
def test_positions_are_those_of_astropy(tmp_path, frame, shape, dec):
    grid = Grid((3.5, dec), (40 * ARCSEC, 30 * ARCSEC), shape, (1.4e9,), (1e7,), frame=frame)
    fits.save(image(grid), tmp_path / "a.fits")
    wcs = WCS(astropy_fits.getheader(tmp_path / "a.fits")).celestial
    l, m = grid.lm()
    l, m = np.meshgrid(l, m)
    n = np.sqrt(1 - l**2 - m**2)
    lat = np.degrees(np.arcsin(m * np.cos(dec) + n * np.sin(dec)))
    lon = np.degrees(3.5 + np.arctan2(l, n * np.cos(dec) - m * np.sin(dec)))
    y, x = np.indices(shape)
    found_lon, found_lat = wcs.wcs_pix2world(x, y, 0)
    np.testing.assert_allclose(found_lat, lat, atol=1e-9)
    np.testing.assert_allclose(found_lon, lon, atol=1e-9)


def test_what_astropy_reads(tmp_path):
    """Values, HISTORY, long strings, quotes, tables; and nothing for astropy to repair (warnings are errors)."""
    header = {"OBJECT": "3C286", "OBSERVER": "O'Brien", "DATE-OBS": "2015-06-07T08:09:10.5",
              "NITER": (300, "components"), "GAIN": np.float32(0.5), "WTERM": True,
              "VIS": "a path " * 20 + "with 'quotes'",
              "HISTORY": ["first", "x" * 100]}  # fmt: skip
    beams = tuple(Beam(i * 1e-5, 1e-5, 0.1 * i) for i in (2, 3, 4))
    before = image(unit="Jy/beam", beams=beams, header=header)
    fits.save(before, tmp_path / "a.fits")
    with astropy_fits.open(tmp_path / "a.fits") as hdus:
        hdus.verify("exception")
        found, table = hdus[0].header, hdus["BEAMS"]
        np.testing.assert_array_equal(hdus[0].data, before.data.swapaxes(0, 1))
        assert [found[f"CTYPE{i}"] for i in (1, 2, 3, 4)] == ["RA---SIN", "DEC--SIN", "FREQ", "STOKES"]
        assert found["CRPIX1"] == 6
        assert found["CRPIX2"] == 7
        assert found["CRVAL3"] == 1.4e9
        assert found["CDELT3"] == 1e7
        assert found["OBSERVER"] == "O'Brien"
        assert found["VIS"] == header["VIS"]
        assert (found["NITER"], found["GAIN"], found["WTERM"]) == (300, 0.5, True)
        assert found.comments["NITER"] == "components"
        assert found["MJD-OBS"] == pytest.approx(57180.33970486111, abs=1e-9)
        assert list(found["HISTORY"]) == ["first", "x" * 72, "x" * 28]
        assert table.header["NCHAN"] == 3
        assert list(table.columns.units) == ["arcsec", "arcsec", "deg", "", ""]
        np.testing.assert_allclose(table.data["BMAJ"], np.degrees([2e-5, 3e-5, 4e-5] * 2) * 3600, rtol=1e-6)
        np.testing.assert_array_equal(table.data["CHAN"], [0, 1, 2] * 2)
        np.testing.assert_array_equal(table.data["POL"], [0] * 3 + [1] * 3)
        assert all(len(str(value)) < 4096 for value in found.values())
    wcs = WCS(astropy_fits.getheader(tmp_path / "a.fits"))
    assert wcs.wcs.specsys == "TOPOCENT"
    back = fits.load(tmp_path / "a.fits").header
    assert {k: back[k] for k in ("OBJECT", "VIS", "NITER", "WTERM")} == {
        "OBJECT": "3C286", "VIS": header["VIS"], "NITER": 300, "WTERM": True}  # fmt: skip


numbers = st.floats(-1e99, 1e99).filter(lambda v: v == 0 or abs(v) > 1e-99)
texts = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=200)


@given(value=numbers | st.integers(-(10**18), 10**18) | st.booleans() | texts)
def test_cards_are_read_by_astropy(value):
    text = fits_file.card("KEY", value, "what it is")
    assert len(text) % 80 == 0
    found = astropy_fits.Header.fromstring(text)["KEY"]
    if isinstance(value, str):
        assert found == value.rstrip()
    elif isinstance(value, float):
        assert found == pytest.approx(value, rel=1e-13, abs=0)
        assert len(text[10:].split("/")[0].strip()) <= 20
    else:
        assert found == value


@pytest.mark.parametrize("bad", [{"toolongkey": 1}, {"A": float("nan")}, {"CRVAL1": 2.0}])
def test_bad_keywords_are_a_mistake_of_the_caller(tmp_path, bad):
    with pytest.raises(ValueError, match="FITS|written"):
        fits.save(image(header=bad), tmp_path / "a.fits")


def test_irregular_stokes_are_refused(tmp_path):
    with pytest.raises(ImagingError, match="cannot hold the Stokes"):
        fits.save(image(Grid((0, 0), (1e-5, 1e-5), (4, 4), (1e9,), (1e6,), ("I", "Q", "V"))), tmp_path / "a.fits")


def test_equal_images_are_equal_bytes(tmp_path):
    for name in ("a.fits", "b.fits"):
        fits.save(image(header={"OBJECT": "x"}), tmp_path / name)
    assert (tmp_path / "a.fits").read_bytes() == (tmp_path / "b.fits").read_bytes()


# --- files of others -------------------------------------------------------------------------------------------------


def foreign_header(ctypes, shape):
    header = astropy_fits.Header()
    for i, (ctype, n) in enumerate(zip(ctypes, shape[::-1], strict=True), 1):
        centre = {"RA": 200.0, "DE": 30.0, "FR": 1.4e9, "ST": 1.0}[ctype[:2]]
        delta = {"RA": -0.01, "DE": 0.01, "FR": 1e6, "ST": 1.0}[ctype[:2]]
        pixel = n // 2 + 1 if ctype[:2] in ("RA", "DE") else 1
        header.update({f"CTYPE{i}": ctype, f"CRVAL{i}": centre, f"CDELT{i}": delta, f"CRPIX{i}": pixel})
    return header


AXES = ["RA---SIN", "DEC--SIN"], ["RA---SIN", "DEC--SIN", "FREQ"], ["RA---SIN", "DEC--SIN", "STOKES", "FREQ"], [
    "FREQ", "RA---SIN", "DEC--SIN"], ["STOKES", "FREQ", "DEC--SIN", "RA---SIN"]  # fmt: skip


@pytest.mark.parametrize("ctypes", AXES, ids=lambda c: " ".join(t[:2] for t in c))
@pytest.mark.parametrize("dtype", ["f4", "f8", "i2"])
def test_foreign_axis_orders(tmp_path, ctypes, dtype):
    sizes = {"RA": 6, "DE": 5, "FR": 3, "ST": 2}
    shape = tuple(sizes[c[:2]] for c in ctypes[::-1])
    data = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    astropy_fits.writeto(tmp_path / "a.fits", data, foreign_header(ctypes, shape))
    found = fits.load(tmp_path / "a.fits")
    order = [c[:2] for c in ctypes[::-1]]
    expected = data.transpose([order.index(k) for k in ("FR", "ST", "DE", "RA") if k in order])
    expected = expected.reshape([sizes[k] if k in order else 1 for k in ("FR", "ST", "DE", "RA")])
    np.testing.assert_array_equal(found.data, expected)
    np.testing.assert_allclose(np.degrees(found.grid.centre), (200, 30), atol=1e-12)
    if "FR" in order:
        np.testing.assert_allclose(found.grid.freq, [1.4e9, 1.401e9, 1.402e9])


def test_a_plain_array_has_no_place(tmp_path):
    astropy_fits.writeto(tmp_path / "a.fits", np.ones((4, 5), np.uint8))
    found = fits.load(tmp_path / "a.fits")
    assert found.data.shape == (1, 1, 4, 5)
    assert found.grid.cell == (0.0, 0.0)


@pytest.mark.parametrize("how", ["compressed", "gzipped", "scaled", "extension"])
def test_files_that_need_astropy(tmp_path, how):
    header = foreign_header(["RA---SIN", "DEC--SIN"], (8, 8))
    data = np.arange(64, dtype=np.int16 if how == "scaled" else np.float32).reshape(8, 8)
    path = tmp_path / ("a.fits.gz" if how == "gzipped" else "a.fits")
    if how == "compressed":
        astropy_fits.CompImageHDU(data, header, compression_type="GZIP_1", quantize_level=0).writeto(path)
    elif how == "extension":
        astropy_fits.HDUList([astropy_fits.PrimaryHDU(), astropy_fits.ImageHDU(data, header)]).writeto(path)
    else:
        hdu = astropy_fits.PrimaryHDU(data.copy(), header)
        if how == "scaled":
            hdu.scale("int16", bscale=0.5, bzero=3)
        hdu.writeto(path)
    found = fits.load(path)
    np.testing.assert_array_equal(found.data[0, 0], data)
    np.testing.assert_allclose(np.degrees(found.grid.centre), (200, 30), atol=1e-12)


def test_other_reference_pixel_and_projection(tmp_path):
    """The grid's centre is where the middle pixel is, whatever the reference pixel."""
    header = foreign_header(["RA---TAN", "DEC--TAN"], (8, 8))
    header.update({"CRPIX1": 2.0, "CRPIX2": 1.0})
    astropy_fits.writeto(tmp_path / "a.fits", np.zeros((8, 8), np.float32), header)
    expected = WCS(header).wcs_pix2world(4, 4, 0)
    np.testing.assert_allclose(np.degrees(fits.load(tmp_path / "a.fits").grid.centre), expected, atol=1e-12)


def test_rotated_images_are_refused(tmp_path):
    header = foreign_header(["RA---SIN", "DEC--SIN"], (8, 8))
    header.update({"CROTA2": 20.0})
    astropy_fits.writeto(tmp_path / "a.fits", np.zeros((8, 8), np.float32), header)
    with pytest.raises(ImagingError, match="rotated"):
        fits.load(tmp_path / "a.fits")


def test_beams_of_others(tmp_path):
    header = foreign_header(["RA---SIN", "DEC--SIN"], (8, 8))
    header.update({"BMAJ": 0.01, "BMIN": 0.005, "BPA": 30.0})
    astropy_fits.writeto(tmp_path / "a.fits", np.zeros((8, 8), np.float32), header)
    (beam,) = fits.load(tmp_path / "a.fits").beams
    np.testing.assert_allclose((beam.major, beam.minor, beam.pa), np.radians([0.01, 0.005, 30]))


@pytest.mark.parametrize("content", [b"", b"not a FITS file", b"SIMPLE  =                    T", "cut"])
def test_broken_files(tmp_path, content):
    path = tmp_path / "a.fits"
    if content == "cut":
        fits.save(image(), path)
        content = path.read_bytes()[:4000]
    path.write_bytes(content)
    with pytest.raises(ImagingError, match="cannot be read"):
        fits.load(path)


def test_every_stokes_name_is_written(tmp_path):
    for name in STOKES:
        fits.save(image(Grid((0, 0), (1e-5, 1e-5), (4, 4), (1e9,), (1e6,), (name,))), tmp_path / "a.fits")
        assert fits.load(tmp_path / "a.fits").grid.stokes == (name,)
