"""savemodel: MODEL_DATA is what the model looks like to the array, and nothing else of the set is touched."""

import hashlib
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from casacore.tables import table

from imaging.config import Config
from imaging.errors import ImagingError
from imaging.image import Image, radec_to_lmn
from imaging.io import ms_columns
from imaging.io.images import load_image, save_image
from imaging.io.ms import read_metadata
from imaging.settings import Settings
from imaging.stages.ingest import ingest
from imaging.stages.plan import open_store
from imaging.stages.savemodel import savemodel
from imaging.units import SPEED_OF_LIGHT as C
from imaging.units import parse_direction

CELL = np.radians(10 / 3600)


@pytest.fixture
def ms(tiny_ms, tmp_path) -> Path:
    shutil.copytree(tiny_ms, tmp_path / "own.ms")
    return tmp_path / "own.ms"


def saved(ms, folder, pixels, **sections) -> np.ndarray:
    """MODEL_DATA after `pixels` {(chan, pol, y, x): Jy} are saved as the model."""
    image = {"imsize": 64, "cell": "10arcsec"} | sections.pop("image", {})
    config = Config.parse({"data": {"vis": str(ms)} | sections.pop("data", {}), "image": image,
                           "gridding": {"epsilon": 1e-6}, **sections})  # fmt: skip
    settings = {stage: Settings.of(config.settings(stage)) for stage in ("ingest", "savemodel")}
    ingest([str(ms)], vis=str(folder / "x.vis"), config=settings["ingest"])
    _, grid, _ = open_store(str(folder / "x.vis"), settings["savemodel"].image)
    data = np.zeros(grid.cube_shape, np.float32)
    for place, flux in pixels.items():
        data[place] = flux
    save_image(Image(data, grid, "Jy/pixel"), folder / "x.model.fits")
    savemodel([str(ms)], str(folder / "x.vis"), str(folder / "x.model.fits"), savemodel=str(folder / "x.json"),
              config=settings["savemodel"])  # fmt: skip
    with table(str(ms), ack=False) as opened:
        return opened.getcol("MODEL_DATA")


def point(ms, l, m, stokes) -> np.ndarray:
    """Visibilities (row, chan, corr) of a point at the direction cosines l, m about the phase centre."""
    with table(str(ms), ack=False) as opened:
        uvw = opened.getcol("UVW")
    turns = np.multiply.outer(uvw @ (l, m, np.sqrt(1 - l**2 - m**2) - 1), read_metadata(str(ms)).windows[0].freq / C)
    i, q, u, v = stokes
    return np.exp(2j * np.pi * turns)[..., None] * np.array([i + v, q + 1j * u, q - 1j * u, i - v])


def digests(ms) -> dict[str, bytes]:
    """Of the columns of the main table."""
    with table(str(ms), ack=False) as opened:
        return {name: hashlib.sha256(np.ascontiguousarray(opened.getcol(name)).tobytes()).digest()
                for name in ("DATA", "FLAG", "WEIGHT", "UVW", "TIME")}  # fmt: skip


def test_a_point_in_all_correlations(ms, tmp_path):
    before = digests(ms)
    found = saved(ms, tmp_path, {(0, 0, 40, 20): 2.0, (0, 1, 40, 20): 0.5, (0, 2, 40, 20): -0.3, (0, 3, 40, 20): 0.1},
                  image={"stokes": "IQUV"})  # fmt: skip
    expected = point(ms, 12 * CELL, 8 * CELL, (2.0, 0.5, -0.3, 0.1))
    assert np.abs(found - expected).max() < 1e-5
    assert digests(ms) == before
    assert json.loads((tmp_path / "x.json").read_text()) == [{"path": str(ms), "rows": len(found)}]


def test_another_phase_centre_is_undone(ms, tmp_path):
    found = saved(ms, tmp_path, {(0, 0, 32, 32): 1.0}, image={"phasecenter": "J2000 13h31m18.0 30d35m00"})
    place = parse_direction("J2000 13h31m18.0 30d35m00")
    l, m, _ = radec_to_lmn(*place, tuple(read_metadata(str(ms)).directions[0]))
    assert np.abs(found - point(ms, l, m, (1.0, 0, 0, 0))).max() < 2e-5


def test_only_what_was_selected_and_imaged_is_written(ms, tmp_path):
    image = {"specmode": "cube", "nchan": 2, "start": 1}
    first = saved(ms, tmp_path, dict.fromkeys(((0, 0, 32, 32), (1, 0, 32, 32)), 1.0), image=image,
                  data={"antenna": "N01&*"})  # fmt: skip
    with table(str(ms), ack=False) as opened:
        chosen = (opened.getcol("ANTENNA1") == 0) | (opened.getcol("ANTENNA2") == 0)
    assert 0 < chosen.sum() < len(chosen)
    np.testing.assert_allclose(first[chosen][:, 1:3, 0], 1, atol=1e-5)
    assert not first[~chosen].any()
    assert not first[:, [0, 3]].any()
    assert not first[:, :, 1:3].any()


def test_taylor_terms_are_put_together_again(ms, tmp_path):
    saved(ms, tmp_path, {(0, 0, 32, 32): 1.0})
    config = Config.parse({"data": {"vis": str(ms)}, "image": {"imsize": 64, "cell": "10arcsec"},
                           "gridding": {"epsilon": 1e-6}})  # fmt: skip
    settings = Settings.of(config.settings("savemodel"))
    first = load_image(tmp_path / "x.model.fits")
    for term, flux in enumerate((2.0, -3.0, 40.0)):
        save_image(first.with_data(first.data * np.float32(flux)), tmp_path / f"x.model.tt{term}.fits")
    paths = [str(tmp_path / f"x.model.tt{term}.fits") for term in range(3)]
    savemodel([str(ms)], str(tmp_path / "x.vis"), paths, savemodel=str(tmp_path / "x.json"), config=settings)
    with table(str(ms), ack=False) as opened:
        found = opened.getcol("MODEL_DATA")[..., 0]
    x = read_metadata(str(ms)).windows[0].freq / first.grid.freq[0] - 1
    np.testing.assert_allclose(found, np.broadcast_to(2 - 3 * x + 40 * x**2, found.shape), atol=1e-4)


def test_a_set_that_may_not_be_written_is_told(ms, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise RuntimeError("no write permission")

    monkeypatch.setattr(ms_columns, "tables", SimpleNamespace(table=refuse))
    with pytest.raises(ImagingError, match="MODEL_DATA") as caught:
        saved(ms, tmp_path, {})
    assert "savemodel: none" in str(caught.value)
    assert not (tmp_path / "x.json").exists()


def test_the_imaged_column_is_not_overwritten():
    with pytest.raises(ImagingError, match="would be overwritten"):
        Config.parse({"data": {"vis": "x.ms", "datacolumn": "model"}, "clean": {"savemodel": "modelcolumn"}})
