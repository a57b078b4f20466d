"""Beams from FITS cubes with the Cattery's pybeams_fits."""

import numpy as np
import pytest

from imaging.measurement.expressions import Meq, evaluate

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def beam_files(tmp_path):
    """A real beam exp(-(l^2 + m^2/4) nu/GHz), in degrees, for xx and yy, in cubes of nine planes."""
    from astropy.io import fits

    offset = (np.arange(21) - 10) * 0.1
    r2 = offset**2 + offset[:, None] ** 2 / 4
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


def response(l, m, nu):
    l, m = np.rad2deg(l), np.rad2deg(m)
    return np.exp(-(l * l + m * m / 4) * nu * 1e-9)


@pytest.fixture
def computed(dialect, beam_files, monkeypatch):
    """computed(field, kind, source, **options) gives the Sky Jones."""
    from Meow import Context

    monkeypatch.setattr(Context.mssel, "get_full_antenna_name", lambda p: f"ANT{p}", raising=False)

    def compute(field, kind, source, pointing=None, **options):
        pattern = "beam_$(reim).fits" if kind == "scalar" else "beam_$(xy)_$(reim).fits"
        settings = {"filename_pattern": str(beam_files / pattern), "beam_type": kind} | options
        return dialect.compute(field, "Siamese.OMS.pybeams_fits", settings, sources=[source], pointing_offsets=pointing)

    return compute


@pytest.mark.parametrize("kind", ["2x2", "diagonal", "scalar"])
def test_beams_from_fits_cubes(dialect, computed, tile, kind):
    field, (l, m) = dialect.field(), np.deg2rad([0.3, -0.2])
    source = field.point("off", l, m)
    value = evaluate(computed(field, kind, source, sky_rotation=False)(source, "1"), tile())
    value = value if value.ndim == 2 else value[0, 0]
    np.testing.assert_allclose(value[0], response(l, m, tile().frequency), rtol=1e-4)


def test_beams_from_fits_cubes_that_turn_and_are_pointed(dialect, computed, tile):
    """Offsets are along the axes of the dish: directions are turned first."""
    here, field, (l, m) = tile(), dialect.field(), np.deg2rad([0.3, -0.2])
    source = field.point("off", l, m)
    for i, p in enumerate(field.stations):
        field.ns.dlm(p) << Meq.Composer(1e-3 * i, -5e-4)
    jones = computed(field, "2x2", source, field.ns.dlm, sky_rotation=True)
    angle = field.observation.phase_centre.pa(field.array.xyz("2"))
    value, pa = evaluate([jones(source, "2"), angle], here)
    x, y = np.cos(pa) * l - np.sin(pa) * m - 2e-3, np.sin(pa) * l + np.cos(pa) * m + 5e-4
    np.testing.assert_allclose(value[0, 0], response(x, y, here.frequency), rtol=1e-4)
    assert not value[0, 1].any()
