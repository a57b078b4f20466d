"""write_ms: what is written is what casacore reads, in every column and subtable."""

import numpy as np
import pytest
from casacore import tables

from imaging.errors import ImagingError
from imaging.io.ms_writer import write_ms

RNG = np.random.default_rng(5)


def columns(nrow=12, nchan=4, ncorr=4):
    p, q = np.triu_indices(4, 1)
    positions = np.array([-1601185.0, -5041977.0, 3554875.0]) + RNG.normal(size=(4, 3)) * 100
    shape = (nrow, nchan, ncorr)
    return {
        "antenna_positions": positions,
        "antenna1": np.tile(p, nrow // 6),
        "antenna2": np.tile(q, nrow // 6),
        "time": np.repeat(5e9 + 10 * np.arange(nrow // 6), 6),
        "uvw": RNG.normal(size=(nrow, 3)),
        "vis": (RNG.normal(size=shape) + 1j * RNG.normal(size=shape)).astype(np.complex64),
        "freq": 1.4e9 + 1e6 * np.arange(nchan),
        "phase_centre": (1.0, 0.5),
        "corr_type": ("RR", "RL", "LR", "LL")[:ncorr],
    }


def read(path, name, table=""):
    with tables.table(f"{path}{table}", ack=False) as t:
        return t.getcol(name)


def test_every_column_comes_back(tmp_path):
    given = columns()
    given |= {
        "weight": RNG.uniform(1, 2, (12, 4)).astype(np.float32),
        "weight_spectrum": RNG.uniform(1, 2, (12, 4, 4)).astype(np.float32),
        "flag": RNG.uniform(size=(12, 4, 4)) < 0.3,
        "flag_row": np.arange(12) == 3,
        "scan": np.arange(12),
        "field": np.arange(12) % 2,
        "phase_centre": [(1.0, 0.5), (1.1, 0.4)],
        "vis": {"DATA": given["vis"], "CORRECTED_DATA": 2 * given["vis"], "MODEL_DATA": 3 * given["vis"]},
    }
    path = write_ms(tmp_path / "x.ms", **given)
    for name, values in given["vis"].items():
        np.testing.assert_array_equal(read(path, name), values)
    for name, key in {
        "TIME": "time", "UVW": "uvw", "ANTENNA1": "antenna1", "ANTENNA2": "antenna2", "WEIGHT": "weight",
        "WEIGHT_SPECTRUM": "weight_spectrum", "FLAG": "flag", "FLAG_ROW": "flag_row", "SCAN_NUMBER": "scan",
        "FIELD_ID": "field",
    }.items():  # fmt: skip
        np.testing.assert_array_equal(read(path, name), given[key], err_msg=name)
    np.testing.assert_allclose(read(path, "SIGMA"), given["weight"] ** -0.5, rtol=1e-6)
    np.testing.assert_array_equal(read(path, "POSITION", "::ANTENNA"), given["antenna_positions"])
    np.testing.assert_array_equal(read(path, "PHASE_DIR", "::FIELD")[:, 0], given["phase_centre"])
    np.testing.assert_array_equal(read(path, "CHAN_FREQ", "::SPECTRAL_WINDOW")[0], given["freq"])


@pytest.mark.parametrize(
    ("corr_type", "codes", "receptors"),
    [
        (("RR", "RL", "LR", "LL"), [5, 6, 7, 8], ["R", "L"]),
        (("XX", "XY", "YX", "YY"), [9, 10, 11, 12], ["X", "Y"]),
        (("XX", "YY"), [9, 12], ["X", "Y"]),
        (("LL",), [8], ["R", "L"]),
    ],
)
def test_correlations(tmp_path, corr_type, codes, receptors):
    path = write_ms(tmp_path / "x.ms", **columns(ncorr=len(corr_type)) | {"corr_type": corr_type})
    assert read(path, "CORR_TYPE", "::POLARIZATION")[0].tolist() == codes
    # casacore returns an array of strings as a dict of shape and array
    assert read(path, "POLARIZATION_TYPE", "::FEED")["array"][:2] == receptors
    products = read(path, "CORR_PRODUCT", "::POLARIZATION")[0].tolist()
    assert products == [[int(a in "LY"), int(b in "LY")] for a, b in corr_type]


def test_windows_of_unequal_channel_numbers(tmp_path):
    given = columns()
    spw = np.array([0, 1, 1, 0, 1, 0] * 2)
    first, second = given["vis"][spw == 0], given["vis"][spw == 1][:, :1]
    given |= {"vis": [first, second], "freq": [given["freq"], [1.6e9]], "spw": spw}
    with tables.table(str(write_ms(tmp_path / "x.ms", **given)), ack=False) as ms:
        for s, part in enumerate([first, second]):
            rows = ms.query(f"DATA_DESC_ID=={s}")
            np.testing.assert_array_equal(rows.getcol("DATA"), part)
            assert rows.getcol("FLAG").shape == part.shape
    with tables.table(str(tmp_path / "x.ms::SPECTRAL_WINDOW"), ack=False) as t:
        assert [t.getcell("NUM_CHAN", s) for s in (0, 1)] == [4, 1]
        assert t.getcell("CHAN_FREQ", 1).tolist() == [1.6e9]


def test_zero_and_undefined_weights_make_sigma_zero(tmp_path):
    weight = np.ones((12, 4))
    weight[0], weight[1], weight[2] = 0, np.nan, np.inf
    path = write_ms(tmp_path / "x.ms", **columns(), weight=weight)
    np.testing.assert_array_equal(read(path, "SIGMA")[:4, 0], [0, 0, 0, 1])


def test_no_rows(tmp_path):
    given = columns() | {"vis": np.zeros((0, 4, 4)), "uvw": np.zeros((0, 3))}
    given |= dict.fromkeys(("antenna1", "antenna2", "time"), [])
    with tables.table(str(write_ms(tmp_path / "x.ms", **given)), ack=False) as ms:
        assert ms.nrows() == 0


def test_an_error_leaves_nothing_and_an_old_set_stands(tmp_path):
    path = write_ms(tmp_path / "x.ms", **columns())
    with pytest.raises(ImagingError, match="exists already"):
        write_ms(path, **columns())
    wrong = columns() | {"vis": np.zeros((12, 3, 4))}
    with pytest.raises(ImagingError, match="DATA of spectral window 0 has the wrong shape"):
        write_ms(path, **wrong, overwrite=True)
    with pytest.raises(ImagingError, match="UVW has the wrong number of rows"):
        write_ms(path, **columns() | {"uvw": np.zeros((11, 3))}, overwrite=True)
    with pytest.raises(ImagingError, match="frame"):
        write_ms(path, **columns(), frame="GALACTIC", overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["x.ms"]
    assert tables.tableexists(str(path))
    again = columns()
    np.testing.assert_array_equal(read(write_ms(path, **again, overwrite=True), "UVW"), again["uvw"])
    assert [p.name for p in tmp_path.iterdir()] == ["x.ms"]
