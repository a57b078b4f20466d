"""Columns that are made in copies of MeasurementSets."""

import shutil

import numpy as np
from casacore.tables import table

from imaging.io.ms import read_metadata
from imaging.io.ms_columns import Column, copy_ms


def test_new_corrected_data_begin_as_data_and_models_as_nothing(tiny_ms, tmp_path):
    shutil.copytree(tiny_ms, tmp_path / "own.ms")
    copy_ms(tmp_path / "own.ms", tmp_path / "copy.ms")
    for name in ("CORRECTED_DATA", "MODEL_DATA"):
        with Column(read_metadata(str(tmp_path / "copy.ms")), name):
            pass
    with table(str(tmp_path / "copy.ms"), ack=False) as copy, table(str(tmp_path / "own.ms"), ack=False) as own:
        assert np.array_equal(copy.getcol("CORRECTED_DATA"), own.getcol("DATA"))
        assert not copy.getcol("MODEL_DATA").any()
        assert "MODEL_DATA" not in own.colnames()
