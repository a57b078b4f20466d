"""pb: from a visibility store to the image of the primary beam."""

import json

import numpy as np
import pytest

from imaging.algorithms.primary_beam import choose_model, power
from imaging.errors import ImagingError
from imaging.image import Grid, Image
from imaging.io.images import load_image, save_image
from imaging.io.visibility_store import LAYOUT
from imaging.settings import Settings
from imaging.stages.pb import pb

FREQ = [1.30e9, 1.40e9, 1.50e9]
WEIGHT = np.array([[1.0, 2.0, 0.0], [3.0, 2.0, 0.0]], np.float32)
CELL = np.pi / 180 / 60


@pytest.fixture
def store(tmp_path):
    """Folders of visibilities and of weights as the stages before leave them; `change` overrides the description."""

    def make(**change):
        vis, weights = tmp_path / "a.vis", tmp_path / "a.weights"
        (vis / "part000").mkdir(parents=True, exist_ok=True)
        weights.mkdir(exist_ok=True)
        part = {"folder": "part000", "freq": FREQ, "width": [1e8] * 3, "rows": 2, "sha256": "0", "source": 0}
        meta = {"layout": LAYOUT, "parts": [part], "phase_centre": [3.0, 0.7], "pointing": [3.0, 0.7],
                "stokes": ["I", "V"], "frame": "ICRS",
                "specframe": "TOPO", "max_uv_wavelengths": 100.0, "telescope": "EVLA", "dish_diameters": [25.0],
                "observer": "", "date_obs": "2020-01-01T00:00:00", "object": "field",
                "sources": [{"name": "a.ms", "column": "DATA", "fields": ["field"],
                             "rows": 2, "telescope": "EVLA"}]}  # fmt: skip
        (vis / "meta.json").write_text(json.dumps(meta | change))
        (weights / "weights.json").write_text("{}")
        np.save(weights / "part000.npy", WEIGHT)
        for name, shape, dtype in (("uvw", (2, 3), "f8"), ("vis", (2, 2, 3), "c8"), ("weight", (2, 3), "f4")):
            np.save(vis / "part000" / f"{name}.npy", np.zeros(shape, dtype))
        return str(vis), str(weights)

    return make


def config(specmode="mfs", **beam):
    beam = {"pbmodel": "auto", "dishdiameter": 0.0, "blockage": 0.0, "pbimage": "", "pblimit": 0.2} | beam
    image = {"imsize": [40, 36], "cell": [CELL, CELL], "specmode": specmode, "nchan": -1, "start": "", "width": "",
             "restfreq": ""}  # fmt: skip
    return Settings.of({"name": "a", "primary_beam": beam, "image": image, "clean": {"nterms": 1, "reffreq": ""}})


def radius(shape=(36, 40)):
    y, x = np.indices(shape)
    return np.hypot(x - 20, y - 18) * CELL


def test_mfs_is_weighted_and_limited(store, tmp_path):
    path = str(tmp_path / "a.pb.fits")
    pb(*store(), pb=path, config=config())
    found = load_image(path)
    model = choose_model("auto", "EVLA", [25.0])
    expected = (power(model, radius(), 1.3e9) + power(model, radius(), 1.4e9)) / 2
    assert found.data.shape == (1, 1, 36, 40)
    assert found.grid.stokes == ("I",)
    np.testing.assert_array_equal(found.valid[0, 0], expected > 0.2)
    np.testing.assert_allclose(found.data[0, 0], np.where(expected > 0.2, expected, 0), atol=5e-6)


def test_a_cube_has_a_beam_a_channel(store, tmp_path):
    path = str(tmp_path / "a.pb.fits")
    pb(*store(), pb=path, config=config("cube", pbmodel="airy", pblimit=-0.01))
    found = load_image(path)
    assert found.data.shape == (3, 1, 36, 40)
    for chan, freq in enumerate(FREQ):
        expected = power(choose_model("airy", "EVLA", [25.0]), radius(), freq)
        np.testing.assert_allclose(found.data[chan, 0], np.where(expected > 0.01, expected, 0), atol=5e-6)


def test_dishes_that_point_elsewhere(store, tmp_path):
    path = str(tmp_path / "a.pb.fits")
    pb(*store(pointing=[3.0, 0.7 + 5 * CELL]), pb=path, config=config())
    assert np.unravel_index(load_image(path).data[0, 0].argmax(), (36, 40)) == (23, 20)


def test_an_image_of_the_beam(store, tmp_path):
    grid = Grid((0.0, 0.0), (CELL, CELL), (36, 40), (1.35e9,), (1e8,))
    beam = np.exp(-((radius() / (15 * CELL)) ** 2)).astype(np.float32)
    save_image(Image(beam[None, None], grid, ""), tmp_path / "beam.fits")
    path = str(tmp_path / "a.pb.fits")
    pb(*store(), pb=path, config=config(pbmodel="image", pbimage=str(tmp_path / "beam.fits")))
    found = load_image(path)
    assert found.data[0, 0, 18, 20] == pytest.approx(1, abs=1e-6)
    seen = (abs(beam - 0.2) > 0.01) & (radius() < 16 * CELL)  # at 1.4 GHz the beam's image ends there
    assert seen.any()
    np.testing.assert_allclose(found.data[0, 0][seen], (beam * (beam > 0.2))[seen], atol=0.005)


def test_an_image_outside_the_primary_beam_is_refused(store, tmp_path):
    far = store(pointing=[3.0, 0.75])
    with pytest.raises(ImagingError, match="outside the primary beam"):
        pb(*far, pb=str(tmp_path / "a.pb.fits"), config=config())
    assert not list(tmp_path.glob("*.fits"))
    pb(*far, pb=str(tmp_path / "a.pb.fits"), config=config(pblimit=-0.2))


def test_an_aperture_array_warns(store, tmp_path, caplog):
    path = str(tmp_path / "a.pb.fits")
    pb(*store(telescope="MWA", dish_diameters=[4.0]), pb=path, config=config())
    assert (load_image(path).data == 1).all()
    assert "aperture array" in caplog.text


def test_an_unknown_dish_is_an_error(store, tmp_path):
    with pytest.raises(ImagingError, match="dish diameter"):
        pb(*store(telescope="", dish_diameters=[]), pb=str(tmp_path / "a.pb.fits"), config=config())
    assert not list(tmp_path.glob("*.fits"))


def test_two_runs_are_equal_bytes(store, tmp_path):
    for name in ("a", "b"):
        pb(*store(), pb=str(tmp_path / f"{name}.fits"), config=config())
    assert (tmp_path / "a.fits").read_bytes() == (tmp_path / "b.fits").read_bytes()
