"""Beams from FITS cubes with the Cattery's pybeams_fits."""

import numpy as np
import pytest

from imaging.measurement.expressions import evaluate

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def beam_files(tmp_path):
    """A real beam exp(-r^2 nu/GHz), r in degrees, for xx and yy, in cubes of nine planes."""
    from astropy.io import fits

    offset = (np.arange(21) - 10) * 0.1
    r2 = offset**2 + offset[:, None] ** 2
    for name in ("xx_re", "xx_im", "xy_re", "xy_im", "yx_re", "yx_im", "yy_re", "yy_im", "re", "im"):
        amplitude = float(name in ("xx_re", "yy_re", "re"))
        cube = fits.PrimaryHDU(amplitude * np.exp(-r2 * np.arange(0.6, 1.41, 0.1)[:, None, None]))
        for axis, (kind, value, step, pixel, unit) in enumerate(
            [("L", 0, 0.1, 11, "deg"), ("M", 0, 0.1, 11, "deg"), ("FREQ", 1e9, 1e8, 5, "Hz")], start=1
        ):
            cube.header.update(
                {f"CTYPE{axis}": kind, f"CRVAL{axis}": value, f"CDELT{axis}": step, f"CRPIX{axis}": pixel}
            )
            cube.header[f"CUNIT{axis}"] = unit
        cube.writeto(tmp_path / f"beam_{name}.fits")
    return tmp_path


@pytest.mark.parametrize("kind", ["2x2", "diagonal", "scalar"])
def test_beams_from_fits_cubes(dialect, beam_files, tile, kind, monkeypatch):
    from Meow import Context

    field, (l, m) = dialect.field(), np.deg2rad([0.3, -0.2])
    sources = [field.point("off", l, m)]
    monkeypatch.setattr(Context.mssel, "get_full_antenna_name", lambda p: f"ANT{p}", raising=False)
    pattern = "beam_$(reim).fits" if kind == "scalar" else "beam_$(xy)_$(reim).fits"
    settings = {"filename_pattern": str(beam_files / pattern), "beam_type": kind, "sky_rotation": False}
    jones = dialect.compute(field, "Siamese.OMS.pybeams_fits", settings, sources=sources)
    value = evaluate(jones(sources[0], "1"), tile())
    value = value if value.ndim == 2 else value[0, 0]
    radius = np.rad2deg(np.arcsin(np.hypot(l, m)))
    np.testing.assert_allclose(value[0], np.exp(-(radius**2) * tile().frequency * 1e-9), rtol=1e-4)
