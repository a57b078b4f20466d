"""Modules of the Cattery that ask our own sources for nodes: terms of no effect leave visibilities as they are."""

import importlib

import numpy as np
import pytest

from imaging.algorithms.components import Component
from imaging.image import lm_to_radec
from imaging.measurement.expressions.options import TDLStealOptions
from imaging.measurement.meqmaker import MeqMaker
from imaging.measurement.sky.components import ComponentSky
from imaging.measurement.tiles import Observation

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def predicted(dialect):
    """predicted(*terms) gives visibilities of two sources through sky terms."""
    p, q = np.triu_indices(4, 1)
    place = np.random.default_rng(1).uniform(-2000, 2000, (4, 3))
    observation = Observation(
        tuple(dialect.stations), p, q, dialect.start + np.zeros(6), place[p] - place[q], np.array([1e9, 1.1e9]),
        phase_centre=dialect.centre, positions=dialect.positions,
    )  # fmt: skip
    places = np.transpose(lm_to_radec(np.array([0.004, -0.002]), np.array([-0.003, 0.005]), dialect.centre))
    sky = ComponentSky([Component(f"s{i}", *place, (1.0 + i, 0, 0, 0)) for i, place in enumerate(places.tolist())])

    def predict(*terms):
        maker = MeqMaker(context=observation)
        maker.add_sky_models(sky)
        for i, term in enumerate(terms):
            maker.add_sky_jones(f"T{i}", f"T{i}", term)
        ((_, tile),) = observation.tiles()
        return maker.make_predict_tree().evaluate(tile)[0]

    return predict


def test_terms_that_ask_for_nodes_of_their_sources(dialect, predicted):
    refraction, options = dialect.module("Calico.OMS.solvable_refraction")
    dialect.set(options, {})
    shifts, options = dialect.module("Siamese.OMS.position_shifts")
    dialect.set(options, {"shift_type": "shift_del_offset", "vis_phase_slope": False})
    plain = predicted()
    np.testing.assert_allclose(predicted(refraction, shifts), plain, atol=1e-6)
    dialect.set(options, {"shift_type": "shift_del_offset", "vis_phase_slope": False, "del_rate": 0.1})
    assert np.abs(predicted(refraction, shifts) - plain).max() > 0.1


def test_a_term_that_asks_what_its_sources_are(dialect, predicted):
    if not dialect.ours:
        pytest.skip("our sources are none of their classes")
    module = importlib.import_module("Lions.ZJones")
    term = module.ZJones()
    dialect.set(TDLStealOptions(term), {"selname": "Lions_PiercePoints_modules_Poly_MIM"})
    np.testing.assert_array_equal(predicted(term), predicted())
