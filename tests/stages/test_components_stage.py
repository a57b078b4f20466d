"""components: the terms of mtmfs as ordinary polynomials; an empty model as an empty list."""

import numpy as np

from imaging.algorithms.components import draw
from imaging.image import Grid, Image
from imaging.io.component_list import load_components
from imaging.io.images import save_image
from imaging.settings import Settings
from imaging.stages.components import components

GRID = Grid((3.2, 0.6), (1e-5, 1e-5), (32, 32), (1.5e9,), (1e9,))
CONFIG = Settings.of({"clean": {"deconvolver": "mtmfs", "join": [], "fit_spectrum": "none", "fit_terms": 2}})


def write(path, data, grid=GRID):
    save_image(Image(np.asarray(data, np.float32), grid, "Jy/pixel"), path)
    return str(path)


def test_terms_are_polynomials_about_the_reference_frequency(tmp_path):
    planes = np.zeros((3, 1, 1, 32, 32))
    planes[:, 0, 0, 10, 20] = [2.0, -1.0, 0.5]
    planes[:2, 0, 0, 12, 5] = [0.1, 0.3]
    terms = [write(tmp_path / f"model.tt{t}.fits", plane) for t, plane in enumerate(planes)]
    weight = write(
        tmp_path / "sumwt.fits", np.ones((5, 1, 1, 1)), Grid((3.2, 0.6), (1e-5, 1e-5), (1, 1), (1.5e9,) * 5, (1e9,) * 5)
    )
    components(terms, weight, components=str(tmp_path / "x.txt"), config=CONFIG)
    listed = load_components(tmp_path / "x.txt")
    assert [(c.stokes[0], c.logarithmic, c.reffreq) for c in listed] == [
        (2, False, 1.5e9),
        (np.float32(0.1), False, 1.5e9),
    ]
    wide = Grid(GRID.centre, GRID.cell, GRID.shape, (1e9, 1.8e9), (1e8,) * 2)
    t = np.array(wide.freq) / 1.5e9 - 1
    np.testing.assert_allclose(draw(listed, wide)[0][:, 0, 10, 20], 2 - t + 0.5 * t**2, rtol=1e-6)


def test_an_empty_model_is_an_empty_list(tmp_path):
    model, weight = write(tmp_path / "model.fits", np.zeros((1, 1, 32, 32))), tmp_path / "sumwt.fits"
    write(weight, np.ones((1, 1, 1, 1)), Grid((3.2, 0.6), (1e-5, 1e-5), (1, 1), (1.5e9,), (1e9,)))
    components(model, str(weight), components=str(tmp_path / "x.txt"), config=CONFIG)
    assert (tmp_path / "x.txt").read_text().startswith("Format = Name, Type, Ra, Dec, I")
