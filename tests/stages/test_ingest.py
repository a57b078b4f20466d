"""MeasurementSets to the store: right samples, right numbers, clear refusals."""

import hashlib
import shutil

import numpy as np
import pytest

from imaging.algorithms import simulation
from imaging.algorithms.phase_rotation import SPEED_OF_LIGHT
from imaging.config import Config
from imaging.errors import ImagingError
from imaging.io import ms_reader
from imaging.io.visibility_store import VisibilityStore
from imaging.settings import Settings
from imaging.stages.ingest import ingest

tables = pytest.importorskip("casacore.tables")
ARCSEC = np.radians(1 / 3600)


@pytest.fixture
def run(tmp_path):
    """run(ms or list, data=…, **image) ingests and opens the store."""

    def run(ms, data=None, name="x", **image):
        paths = [str(p) for p in (ms if isinstance(ms, list) else [ms])]
        config = Config.parse(
            {"data": {"vis": paths, **(data or {})}, "image": {"imsize": 128, "cell": "5arcsec", **image}}
        )
        ingest(paths, vis=str(tmp_path / f"{name}.vis"), config=Settings.of(config.settings("ingest")))
        return VisibilityStore(tmp_path / f"{name}.vis")

    return run


def arrays(store):
    return [
        {n: np.array(getattr(p, n)) for n in ("uvw", "vis", "weight", "time", "antenna1", "antenna2")}
        for p in store.parts
    ]


def dirty(store, pixels, size, cell, plane=0):
    """The direct Fourier sum at (x, y) pixels of a square image, in Jy/beam."""
    values, sumwt = np.zeros(len(pixels)), 0.0
    for part in store.parts:
        weight = np.array(part.weight, float)
        sumwt += weight.sum()
        for k, (x, y) in enumerate(pixels):
            l, m = (size // 2 - x) * cell, (y - size // 2) * cell
            cycles = (part.uvw @ [l, m, np.sqrt(1 - l**2 - m**2) - 1])[:, None] * part.freq / SPEED_OF_LIGHT
            values[k] += (weight * (part.vis[plane] * np.exp(-2j * np.pi * cycles)).real).sum()
    return values / sumwt


@pytest.mark.parametrize(
    ("name", "truth", "size", "cell"),
    [
        ("askap_vela-60", "askap_vela-60", 1024, 5.0),
        ("vla_3c286_L", "vla_3c286_L", 600, 1.0),
        ("vlba_m87_8GHz", "vlba_m87_8GHz", 512, 2e-4),
        ("mwa_1102865728_cal", "mwa_1102865728_cal", 1500, 60.0),
    ],
)
def test_direct_sums_of_real_data(run, unpacked, data, name, truth, size, cell):
    table = np.loadtxt(data / "truth" / f"dft_{truth}.csv", delimiter=",", skiprows=2, usecols=(0, 1, 2))[:8]
    made = dirty(run(unpacked(name)), table[:, :2], size, cell * ARCSEC)
    np.testing.assert_allclose(made, table[:, 2], atol=2e-7 * np.abs(table[:, 2]).max())


def test_polarisation_of_the_vela_pulsar(run, unpacked):
    store = run(unpacked("askap_vela-60"), stokes="IQUV")
    made = [dirty(store, [(0, 0)], 0, 0.0, plane)[0] for plane in range(4)]
    np.testing.assert_allclose(made, [1.34445, -0.34829, -0.90456, -0.05561], atol=1e-5)
    assert store.parts[0].meta["counts"]["autocorrelation_rows"] == 1044


@pytest.mark.parametrize(
    ("column", "expected", "flux"),
    [("auto", "CORRECTED_DATA", 73.7), ("corrected", "CORRECTED_DATA", 73.7), ("data", "DATA", 5e-5)],
)
def test_which_column(run, unpacked, column, expected, flux):
    store = run(unpacked("lofar_msss_3c48"), {"datacolumn": column})
    assert store.meta["sources"][0]["column"] == expected
    assert dirty(store, [(0, 0)], 0, 0.0)[0] == pytest.approx(flux, rel=0.2)


@pytest.mark.parametrize(
    ("name", "parts", "good"),
    [
        ("alma_mssel_test_small", [64, 1], 22078 + 345),
        ("lofar_bda_4spw", [3, 4, 1, 8], 18 + 48 + 9 + 560),
        ("eht_oj287_2spw", [1, 1], 4607 + 4985),
        ("evla_36GHz_2spw", [64, 64], 2 * 87040),
    ],
)
def test_difficult_sets_are_read(run, unpacked, name, parts, good):
    store = run(unpacked(name))
    assert [len(p.freq) for p in store.parts] == parts
    assert sum(int((p.weight > 0).sum()) for p in store.parts) == good
    assert sum(p.meta["counts"]["good"] for p in store.parts) == good
    for part in store.parts:
        assert (np.array(part.vis)[:, part.weight == 0] == 0).all()
        assert np.isfinite(part.vis).all()
        assert np.isfinite(part.uvw).all()
    if name.startswith("evla"):
        assert store.meta["dish_diameters"] == [25.0]


def test_selection_in_a_difficult_set(run, unpacked):
    store = run(unpacked("alma_mssel_test_small"), {"field": "J1423*", "spw": "1:10~19;30,2", "scan": "3"})
    assert [len(p.freq) for p in store.parts] == [11, 1]
    assert store.meta["object"] == "J1423-7829"
    assert store.parts[0].freq[0] > store.parts[0].freq[-1]
    with pytest.raises(ImagingError, match="All selected data are flagged"):
        run(unpacked("alma_mssel_test_small"), {"field": "0"})


@pytest.mark.parametrize(
    ("name", "message", "step"),
    [
        ("meerkat_allflagged", "All selected data are flagged", "undo flags"),
        ("wsrt_3c343_nan", "POLARIZATION", "repair"),
    ],
)
def test_impossible_sets_are_refused(run, unpacked, tmp_path, name, message, step):
    with pytest.raises(ImagingError, match=message) as error:
        run(unpacked(name))
    assert step in error.value.next_step
    assert list(tmp_path.iterdir()) == []


def spoil(column, value):
    def edit(columns):
        columns[column] = value(columns)

    return edit


def nan_vis(columns):
    columns["vis"] = np.full_like(columns["vis"], np.nan)


def zero_vis(columns):
    columns["vis"] = np.zeros_like(columns["vis"])


def zero_weight(columns):
    columns["weight"] = np.zeros_like(columns["weight"])


def all_flagged(columns):
    columns["flag"] = np.ones_like(columns["flag"])


def row_flagged(columns):
    columns["flag_row"] = np.ones(len(columns["uvw"]), bool)


def nan_uvw(columns):
    columns["uvw"] = np.full_like(columns["uvw"], np.nan)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (nan_vis, "NaN or infinite"),
        (zero_vis, "DATA is all zero"),
        (zero_weight, "zero weight"),
        (all_flagged, "flagged"),
        (row_flagged, "flagged"),
        (nan_uvw, "NaN or infinite"),
    ],
)
def test_useless_data_are_refused(run, make_ms, tmp_path, edit, message):
    path = make_ms(tmp_path / "in" / "bad.ms", edit)
    with pytest.raises(ImagingError, match=message) as error:
        run(path)
    assert error.value.next_step
    assert error.value.expected
    assert [p.name for p in tmp_path.iterdir()] == ["in"]


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        ({"scan": "99"}, "takes no rows"),
        ({"field": "3C48"}, "3C48"),
        ({"uvrange": ">1000km"}, "takes no rows"),
        ({"taql": "ANTENNA1 =="}, "taql"),
        ({"taql": "NOCOLUMN > 3"}, "taql"),
        ({"taql": "ANTENNA1 > 100"}, "takes no rows"),
        ({"datacolumn": "corrected"}, "no column CORRECTED_DATA"),
        ({"antenna": "nobody"}, "nobody"),
        ({"spw": "7"}, "spw"),
        ({"antenna": "*&&&"}, "takes no rows"),
        ({"intent": "*NOTHING*"}, "intent"),
    ],
)
def test_impossible_selections_are_refused(run, tiny_ms, tmp_path, selection, message):
    with pytest.raises(ImagingError, match=message) as error:
        run(tiny_ms, selection)
    assert error.value.got is not None
    assert error.value.next_step
    assert list(tmp_path.iterdir()) == []


def test_no_measurement_set(run, tmp_path):
    with pytest.raises(ImagingError, match="does not exist"):
        run(tmp_path / "nothing.ms")
    (tmp_path / "file.ms").write_text("hello")
    with pytest.raises(ImagingError, match="not a MeasurementSet"):
        run(tmp_path / "file.ms")
    (tmp_path / "folder.ms").mkdir()
    with pytest.raises(ImagingError, match="not a MeasurementSet"):
        run(tmp_path / "folder.ms")
    tables.table(str(tmp_path / "plain.ms"), tables.maketabdesc([tables.makescacoldesc("X", 1)]), ack=False).close()
    with pytest.raises(ImagingError, match="not a complete MeasurementSet") as error:
        run(tmp_path / "plain.ms")
    assert "subtable FIELD" in error.value.got
    with pytest.raises(ImagingError, match="No MeasurementSet"):
        run([])


def test_a_damaged_set_is_refused(run, tiny_ms, tmp_path):
    shutil.copytree(tiny_ms, tmp_path / "damaged.ms")
    shutil.rmtree(tmp_path / "damaged.ms" / "SPECTRAL_WINDOW")
    with pytest.raises(ImagingError, match="not a complete MeasurementSet"):
        run(tmp_path / "damaged.ms")


@pytest.mark.parametrize(
    ("selection", "condition"),
    [
        ({"antenna": "0&1"}, "ANTENNA1==0 && ANTENNA2==1"),
        ({"antenna": "!3"}, "ANTENNA1!=3 && ANTENNA2!=3"),
        ({"uvrange": "40~90m"}, "sqrt(sumsqr(UVW[0:2])) >= 40 && sqrt(sumsqr(UVW[0:2])) <= 90"),
        ({"taql": "ANTENNA1 in [2,4]"}, "ANTENNA1 in [2,4]"),
        ({"taql": "ANTENNA2 > 4", "antenna": "2"}, "ANTENNA2>4 && (ANTENNA1==2 || ANTENNA2==2)"),
    ],
)
def test_selected_rows_are_those_that_taql_finds(run, tiny_ms, selection, condition):
    store = run(tiny_ms, selection)
    with tables.table(str(tiny_ms), ack=False) as main:
        found = main.query(condition)
        assert 0 < found.nrows() < main.nrows()
        np.testing.assert_array_equal(store.parts[0].uvw, found.getcol("UVW"))
        np.testing.assert_array_equal(store.parts[0].time, found.getcol("TIME"))


def test_channels_and_stokes_are_those_asked_for(run, tiny_ms):
    store = run(tiny_ms, {"spw": "0:1;3"}, stokes="IQUV")
    with tables.table(str(tiny_ms), ack=False) as main:
        rr, rl, lr, ll = np.moveaxis(main.getcol("DATA")[:, [1, 3]], 2, 0)
    np.testing.assert_allclose(
        store.parts[0].vis, [(rr + ll) / 2, (rl + lr) / 2, (rl - lr) / 2j, (rr - ll) / 2], atol=1e-6
    )
    assert store.parts[0].freq.tolist() == [1.404e9, 1.412e9]
    assert store.stokes == ("I", "Q", "U", "V")
    assert store.meta["telescope"]
    assert store.meta["max_uv_wavelengths"] > 0


def test_another_phase_centre_is_another_observation(run, tiny_ms, tiny_sky):
    target = tiny_sky[1]
    centre = f"J2000 {np.degrees(target.ra)}deg {np.degrees(target.dec)}deg"
    store = run(tiny_ms, phasecenter=centre)
    part = store.parts[0]
    expected = simulation.predict_components(
        np.array(part.uvw), part.freq, tiny_sky, (target.ra, target.dec), ("RR", "LL")
    )
    np.testing.assert_allclose(part.vis[0], expected.mean(axis=2), atol=1e-4)
    np.testing.assert_allclose(store.phase_centre, (target.ra, target.dec), atol=1e-12)


def test_fields_of_other_centres_are_brought_to_the_first(run, make_ms, tiny_sky, tmp_path, caplog):
    first, second = (tiny_sky[0].ra, tiny_sky[0].dec), (tiny_sky[2].ra, tiny_sky[2].dec)
    plain = make_ms(tmp_path / "plain.ms")

    def edit(columns):
        from imaging.algorithms.phase_rotation import rotate

        field = np.arange(len(columns["uvw"])) % 2
        vis = columns["vis"].transpose(2, 0, 1).astype(np.complex64)
        uvw, turned = rotate(columns["uvw"], vis, columns["freq"], first, second)
        columns["uvw"] = np.where(field[:, None] == 1, uvw, columns["uvw"])
        columns["vis"] = np.where(field[:, None, None] == 1, turned.transpose(1, 2, 0), columns["vis"])
        columns["field"], columns["phase_centre"] = field, np.array([first, second])

    mixed = make_ms(tmp_path / "mixed.ms", edit)
    one, two = arrays(run(plain))[0], arrays(run(mixed, name="y"))[0]
    order = [np.lexsort((a["antenna2"], a["antenna1"], a["time"])) for a in (one, two)]
    np.testing.assert_allclose(two["uvw"][order[1]], one["uvw"][order[0]], atol=1e-6)
    np.testing.assert_allclose(two["vis"][0][order[1]], one["vis"][0][order[0]], atol=1e-5)
    assert "several pointings" in caplog.text
    caplog.clear()
    run(mixed, {"field": "1"}, name="one")
    assert "several pointings" not in caplog.text
    by_field = run(mixed, name="z", phasecenter=1)
    np.testing.assert_allclose(by_field.phase_centre, second, atol=1e-9)


def test_blocks_do_not_matter(run, make_ms, tmp_path, monkeypatch):
    path = make_ms(tmp_path / "in.ms", rms=0.1)
    for data in ({}, {"timeaverage": "1h", "maxsmearing": 0.9}):
        whole = run(path, data, stokes="IQUV")
        contents = {p.relative_to(whole.path): p.read_bytes() for p in whole.path.rglob("*") if p.is_file()}
        monkeypatch.setattr(ms_reader, "CHUNK_BYTES", 8 * 4 * 4 * 11)
        pieces = run(path, data, name="y", stokes="IQUV")
        assert {p.relative_to(pieces.path): p.read_bytes() for p in pieces.path.rglob("*") if p.is_file()} == contents
        monkeypatch.undo()


def test_garbage_in_flagged_samples_changes_nothing(run, make_ms, tmp_path):
    rng = np.random.default_rng(2)

    def edit(garbage):
        def change(columns):
            rng = np.random.default_rng(5)
            columns["flag"] = rng.random(columns["flag"].shape) < 0.3
            columns["flag_row"] = rng.random(len(columns["uvw"])) < 0.1
            bad = columns["flag"] | columns["flag_row"][:, None, None]
            columns["vis"] = np.where(bad, garbage, columns["vis"])

        return change

    values = rng.choice([np.nan, np.inf, 1e30, 0.0], 3)
    stores = [run(make_ms(tmp_path / f"{k}.ms", edit(value)), name=str(k)) for k, value in enumerate((7.0, *values))]
    for store in stores[1:]:
        for name, array in arrays(store)[0].items():
            np.testing.assert_array_equal(array, arrays(stores[0])[0][name])
        assert store.parts[0].meta["counts"] == stores[0].parts[0].meta["counts"]


def test_bad_samples_are_dropped_and_counted(run, make_ms, tmp_path):
    def edit(columns):
        columns["vis"][3, 1, 0] = np.nan
        columns["vis"][4, 2, 3] = np.inf
        columns["vis"][5, 0, 1] = np.nan  # RL: not needed for Stokes I
        columns["weight"][6, 0] = np.nan
        columns["weight"][7, 3] = 0
        columns["uvw"][8, 2] = np.nan

    store = run(make_ms(tmp_path / "in.ms", edit))
    counts = store.parts[0].meta["counts"]
    assert counts["nonfinite"] == 1 + 1 + 4 + 4
    assert counts["zero_weight"] == 4
    assert store.parts[0].rows == counts["rows"] - 3
    assert store.meta["sumwt"] == counts["good"] == counts["selected"] - 14


def test_autocorrelations_are_dropped(run, make_ms, tmp_path):
    def edit(columns):
        columns["antenna2"] = columns["antenna2"].copy()
        columns["antenna2"][::7] = columns["antenna1"][::7]

    store = run(make_ms(tmp_path / "in.ms", edit))
    counts = store.parts[0].meta["counts"]
    assert counts["autocorrelation_rows"] == 24
    assert (store.parts[0].antenna1 != store.parts[0].antenna2).all()


def test_weights_of_every_kind(run, make_ms, tmp_path):
    weight = None

    def edit(columns):
        nonlocal weight
        rng = np.random.default_rng(1)
        weight = rng.uniform(0.5, 2, columns["weight"].shape).astype(np.float32)
        columns["weight"] = weight

    path = make_ms(tmp_path / "in.ms", edit)
    expected = np.repeat(((weight[:, 0] + weight[:, 3]) / 2)[:, None], 4, axis=1)
    np.testing.assert_allclose(run(path).parts[0].weight, expected, rtol=1e-6)

    # A column of spectra without values, as ALMA's correlator leaves it, is as good as none; some values count.
    with tables.table(str(path), readonly=False, ack=False) as main:
        main.addcols(tables.makearrcoldesc("WEIGHT_SPECTRUM", 0.0, ndim=2, valuetype="float"))
    np.testing.assert_allclose(run(path).parts[0].weight, expected, rtol=1e-6)
    spectrum = np.arange(1, 17, dtype=np.float32).reshape(4, 4)
    with tables.table(str(path), readonly=False, ack=False) as main:
        main.putcell("WEIGHT_SPECTRUM", 2, spectrum)
    expected[2] = (spectrum[:, 0] + spectrum[:, 3]) / 2
    np.testing.assert_allclose(run(path).parts[0].weight, expected, rtol=1e-6)

    with tables.table(str(path), readonly=False, ack=False) as main:
        main.removecols(["WEIGHT", "WEIGHT_SPECTRUM"])
        sigma = np.full((main.nrows(), 4), 0.5, np.float32)
        sigma[1] = 0
        main.putcol("SIGMA", sigma)
    store = run(path)
    np.testing.assert_allclose(store.parts[0].weight, 4.0)
    assert store.parts[0].meta["counts"]["zero_weight"] == 4


def test_rows_without_values_are_left_out(run, make_ms, tmp_path):
    path = make_ms(tmp_path / "in.ms")
    with tables.table(str(path), readonly=False, ack=False) as main:
        vis = main.getcol("DATA")
        main.addcols(tables.makearrcoldesc("CORRECTED_DATA", 0j, ndim=2, valuetype="complex"))
        for row in range(5, main.nrows()):
            main.putcell("CORRECTED_DATA", row, vis[row] if row != 9 else vis[row][:2])
    store = run(path)
    assert store.meta["sources"][0]["column"] == "CORRECTED_DATA"
    assert store.parts[0].meta["counts"]["undefined_rows"] == 6
    rows = np.setdiff1d(np.arange(5, len(vis)), [9])
    np.testing.assert_allclose(store.parts[0].vis[0], vis[rows][..., [0, 3]].mean(axis=2), rtol=1e-6)


def test_a_column_without_values(run, make_ms, tmp_path):
    path = make_ms(tmp_path / "in.ms")
    with tables.table(str(path), readonly=False, ack=False) as main:
        main.addcols(tables.makearrcoldesc("CORRECTED_DATA", 0j, ndim=2, valuetype="complex"))
    with pytest.raises(ImagingError, match="CORRECTED_DATA has no values"):
        run(path)


def test_several_sets_of_any_feeds(run, make_ms, tiny_ms, tmp_path):
    linear = make_ms(tmp_path / "in" / "linear.ms", corr_type=("XX", "YY"))
    store = run([tiny_ms, linear])
    assert [p.meta["source"] for p in store.parts] == [0, 1]
    both = run(tiny_ms, name="y"), run(linear, name="z")
    assert store.meta["sumwt"] == sum(s.meta["sumwt"] for s in both)
    np.testing.assert_array_equal(store.parts[1].vis, both[1].parts[0].vis)
    with pytest.raises(ImagingError, match="Stokes V cannot be made"):
        run([tiny_ms, linear], stokes="V")


def test_a_single_hand_is_imaged_as_itself(run, make_ms, tmp_path):
    path = make_ms(tmp_path / "in.ms", corr_type=("XX",))
    with pytest.raises(ImagingError, match="Stokes I cannot be made") as error:
        run(path)
    assert error.value.next_step == "set image.stokes: XX"
    assert run(path, stokes="XX").parts[0].vis.shape[0] == 1


def test_averages_within_the_bound(run, make_ms, tmp_path):
    path = make_ms(tmp_path / "in.ms", ntime=40)
    plain = run(path, cell="1arcsec", imsize=32)
    # Hour angles of 40 integrations over 5 hours: one every 7.7 minutes.
    made = run(path, {"timeaverage": "30min", "chanaverage": 2}, name="y", cell="1arcsec", imsize=32)
    assert made.parts[0].rows < 0.4 * plain.parts[0].rows
    assert made.parts[0].freq.tolist() == [1.402e9, 1.41e9]
    assert made.parts[0].width.tolist() == [8e6, 8e6]
    assert made.meta["sumwt"] == plain.meta["sumwt"]
    with pytest.raises(ImagingError, match="chanaverage 4 would smear") as error:
        run(path, {"chanaverage": 4}, cell="60arcsec", imsize=512)
    assert "data.maxsmearing" in error.value.next_step


def test_the_set_is_not_written_to(run, make_ms, tmp_path):
    path = make_ms(tmp_path / "in.ms")

    def state():
        return {
            str(p): (p.stat().st_mtime_ns, hashlib.sha256(p.read_bytes()).hexdigest())
            for p in path.rglob("*")
            if p.is_file()
        }

    before = state()
    run(path, {"taql": "ANTENNA1 < 5", "antenna": "!7"})
    assert state() == before


def test_the_same_input_gives_the_same_bytes(run, make_ms, tmp_path):
    first = make_ms(tmp_path / "a" / "in.ms")
    shutil.copytree(first, tmp_path / "b" / "in.ms")
    contents = []
    for ms, name in ((first, "x"), (tmp_path / "b" / "in.ms", "y")):
        folder = run(ms, name=name).path
        contents.append({p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()})
    assert contents[0] == contents[1]
