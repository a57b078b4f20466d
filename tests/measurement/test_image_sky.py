"""Model images as skies: against the direct sum over their pixels."""

import numpy as np
import pytest

from imaging.algorithms.components import Component
from imaging.errors import ImagingError
from imaging.image import Grid, Image, lm_to_radec
from imaging.io.fits import save
from imaging.measurement.contracts import ArrayProcess
from imaging.measurement.jones.beams import AnalyticBeam
from imaging.measurement.meqmaker import MeqMaker
from imaging.measurement.sky.components import ComponentSky
from imaging.measurement.sky.image import FitsImageSky

CENTRE = (1.2, 0.6)  # the observation's
CELL = (4e-4, 3e-4)


def predict(observation, sky, *terms, process=None, **more):
    maker = MeqMaker(context=observation, **more)
    maker.add_sky_models(sky)
    for number, term in enumerate(terms):
        maker.add_sky_jones(f"E{number}", modules=term)
    if process:
        maker.add_sky_vis_proc_module("S", modules=process)
    return maker.make_predict_tree().evaluate(next(observation.tiles())[1])[0]


@pytest.fixture
def model(tmp_path):
    """model(freq, stokes, centre, number of pixels, unit): the file of an image, and its pixels as components."""

    def make(freq=(1.4e9,), stokes=("I",), centre=CENTRE, number=9, unit="Jy/pixel"):
        rng = np.random.default_rng(4)
        grid = Grid(centre, CELL, (44, 60), freq, tuple(1e6 for _ in freq), stokes)
        data, (l, m) = np.zeros(grid.cube_shape, np.float32), grid.lm()
        y, x = rng.integers(0, 44, number), rng.integers(0, 60, number)
        data[:, :, y, x] = rng.uniform(0.1, 1, (len(freq), len(stokes), number))
        save(Image(data, grid, unit), tmp_path / "sky.fits")
        pixels = []
        for i, j in sorted(set(zip(y.tolist(), x.tolist(), strict=True))):
            ra, dec = lm_to_radec(l[j], m[i], centre)
            pixels.append((f"{i},{j}", float(ra), float(dec), data[:, :, i, j].astype(float)))
        return str(tmp_path / "sky.fits"), pixels

    return make


def components(pixels, stokes=("I",)):
    return ComponentSky([
        Component(name, ra, dec, tuple(float(values[0, stokes.index(s)]) if s in stokes else 0.0 for s in "IQUV"))
        for name, ra, dec, values in pixels
    ])  # fmt: skip


def agree(a, b, tolerance):
    np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * np.abs(b).max())


@pytest.mark.parametrize("feeds", ["linear", "circular"])
@pytest.mark.parametrize("centre", [CENTRE, (1.23, 0.58)])
def test_an_image_is_the_sum_of_its_pixels(observe, model, feeds, centre):
    stokes = ("I", "Q", "U", "V")
    path, pixels = model(stokes=stokes, centre=centre)
    expected = predict(observe(feeds), components(pixels, stokes))
    agree(predict(observe(feeds), FitsImageSky(path)), expected, 1e-6)
    agree(predict(observe(feeds), FitsImageSky(path, facets=3, epsilon=1e-10)), expected, 1e-9)


def test_between_channels_it_is_linear_and_beyond_them_constant(observe, model):
    path, pixels = model(freq=(1.45e9, 1.35e9))
    observation = observe(freq=np.array([1.3e9, 1.35e9, 1.37e9, 1.45e9, 1.6e9]))
    expected = 0
    for channel, weight in ((0, [0, 0, 0.2, 1, 1]), (1, [1, 1, 0.8, 0, 0])):
        one = components([(*which, values[channel:]) for *which, values in pixels])
        expected = expected + predict(observation, one) * np.array(weight)[:, None, None]
    agree(predict(observation, FitsImageSky(path)), expected, 1e-6)
    (facet,) = FitsImageSky(path).source_list()
    total = sum(values[:, 0] for *_, values in pixels)
    light = facet.brightness(next(observation.tiles())[1])
    np.testing.assert_allclose(light[0, :, 0, 0], np.interp(observation.freq, [1.35e9, 1.45e9], total[::-1]))


def test_facets_see_jones_terms_toward_their_middle(observe, model, fixed):
    path, pixels = model(number=1)
    terms = AnalyticBeam(25.0), fixed("full", 1, (3, 6))
    sky = components(pixels)
    sky.sources[0].name = "sky:0"
    agree(predict(observe(), FitsImageSky(path), *terms), predict(observe(), sky, *terms), 1e-6)
    path, pixels = model(number=12)
    exact = predict(observe(), components(pixels), AnalyticBeam(25.0))
    errors = [np.abs(predict(observe(), FitsImageSky(path, facets=n), AnalyticBeam(25.0)) - exact).max()
              for n in (1, 3, 20)]  # fmt: skip
    assert errors[0] > 3 * errors[1] > 30 * errors[2]


def test_threads_and_processors(observe, model, fixed):
    class Halved:
        def process_visibilities(self, nodes, input_nodes, sources, **kw):
            return ArrayProcess(lambda vis, tile: vis / 2)

    path, _ = model()
    sky, term = FitsImageSky(path, facets=2), fixed("full", 1, (3, 6))
    one = predict(observe(), sky, term)
    np.testing.assert_array_equal(predict(observe(), sky, term, threads=2), one)
    np.testing.assert_array_equal(predict(observe(), sky, term, process=Halved()), one / 2)


def test_an_image_beside_points(observe, model, sky):
    path, _ = model()
    image = FitsImageSky(path)
    both = predict(observe(), [sky, image])
    agree(both, predict(observe(), sky) + predict(observe(), image), 1e-14)


def test_what_is_left_out_and_the_size(observe, model):
    path, pixels = model()
    bright = [one for one in pixels if one[3][0, 0] >= 0.5]
    assert 0 < len(bright) < len(pixels)
    agree(predict(observe(), FitsImageSky(path, threshold=0.5)), predict(observe(), components(bright)), 1e-6)
    assert FitsImageSky(path).estimate_image_size() == pytest.approx(np.degrees(60 * CELL[0]) * 60)
    with pytest.raises(ImagingError, match="empty"):
        FitsImageSky(path, threshold=2.0).source_list()


def test_what_is_no_model(model):
    with pytest.raises(ImagingError, match="no model of the sky"):
        FitsImageSky(model(unit="Jy/beam")[0]).source_list()
    with pytest.raises(ImagingError, match="no such sky model"):
        FitsImageSky("sky.fits", facets=0)
