"""CASA images: round trips, equal bytes, the same content as the FITS file that casacore makes of them."""

import warnings
from pathlib import Path

import numpy as np
import pytest

from imaging.errors import ImagingError
from imaging.image import Beam, Grid, Image
from imaging.io import casa, fits
from imaging.io.images import load_image, save_image

ARCSEC = np.pi / 648000
EVEN = Grid((3.5, 0.53), (2 * ARCSEC, 3 * ARCSEC), (12, 10), (1.4e9, 1.41e9, 1.42e9), (1e7,) * 3, ("I", "Q"), "ICRS",
            "LSRK", 1.42e9)  # fmt: skip
UNEVEN = Grid((3.5, -0.5), (2 * ARCSEC, 2 * ARCSEC), (8, 8), (1.4e9, 1.41e9, 1.45e9), (1e7, 2e7, 1e7),
              ("I", "Q", "V"), "FK5")  # fmt: skip
ONE = Grid((0.1, 1.2), (1 * ARCSEC, 1 * ARCSEC), (7, 9), (1e11,), (2e9,), ("XX", "YY"), "ICRS")
HEADER = {"TELESCOP": "VLA", "OBSERVER": "Jansky", "OBJECT": "3C286", "DATE-OBS": "2015-06-07T08:09:10.5",
          "NITER": (300, "components"), "HISTORY": ["first", "second"]}  # fmt: skip


def image(grid, **more):
    return Image(np.random.default_rng(1).normal(size=grid.cube_shape).astype(np.float32), grid, **more)


@pytest.mark.parametrize("grid", [EVEN, UNEVEN, ONE], ids=["even", "uneven", "one"])
@pytest.mark.parametrize("beams", ["none", "one", "many"])
@pytest.mark.parametrize("masked", [False, True])
def test_round_trip(tmp_path, grid, beams, masked):
    beams = {"none": (), "one": (Beam(3e-5, 2e-5, 0.4),) * len(grid.freq),
             "many": tuple(Beam(3e-5 + i * 1e-6, 2e-5, 0.4) for i in range(len(grid.freq)))}[beams]  # fmt: skip
    valid = np.random.default_rng(2).random(grid.cube_shape) > 0.3 if masked else None
    before = image(grid, unit="Jy/beam", beams=beams, valid=valid, header=HEADER)
    casa.save(before, tmp_path / "a")
    after = casa.load(tmp_path / "a")
    seen = np.ones(grid.cube_shape, bool) if valid is None else valid
    np.testing.assert_array_equal(after.data, np.where(seen, before.data, 0))
    assert (after.valid is None) == (valid is None)
    assert valid is None or (after.valid == valid).all()
    for name in ("centre", "cell", "freq", "width"):
        np.testing.assert_allclose(getattr(after.grid, name), getattr(grid, name), rtol=1e-14)
    for name in ("shape", "stokes", "frame", "specframe", "restfreq"):
        assert getattr(after.grid, name) == getattr(grid, name)
    assert after.unit == "Jy/beam"
    assert len(after.beams) == len(beams)
    for a, b in zip(after.beams, beams, strict=True):
        np.testing.assert_allclose((a.major, a.minor, a.pa), (b.major, b.minor, b.pa), rtol=1e-14)
    assert {k: after.header[k] for k in HEADER if k != "NITER"} == {k: v for k, v in HEADER.items() if k != "NITER"}
    assert after.header["NITER"] == 300


def test_equal_images_are_equal_bytes(tmp_path):
    for name in ("a", "b"):
        save_image(image(EVEN, header=HEADER, valid=np.ones(EVEN.cube_shape, bool)), tmp_path / name / "x.image")
    files = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file())
    assert files
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_casacore_reads_our_fits_and_writes_what_we_read(tmp_path):
    """Both of our formats, through casacore's own conversion: the same image."""
    from casacore.images import image as casa_image

    beams = tuple(Beam(3e-5 + i * 1e-6, 2e-5, 0.4) for i in range(3))
    valid = np.random.default_rng(2).random(EVEN.cube_shape) > 0.3
    before = image(EVEN, unit="Jy/beam", beams=beams, valid=valid, header=HEADER)
    fits.save(before, tmp_path / "a.fits")
    casa_image(str(tmp_path / "a.fits")).saveas(str(tmp_path / "a.image"))
    casa.save(before, tmp_path / "b.image")
    casa_image(str(tmp_path / "b.image")).tofits(str(tmp_path / "b.fits"), velocity=False)
    for path in ("a.image", "b.fits"):
        after = load_image(tmp_path / path)
        np.testing.assert_array_equal(after.data, np.where(valid, before.data, 0))
        np.testing.assert_array_equal(after.valid, valid)
        np.testing.assert_allclose(after.grid.centre, EVEN.centre, rtol=1e-12)
        np.testing.assert_allclose(after.grid.cell, EVEN.cell, rtol=1e-12)
        np.testing.assert_allclose(after.grid.freq, EVEN.freq, rtol=1e-12)
        assert (after.grid.stokes, after.grid.frame, after.grid.specframe) == (EVEN.stokes, "ICRS", "LSRK")
        assert after.header["TELESCOP"] == "VLA"
        assert after.unit == "Jy/beam"
        for a, b in zip(after.beams, beams, strict=True):
            np.testing.assert_allclose((a.major, a.minor, a.pa), (b.major, b.minor, b.pa), rtol=1e-6)


def test_axes_of_others(tmp_path):
    """x, y, frequency, Stokes, and an image of two axes."""
    from casacore.images import image as casa_image

    data = np.random.default_rng(1).normal(size=EVEN.cube_shape).astype(np.float32)
    fits.save(Image(data, EVEN), tmp_path / "a.fits")
    casa_image(str(tmp_path / "a.fits")).saveas(str(tmp_path / "freq_before_stokes"))
    np.testing.assert_array_equal(casa.load(tmp_path / "freq_before_stokes").data, data)
    casa.save(Image(data, EVEN), tmp_path / "b")
    casa_image(str(tmp_path / "b")).subimage((1, 0), (1, 0)).saveas(str(tmp_path / "plane"))
    np.testing.assert_array_equal(casa.load(tmp_path / "plane").data, data[1:2, :1])


@pytest.mark.parametrize("kind", ["missing", "file", "directory"])
def test_not_an_image(tmp_path, kind):
    path: Path = tmp_path / "a.image"
    if kind == "file":
        path.write_text("nonsense")
    elif kind == "directory":
        path.mkdir()
    with pytest.raises(ImagingError) as caught, warnings.catch_warnings():
        load_image(path)
    assert caught.value.next_step
