"""simulate: the same bytes for the same seed, a readable set, a table that says what is in it."""

import numpy as np
import pytest
from casacore import tables

from imaging.errors import ImagingError
from imaging.io.truth import load_truth
from imaging.observation import Observation
from imaging.settings import Settings
from imaging.stages.simulate import simulate

SKY = """
configuration: d
antennas: 6
phasecenter: J2000 12h00m00 +30d00m00
hourangle: [-1h, 1h]
every: 30min
nchan: 2
sefd: {sefd}
seed: {seed}
feeds: {feeds}
pbmodel: none
sources:
  - {{name: one, flux: [1Jy, 0.1Jy, 0Jy, 0Jy], spectral_index: -0.7}}
  - {{name: two, group: pair, offset: [2arcmin, -1arcmin], flux: 300mJy, size: [30arcsec, 20arcsec, 40deg]}}
  - {{name: three, direction: 11h59m50 +30d02m00, flux: 0.2}}
"""


def run(tmp_path, *, sefd="420Jy", seed=1, feeds="circular", name="x", extra=""):
    (tmp_path / "sky.yaml").write_text(SKY.format(sefd=sefd, seed=seed, feeds=feeds) + extra)
    ms, truth = tmp_path / f"{name}.ms", tmp_path / f"{name}.csv"
    config = Settings.of(Observation.load(tmp_path / "sky.yaml").values())
    simulate(ms=str(ms), truth=str(truth), config=config)
    with tables.table(str(ms), ack=False) as t:
        return {c: t.getcol(c) for c in ("DATA", "WEIGHT", "UVW", "TIME", "SIGMA", "INTERVAL")}, load_truth(truth)


def test_rows_noise_and_weights(tmp_path):
    noisy, _ = run(tmp_path)
    clean, _ = run(tmp_path, sefd="0Jy")
    assert noisy["DATA"].shape == (5 * 15, 2, 4)
    np.testing.assert_allclose(np.diff(np.unique(noisy["TIME"])), 1800 / 1.00273781, rtol=1e-6)
    rms = 420 / np.sqrt(2 * 25e6 * 10)
    noise = (noisy["DATA"] - clean["DATA"]).view(np.float32)
    assert noise.std() == pytest.approx(rms, rel=0.08)
    np.testing.assert_allclose(noisy["WEIGHT"], rms**-2, rtol=1e-6)
    np.testing.assert_allclose(clean["WEIGHT"], 1)


def test_the_seed_decides(tmp_path):
    first, again, other = (run(tmp_path, seed=s, name=n)[0]["DATA"] for s, n in ((1, "a"), (1, "b"), (2, "c")))
    np.testing.assert_array_equal(first, again)
    assert (first != other).all()


def test_the_table_says_what_is_in_the_set(tmp_path):
    found, truth = run(tmp_path, sefd="0Jy", feeds="linear")
    assert [(c.name, c.group) for c in truth] == [("one", ""), ("two", "pair"), ("three", "")]
    from imaging.algorithms.simulation import predict_components

    freq = np.array([1.3e9, 1.325e9])
    centre = (np.pi, np.radians(30))
    expected = predict_components(found["UVW"], freq, truth, centre, ("XX", "XY", "YX", "YY"))
    np.testing.assert_allclose(found["DATA"], expected, atol=1e-6)
    assert truth[0].reffreq == freq.mean()
    assert np.degrees(truth[2].ra) == pytest.approx(15 * (11 + 59 / 60 + 50 / 3600))


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("colour: red", "Unknown configuration key colour"),
        ("every: 10Jy", "every"),
        ("hourangle: [2h, -2h]", "hour angle"),
        ("phasecenter: here", "phasecenter"),
        ("phasecenter: 12h00m00 -80d00m00", "sets during the observation"),
    ],
)
def test_mistakes_are_named_and_nothing_is_written(tmp_path, extra, message):
    with pytest.raises(ImagingError, match=message):
        run(tmp_path, extra=extra)
    assert [p.name for p in tmp_path.iterdir()] == ["sky.yaml"]


def test_no_table(tmp_path):
    with pytest.raises(ImagingError, match="no table of sources"):
        load_truth(tmp_path / "absent.csv")
    (tmp_path / "x.csv").write_text("name,group\na,b\n")
    with pytest.raises(ImagingError, match="no table of a simulated sky"):
        load_truth(tmp_path / "x.csv")


def test_a_sky_from_a_list_or_an_image_is_the_same_sky(tmp_path):
    """Sources of the file and of the configuration together; spectra with curvature."""
    from imaging.algorithms.components import Component, draw
    from imaging.image import Grid, Image, lm_to_radec
    from imaging.io.component_list import save_components
    from imaging.io.images import save_image

    centre, cell = (np.pi, np.radians(30)), np.radians(10 / 3600)
    grid = Grid(centre, (cell, cell), (64, 64), (1.3e9, 1.325e9), (25e6,) * 2)
    ra, dec = lm_to_radec(7 * cell, -9 * cell, centre)
    sky = [Component("p", float(ra), float(dec), (0.7, 0, 0, 0), (-1.0, 2.0), 1.0e9)]
    save_components(sky, tmp_path / "sky.txt")
    plain, _ = run(tmp_path, sefd="0Jy")
    listed, truth = run(tmp_path, sefd="0Jy", extra=f"skymodel: {tmp_path}/sky.txt")
    assert [c.name for c in truth] == ["one", "two", "three", "p"]
    assert truth[-1].spectral_index == (-1.0, 2.0)
    save_image(Image(draw(sky, grid)[0], grid, "Jy/pixel"), tmp_path / "sky.fits")
    pictured, _ = run(tmp_path, sefd="0Jy", extra=f"skymodel: {tmp_path}/sky.fits")
    np.testing.assert_allclose(pictured["DATA"], listed["DATA"], atol=2e-6)
    added = np.abs(listed["DATA"] - plain["DATA"])
    np.testing.assert_allclose(
        added[:, :, [0, 3]], np.broadcast_to(sky[0].flux(grid.freq)[:, None], (75, 2, 2)), rtol=1e-4
    )
    moved = Grid((3.0, 0.5), grid.cell, grid.shape, grid.freq, grid.width)
    save_image(Image(np.zeros(moved.cube_shape, np.float32), moved, "Jy/pixel"), tmp_path / "moved.fits")
    with pytest.raises(ImagingError, match="does not fit the observation"):
        run(tmp_path, extra=f"skymodel: {tmp_path}/moved.fits")
