"""Real observations against direct Fourier sums, known fluxes and catalogue positions: the stages, in this process."""

import csv
import re

import numpy as np
import pytest

from imaging.config import Config
from imaging.io.images import load_image
from imaging.settings import Settings
from imaging.stages.ingest import ingest
from imaging.stages.major_cycle import major_cycle
from imaging.stages.weights import weights

ARCHIVES = {"mwa_1102865728_cal": "mwa_1102865728_cal", "vla_3c286_L": "vla_3c286_L", "vela-60": "askap_vela-60",
            "vlba_m87_8GHz": "vlba_m87_8GHz", "lofar_msss_3c48": "lofar_msss_3c48"}  # fmt: skip


@pytest.fixture(scope="module")
def dirty(unpacked, tmp_path_factory):
    """dirty(set, image, data={...}, ...): the dirty image; visibilities and weights are kept for the next call."""
    folder, made = tmp_path_factory.mktemp("accuracy"), {}

    def make(name: str, image: dict, gridding=None, data=None, weighting=None):
        values = {
            "data": {"vis": str(unpacked(ARCHIVES[name]))} | (data or {}),
            "image": image,
            "gridding": gridding or {},
            "weighting": weighting or {},
        }
        config = Config.parse(values)
        of = {stage: Settings.of(config.settings(stage)) for stage in ("ingest", "weights", "major_cycle")}
        key = repr((of["ingest"], of["weights"]))
        if key not in made:
            vis, imaging_weights = (str(folder / f"{len(made)}.{what}") for what in ("vis", "weights"))
            ingest(list(config.data.vis), vis=vis, config=of["ingest"])
            weights(vis, weights=imaging_weights, config=of["weights"])
            made[key] = vis, imaging_weights
        path = str(folder / "dirty.fits")
        major_cycle(*made[key], residual=path, config=of["major_cycle"], threads=2)
        return load_image(path)

    return make


def read_sums(path):
    """Pixels per side, cell in arcsec, and (x, y, Jy/beam) of a truth file."""
    with open(path) as file:
        pixels, cell = re.search(r"N=(\d+) cell=(\S+) arcsec", file.readline()).groups()
        rows = [(int(row["x"]), int(row["y"]), float(row["dft_Jy_per_beam"])) for row in csv.DictReader(file)]
    return int(pixels), float(cell), np.array(rows)


@pytest.mark.parametrize("epsilon", [1e-3, 1e-4, 2e-5])
@pytest.mark.parametrize("name", ["mwa_1102865728_cal", "vla_3c286_L", "vela-60", "vlba_m87_8GHz"])
def test_dirty_image_is_the_direct_sum(dirty, data, name, epsilon):
    pixels, cell, rows = read_sums(data / "truth" / f"dft_{ARCHIVES[name]}.csv")
    x, y = rows[:, :2].astype(int).T
    image = dirty(
        name, {"imsize": pixels, "cell": f"{cell}arcsec"}, gridding={"epsilon": epsilon, "precision": "single"}
    )
    found = image.data[0, 0]
    peak = np.abs(found).max()
    assert peak > 0.99 * np.abs(rows[:, 2]).max() > 0
    np.testing.assert_array_less(np.abs(found[y, x] - rows[:, 2]), epsilon * peak)


def test_polarised_fluxes_of_the_vela_pulsar(dirty):
    image = dirty("vela-60", {"imsize": 256, "cell": "5arcsec", "stokes": "IQUV"}, gridding={"epsilon": 1e-5})
    assert image.grid.stokes == ("I", "Q", "U", "V")
    centre = image.data[0, :, 128, 128]
    np.testing.assert_allclose(centre, [1.34445, -0.34829, -0.90456, -0.05561], atol=3e-5)


def test_corrected_data_are_the_default(dirty):
    """3C48 is 73.5 Jy at the centre of CORRECTED_DATA; DATA are not calibrated."""
    small = {"imsize": 64, "cell": "1arcsec"}
    assert dirty("lofar_msss_3c48", small).data[0, 0, 32, 32] == pytest.approx(73.5, rel=0.01)
    corrected = dirty("lofar_msss_3c48", small, data={"datacolumn": "corrected"}).data[0, 0]
    assert np.abs(corrected).max() == corrected[32, 32]
    raw = dirty("lofar_msss_3c48", small, data={"datacolumn": "data"}).data[0, 0, 32, 32]
    assert raw == pytest.approx(5e-5, rel=0.2)


BOX = 5  # pixels around a catalogue position
DOUBLE = "nEXT033829-3526"  # two lobes: its brightest spot is 2 pixels from its centre, in CASA and WSClean too


def field_sources(image, catalogue, *, within: float, above: float):
    """Per source (degrees from Fornax A, pixels from its catalogue place to its centroid, Jy/beam at that place).

    Sources `within` so many degrees whose peak in WSClean's clean image was `above` so many sigma.
    """
    pattern = r"^(\S+) .*ra (\S+) dec (\S+) sep (\S+) deg +peak \S+ \((\S+) sig\)"
    found = []
    for name, *numbers in re.findall(pattern, catalogue.read_text(), flags=re.MULTILINE):
        ra, dec, distance, sigmas = map(float, numbers)
        if name != DOUBLE and distance < within and sigmas > above:
            x, y = pixel_of(image.grid, np.radians(ra), np.radians(dec))
            j, i = np.mgrid[round(y) - BOX : round(y) + BOX + 1, round(x) - BOX : round(x) + BOX + 1]
            near = image.data[0, 0, j, i]
            bright = near > near.max() / 2 if near.max() > 0 else np.ones_like(near, bool)
            offset = np.hypot(*(np.average(k[bright], weights=np.abs(near[bright])) - at for k, at in ((i, x), (j, y))))
            found.append((distance, offset, near[BOX - 1 : BOX + 2, BOX - 1 : BOX + 2].max()))
    return np.array(found).T


def pixel_of(grid, ra, dec):
    """Fractional (x, y) in the SIN projection."""
    ra0, dec0 = grid.centre
    l = np.cos(dec) * np.sin(ra - ra0)
    m = np.sin(dec) * np.cos(dec0) - np.cos(dec) * np.sin(dec0) * np.cos(ra - ra0)
    return grid.shape[1] // 2 - l / grid.cell[0], grid.shape[0] // 2 + m / grid.cell[1]


def test_w_term_puts_wide_field_sources_in_their_places(dirty, data):
    """Sources out to 10.6 degrees of the phase centre; and where the array is held to be flat, they are elsewhere.

    Only Fornax A was part of the model that calibrated these data: all other positions are independent of it.
    """
    catalogue = data / "truth" / "mwa_fornax_field_sources_wsclean_briggs0.txt"
    sky, weighting = {"imsize": 1500, "cell": "60arcsec"}, {"weighting": "briggs", "robust": 0}
    images = {
        wterm: dirty("mwa_1102865728_cal", sky, weighting=weighting, gridding={"epsilon": 1e-3, "wterm": wterm})
        for wterm in (True, False)
    }
    distance, offset, flux = field_sources(images[True], catalogue, within=10.6, above=3.5)
    assert len(distance) == 11
    assert distance.max() > 10.5
    assert offset.max() < 1
    _, _, flux_of_flat = field_sources(images[False], catalogue, within=10.6, above=3.5)
    assert (flux_of_flat < flux / 2)[distance > 4].all()
