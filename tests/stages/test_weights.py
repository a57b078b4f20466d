"""The stage weights: every part, every scheme, and its refusals."""

import numpy as np
import pytest

from imaging.algorithms.weighting import Density, Scheme, imaging_weight
from imaging.config import Config
from imaging.errors import ImagingError
from imaging.io.visibility_store import ImagingWeights, VisibilityStore
from imaging.settings import Settings
from imaging.stages import weights as stage
from imaging.stages.ingest import ingest

pytest.importorskip("casacore.tables")
IMAGE = {"imsize": 128, "cell": "20arcsec"}


def store_of(path, folder, **data):
    config = Config.parse({"data": {"vis": [str(path)], **data}, "image": IMAGE})
    ingest([str(path)], vis=str(folder / "x.vis"), config=Settings.of(config.settings("ingest")))
    return VisibilityStore(folder / "x.vis")


def run(store, image=None, name="x", clean=None, **weighting):
    config = Config.parse({"image": {**IMAGE, **(image or {})}, "weighting": weighting, "clean": clean or {}})
    folder = store.path.parent / f"{name}.weights"
    stage.weights(str(store.path), weights=str(folder), config=Settings.of(config.settings("weights")))
    return ImagingWeights(folder)


@pytest.fixture(scope="module")
def store(make_ms, tmp_path_factory):
    """Two spectral windows, random weights and flags."""
    folder = tmp_path_factory.mktemp("weights")

    def edit(columns):
        rng = np.random.default_rng(3)
        columns["weight"] = rng.uniform(0.2, 2, columns["weight"].shape)
        columns["flag"] = rng.random(columns["flag"].shape) < 0.05
        columns["spw"] = np.arange(len(columns["uvw"])) % 2
        columns["freq"] = [columns["freq"], columns["freq"] + 5e7]

    return store_of(make_ms(folder / "in.ms", edit), folder)


@pytest.mark.parametrize("weighting", ["natural", "uniform", "superuniform", "radial", "briggs", "briggsabs"])
def test_parts_are_weighed_together(store, weighting):
    made = run(store, weighting=weighting, robust=-0.5)
    scheme, (first, second) = Scheme(weighting, -0.5), store.parts
    density = Density(scheme, (np.radians(20 / 3600),) * 2, (128, 128))
    plane = np.zeros(4, int)
    for part in (first, second):
        density.add(part.uvw, part.weight, part.freq, plane)
    for i, part in enumerate((first, second)):
        expected = imaging_weight(
            scheme,
            density if scheme.needs_density else None,
            np.array(part.uvw),
            np.array(part.weight),
            part.freq,
            plane,
        )
        np.testing.assert_array_equal(made[i], expected)
        assert made[i].dtype == np.float32
    assert made.meta["sumwt"] == [pytest.approx(float(sum(made[i].sum(dtype=float) for i in (0, 1))))]
    assert made.meta["noise_increase"][0] >= (1.0 if weighting != "natural" else 1 - 1e-12)
    assert made.meta["natural_sumwt"] == [pytest.approx(store.meta["sumwt"])]


def test_channels_of_a_cube_are_weighed_by_themselves(store, monkeypatch):
    cube = {"specmode": "cube", "start": 1, "nchan": 4}
    made = run(store, cube, weighting="briggs")
    assert len(made.meta["sumwt"]) == 4
    outside = [int((np.array(made[i]) == 0).all(axis=0).sum()) for i in (0, 1)]
    assert outside == [1, 4]  # 1.404 to 1.416 GHz: three channels of the first window
    assert [s > 0 for s in made.meta["sumwt"]] == [True, True, True, False]
    # One density grid at a time gives the same.
    monkeypatch.setattr(stage, "DENSITY_BYTES", 1)
    again = run(store, cube, name="y", weighting="briggs")
    for i in (0, 1):
        np.testing.assert_array_equal(made[i], again[i])
    np.testing.assert_allclose(again.meta["sumwt"], made.meta["sumwt"], rtol=1e-12)


def test_joined_channels_share_a_density(store):
    """The weights are those of one image of the same channels; a density a channel on request."""
    cube = {"specmode": "cube", "nchan": 17}
    joined = {"deconvolver": "wideband", "join": ["channels"]}
    one, own = run(store, name="m", weighting="briggs"), run(store, cube, name="o", weighting="briggs")
    for name, clean, wanted, expected in (
        ("a", joined, "auto", one),
        ("b", joined, True, own),
        ("c", {}, False, one),
        ("d", {}, "auto", own),
    ):
        made = run(store, cube, name, clean, weighting="briggs", perchanweightdensity=wanted)
        for i in (0, 1):
            np.testing.assert_array_equal(made[i], expected[i])
    assert (np.array(one[0]) != np.array(own[0])).any()


def test_tapers(store):
    plain, tapered = run(store), run(store, name="y", uvtaper=["100arcsec", "50arcsec", "20deg"])
    wave = run(store, name="z", uvtaper="0.3klambda")
    assert (tapered[0][plain[0] > 0] < plain[0][plain[0] > 0]).all()
    part = store.parts[0]
    distance = np.hypot(part.uvw[:, :1], part.uvw[:, 1:2]) * part.freq / 299792458.0
    np.testing.assert_allclose(wave[0], plain[0] * 0.5 ** ((distance / 300) ** 2), rtol=1e-5)


def test_weights_that_leave_nothing(store, tmp_path):
    before = sorted(p.name for p in store.path.parent.iterdir())
    with pytest.raises(ImagingError, match="No visibility has any imaging weight"):
        run(store, name="q", uvtaper="0.000001lambda")
    assert sorted(p.name for p in store.path.parent.iterdir()) == before


def test_cells_too_coarse_for_the_data(store, caplog):
    with pytest.raises(ImagingError, match="too coarse") as error:
        run(store, {"cell": "1deg"}, name="q")
    assert "image.cell" in error.value.next_step
    fringe = 1 / store.meta["max_uv_wavelengths"]
    caplog.set_level("WARNING")
    run(store, {"cell": f"{0.7 * fringe}rad"}, name="q")
    assert "more than half" in caplog.text


def test_twice_the_same_bytes(store):
    one, two = run(store, weighting="briggs"), run(store, name="y", weighting="briggs")
    names = sorted(p.name for p in one.path.iterdir())
    assert names == ["part000.npy", "part001.npy", "weights.json"]
    for name in names:
        assert (one.path / name).read_bytes() == (two.path / name).read_bytes()
