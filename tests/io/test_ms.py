"""What is known of a MeasurementSet before its samples are read, and when it counts as changed."""

import json
import time

import numpy as np
import pytest

from imaging.errors import ImagingError
from imaging.io.ms import fingerprint, read_metadata, survey
from imaging.io.ms_reader import Reader
from imaging.io.selection import Selection

tables = pytest.importorskip("casacore.tables")


def test_metadata(tiny_ms):
    meta = read_metadata(str(tiny_ms))
    assert meta.rows == 168
    assert meta.correlations(0) == ("RR", "RL", "LR", "LL")
    assert len(meta.window(0).freq) == 4
    assert len(meta.antennas) == len(meta.stations) == len(meta.diameters) == 8
    assert meta.frames == ["J2000"]
    assert meta.window(0).frame == "TOPO"
    with pytest.raises(ImagingError, match="SPECTRAL_WINDOW"):
        meta.window(5)


def test_metadata_of_an_alma_set(unpacked):
    meta = read_metadata(str(unpacked("alma_mssel_test_small")))
    assert [len(w.freq) for w in meta.windows] == [4, 64, 1]
    assert meta.fields == ["J1617-7717", "J1423-7829"]
    assert meta.polarizations == [("XX", "XY", "YX", "YY"), ("XX",)]
    assert any("CALIBRATE_WVR#ON_SOURCE" in intent for intent in meta.intents)


def test_survey_counts_before_reading(unpacked):
    meta = read_metadata(str(unpacked("alma_mssel_test_small")))
    reader = Reader(meta, Selection(fields=frozenset({1}), scans=((3, 3),)))
    assert reader.survey.met == {"field": 736, "scan": 736}
    assert reader.survey.rows == {1: 368, 2: 368}
    assert reader.survey.fields == {1}
    assert reader.survey.first_field == 1
    reader.close()


def test_survey_of_a_whole_set(tiny_ms, unpacked):
    longest, frequency, dish, field = survey(read_metadata(str(tiny_ms)))
    with tables.table(str(tiny_ms), ack=False) as main:
        assert longest == pytest.approx(np.hypot(*main.getcol("UVW").T[:2]).max())
    assert (frequency, dish, field) == (1.412e9, 25.0, "")
    alma = survey(read_metadata(str(unpacked("alma_mssel_test_small"))))
    assert alma[2:] == (12.0, "J1423-7829")
    assert alma[1] == pytest.approx(86.2903e9, rel=1e-5)


def test_a_moving_phase_centre_is_said(make_ms, tmp_path, caplog):
    path = make_ms(tmp_path / "in.ms")
    with tables.table(f"{path}::FIELD", readonly=False, ack=False) as fields:
        fields.putcell("NUM_POLY", 0, 1)
        fields.putcell("PHASE_DIR", 0, np.vstack([fields.getcell("PHASE_DIR", 0), [[1e-9, 0]]]))
    caplog.set_level("WARNING")
    meta = read_metadata(str(path))
    assert "move with time" in caplog.text
    assert meta.directions.shape == (1, 2)


def test_fingerprint_changes_only_with_what_is_read(make_ms, tmp_path):
    path = make_ms(tmp_path / "in.ms")
    before = fingerprint(str(path))
    assert json.loads(json.dumps(before)) == before
    assert fingerprint(str(path)) == before
    (path / "table.lock").write_bytes((path / "table.lock").read_bytes())
    with tables.table(str(path), readonly=False, ack=False) as main:
        description = tables.makearrcoldesc("MODEL_DATA", 0j, ndim=2, valuetype="complex")
        main.addcols(
            description, {"TYPE": "TiledShapeStMan", "NAME": "MODEL_DATA", "SPEC": {"DEFAULTTILESHAPE": [4, 4, 64]}}
        )
        main.putcol("MODEL_DATA", np.ones((168, 4, 4), np.complex64))
    assert fingerprint(str(path)) == before
    assert fingerprint(str(path), "model") != before
    with tables.table(str(path), readonly=False, ack=False) as main:
        main.putcell("DATA", 3, main.getcell("DATA", 3) + 1)
    changed = fingerprint(str(path))
    assert changed != before
    with tables.table(f"{path}::FIELD", readonly=False, ack=False) as fields:
        fields.putcell("PHASE_DIR", 0, fields.getcell("PHASE_DIR", 0) + 0.1)
    assert fingerprint(str(path)) != changed


def test_fingerprint_follows_the_column_that_auto_means(make_ms, tmp_path):
    path = make_ms(tmp_path / "in.ms")
    before = fingerprint(str(path))
    with tables.table(str(path), readonly=False, ack=False) as main:
        main.addcols(tables.makearrcoldesc("CORRECTED_DATA", 0j, ndim=2, valuetype="complex"))
    assert "CORRECTED_DATA" in fingerprint(str(path))["columns"]
    assert fingerprint(str(path), "data")["columns"] == before["columns"]


def test_fingerprint_is_quick(unpacked):
    path = str(unpacked("mwa_1102865728_cal"))
    fingerprint(path)
    started = time.perf_counter()
    fingerprint(path)
    assert time.perf_counter() - started < 0.5  # a few ms on an idle machine


def test_fingerprint_of_nothing(tmp_path):
    with pytest.raises(ImagingError, match="does not exist"):
        fingerprint(str(tmp_path / "no.ms"))
