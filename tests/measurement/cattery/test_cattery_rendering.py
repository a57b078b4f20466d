"""Beams of the Cattery for the workflow: pixels all at once are pixels one by one."""

import numpy as np
import pytest

from imaging.measurement.beams import Pixels, pixels, responses
from imaging.measurement.meqmaker import MeqMaker
from imaging.measurement.tiles import Observation
from imaging.measurement.trees import sky_product

pytestmark = pytest.mark.filterwarnings("ignore")
CASES = ["cos3", "circular aperture", "VLA beams", "ionosphere, not relative", "rotation of the sky", "n inverse"]


@pytest.fixture
def observation(dialect):
    p, q = (np.tile(index, 3) for index in np.triu_indices(4, 1))
    place, index = np.random.default_rng(1).uniform(-2000, 2000, (3, 4, 3)), np.repeat(np.arange(3), 6)
    return Observation(
        tuple(dialect.stations), p, q, dialect.start + 300.0 * index, place[index, p] - place[index, q],
        np.array([1e9, 1.1e9]), phase_centre=dialect.centre, positions=dialect.positions,
    )  # fmt: skip


def maker_of(dialect, case, observation, sources):
    name, settings = dialect.sky_cases[case]
    module, options = dialect.module(name)
    dialect.set(options, settings)
    for model in getattr(module, "MODELS", ()):  # which keep their nodes from call to call
        model._prepared = model.pointing_init = False
    maker = MeqMaker(context=observation)
    maker.add_sky_models(Pixels(sources))
    maker.add_sky_jones("E", "beam", module)
    return maker


@pytest.mark.parametrize("case", CASES)
def test_pixels_all_at_once(dialect, case, observation):
    axis = np.array([-0.004, 0.001, 0.003])
    sources = pixels(axis, axis, dialect.centre)
    ((_, tile),) = observation.tiles()
    maker = maker_of(dialect, case, observation, sources)
    (voltage,) = responses(maker, sources, tile)
    (again,) = responses(maker, sources, tile)
    np.testing.assert_array_equal(again, voltage)
    each = maker_of(dialect, case, observation, sources)
    expected = sky_product(each.sky_terms(sources), tile.with_sources(sources))
    assert len(maker.scope.AllNodes()) < len(each.scope.AllNodes())
    if expected.ndim < 6:
        expected = expected[..., None] * np.eye(2) if expected.ndim == 5 else expected[..., None, None] * np.eye(2)
    np.testing.assert_allclose(*np.broadcast_arrays(voltage, expected), rtol=0, atol=1e-9)


def test_a_term_relative_to_its_first_source(dialect, observation):
    """Is relative to the phase centre: 1 there."""
    sources = pixels(np.array([0.0, 0.003]), np.array([0.0]), dialect.centre)
    ((_, tile),) = observation.tiles()
    maker = maker_of(dialect, "ionosphere, travelling waves", observation, sources)
    (voltage,) = responses(maker, sources, tile)
    np.testing.assert_allclose(voltage[0], np.broadcast_to(np.eye(2), voltage[0].shape), atol=1e-9)
    assert np.abs(voltage[1] - voltage[0]).max() > 1e-3
