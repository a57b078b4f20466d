"""Joined channels as people start them: all products, a resumed and an extended run, fluxes and spectra."""

import numpy as np
import pytest

from imaging.algorithms.components import Component
from imaging.image import lm_to_radec
from imaging.io.images import load_image
from imaging.names import Names

FREQ = np.linspace(1.05e9, 1.95e9, 6)
SOURCES = {(0, 0): (1.0, -0.7), (200, 160): (0.4, 1.0), (-240, 80): (0.5, -1.5)}  # arcsec: Jy at 1.5 GHz, index


@pytest.fixture
def wide(project_of, make_ms, tmp_path):
    centre = (np.radians(202.784), np.radians(30.509))
    components = []
    for (l, m), (flux, index) in SOURCES.items():
        ra, dec = lm_to_radec(np.radians(l / 3600), np.radians(m / 3600), centre)
        components.append(Component(f"at {l}", float(ra), float(dec), (flux, 0, 0, 0), index, 1.5e9))
    ms = make_ms(tmp_path / "wide.ms", nant=15, ntime=12, freq=FREQ, components=components, rms=0.02)
    return project_of({
        "name": "wide", "data": {"vis": str(ms)},
        "image": {"imsize": 128, "cell": "8arcsec", "specmode": "cube"},
        "weighting": {"weighting": "briggs", "robust": 0},
        "primary_beam": {"pbmodel": "none"},
        "clean": {"deconvolver": "wideband", "join": "channels", "fit_spectrum": "logpolynomial", "niter": 5000,
                  "nsigma": 2, "automask_sigma": 5},
    })  # fmt: skip


def test_fluxes_and_spectra_of_joined_channels(wide):
    done = wide.run()
    assert "the deconvolver says that it is done" in done.stdout
    names = Names("wide", str(wide.folder / "results"))
    model = load_image(names.model())
    for (l, m), (flux, index) in SOURCES.items():
        x, y = round(64 - l / 8), round(64 + m / 8)
        found = model.data[:, 0, y - 3 : y + 4, x - 3 : x + 4].sum((1, 2))
        slope, middle = np.polyfit(np.log(np.array(model.grid.freq) / 1.5e9), np.log(found), 1)
        assert np.exp(middle) == pytest.approx(flux, rel=0.03)
        assert slope == pytest.approx(index, abs=0.06)
    image = load_image(names.image_mfs())
    assert image.data.shape == (1, 1, 128, 128)
    assert image.beams[0].major > 0
    assert len(load_image(names.image()).beams) == len(FREQ)  # the cube has its table of beams
    assert not (wide.results / "wide.image.mfs.pbcor.fits").exists()

    first = wide.products()
    for path in wide.results.glob("wide.*"):  # as if it had ended after the first minor cycle
        if path.is_file() and not any(part in path.name for part in (".cycle000.", ".psf.", ".pb.", ".sumwt.")):
            path.unlink()
    wide.run()
    assert "ingest" not in wide.jobs()
    assert wide.products() == first

    wide.run("clean.nsigma=1.5")
    assert not {"ingest", "weights", "psf", "pb"} & wide.jobs().keys()
    assert wide.jobs()["minor_cycle"] > 0
    wide.run("clean.nsigma=1.5", "restore.pbcor=true")
    assert {"pbcor", "mfs_pbcor"} <= wide.jobs().keys()
    assert not {"psf", "minor_cycle", "major_cycle"} & wide.jobs().keys()
    assert (wide.results / "wide.image.mfs.pbcor.fits").exists()
