"""Beams from FITS cubes are what codex-africanus makes of the same cubes (make_africanus_equations.py)."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
from astropy.io import fits

from imaging.measurement import contracts
from imaging.measurement.contracts import ArrayPointings
from imaging.measurement.jones import fits_beam
from imaging.measurement.tiles import Observation

CENTRE = (0.4, -0.7)


def test_interpolated_linearly_with_pointing_and_rotation(tmp_path, monkeypatch):
    golden = np.load(Path(__file__).with_name("africanus_beam.npz"))
    freq, pixels, step = golden["cube_freq"], len(golden["cube"]), float(golden["step"])
    header = {
        "CTYPE1": "L",
        "CTYPE2": "M",
        "CTYPE3": "FREQ",
        "CRPIX3": 1,
        "CRVAL3": freq[0],
        "CDELT3": freq[1] - freq[0],
    }
    header |= {f"CRPIX{i}": pixels // 2 + 1 for i in (1, 2)} | {f"CDELT{i}": step for i in (1, 2)}
    for (i, j), name in zip(np.ndindex(2, 2), ("xx", "xy", "yx", "yy"), strict=True):
        values = golden["cube"][..., i, j].T  # (chan, m, l)
        for part, plane in (("re", values.real), ("im", values.imag)):
            fits.PrimaryHDU(plane, fits.Header(header)).writeto(tmp_path / f"{name}_{part}.fits")
    angle = golden["angle"].T  # (station, time)
    monkeypatch.setattr(fits_beam, "parallactic_angle", lambda *where: angle)
    stations = tuple("ABCDE")
    observation = Observation(
        stations, np.zeros(4, int), np.ones(4, int), 5e9 + np.arange(4), np.zeros((4, 3)), golden["freq"], CENTRE,
        positions=np.zeros((5, 3)),
    )  # fmt: skip
    l, m = golden["lm"].T
    sources = [
        SimpleNamespace(name=str(s), lmn=lambda centre, s=s: (l[s], m[s], np.sqrt(1 - l[s] ** 2 - m[s] ** 2)))
        for s in range(len(l))
    ]
    tile = next(observation.tiles())[1].with_sources(sources)
    module = fits_beam.FitsBeam(str(tmp_path / "$(xy)_$(reim).fits"), interpolation="linear", scaling=False)
    offsets = golden["pointing"].swapaxes(0, 1)[:, :, None]
    jones = module.compute_jones(
        SimpleNamespace(name="E"), sources, stations, ArrayPointings(lambda tile: offsets), context=observation
    )
    found = contracts.sky_array(jones, tile)[0]
    expected = golden["beam"].swapaxes(1, 2)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    assert np.abs(np.diff(expected, axis=2)).max() > 0.1
