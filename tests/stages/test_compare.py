"""compare: the table names what is in the image, the picture is a picture."""

import numpy as np
import pytest

from imaging.algorithms.components import Component
from imaging.errors import ImagingError
from imaging.image import Beam, Grid, Image, lm_to_radec
from imaging.io.images import save_image
from imaging.io.truth import save_truth
from imaging.stages.compare import compare

ARCSEC = np.radians(1 / 3600)
BEAM = Beam(12 * ARCSEC, 12 * ARCSEC)
GRID = Grid((1.0, 0.5), (3 * ARCSEC, 3 * ARCSEC), (64, 64), (1.4e9,), (1e8,))


@pytest.fixture
def products(tmp_path):
    """A 0.4 Jy point 30" west, seen through a primary beam of a half."""
    l, m = GRID.lm()
    shape = np.exp(-4 * np.log(2) * ((l[None, :] + 30 * ARCSEC) ** 2 + m[:, None] ** 2) / BEAM.major**2)
    noise = np.random.default_rng(1).normal(0, 1e-3, GRID.cube_shape)
    planes = {"image": 0.2 * shape + noise, "residual": noise, "pb": np.full(GRID.cube_shape, 0.5)}
    for name, plane in planes.items():
        save_image(
            Image(np.float32(plane) + np.zeros(GRID.cube_shape, "f4"), GRID, beams=(BEAM,)), tmp_path / f"{name}.fits"
        )
    ra, dec = lm_to_radec(-30 * ARCSEC, 0.0, GRID.centre)
    save_truth([Component("spot", float(ra), float(dec), (0.4, 0, 0, 0))], tmp_path / "truth.csv")
    return tmp_path


def test_table_and_picture(products):
    (found,) = compare(
        *(str(products / n) for n in ("image.fits", "residual.fits", "truth.csv")),
        table=str(products / "t.txt"), png=str(products / "p.png"), pb=str(products / "pb.fits"),
    )  # fmt: skip
    assert found.flux == pytest.approx(0.4, rel=0.02)
    assert found.flux_error == pytest.approx(2e-3, rel=0.1)
    assert np.hypot(*found.offset) < 0.1 * BEAM.major
    table = (products / "t.txt").read_text()
    assert "spot" in table
    assert "400.00" in table
    assert "sigmas: (found - true) / noise" in table
    import matplotlib.image

    picture = matplotlib.image.imread(products / "p.png")
    assert picture.shape[0] > 500
    assert len(np.unique(picture.reshape(-1, picture.shape[-1]), axis=0)) > 50


def test_without_a_primary_beam_the_flux_is_the_apparent_one(products):
    (found,) = compare(
        *(str(products / n) for n in ("image.fits", "residual.fits", "truth.csv")),
        table=str(products / "t.txt"), png=str(products / "p.png"),
    )  # fmt: skip
    assert found.flux == pytest.approx(0.2, rel=0.02)


def test_a_missing_image_is_named_and_nothing_is_written(products):
    with pytest.raises(ImagingError, match="no image"):
        compare("absent.fits", str(products / "residual.fits"), str(products / "truth.csv"),
                table=str(products / "t.txt"), png=str(products / "p.png"))  # fmt: skip
    assert not (products / "t.txt").exists()
