"""Whatever the modules that come with it do, in any order, is undone; and neither tiles nor the two sums are seen."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imaging.algorithms import simulation
from imaging.algorithms.components import Component
from imaging.image import lm_to_radec
from imaging.measurement.meqmaker import MeqMaker
from imaging.measurement.modules import make
from imaging.measurement.sky.components import ComponentSky
from imaging.measurement.tiles import Observation
from imaging.measurement.trees import Data

CENTRE = (1.2, 0.6)
SCREEN = {"size": 128}
SKY = {
    "AnalyticBeam": [{}, {"kind": "gaussian", "diameters": ["25m", "20m", "25m", "30m", "25m"]},
                     {"kind": "cos3", "squint": 0.05, "parallactic": True}],
    "IonosphereWave": [{"wavelength": "20km", "amplitude": 0.5},
                       {"tec": 9, "amplitude": 0.05, "wavelength": "9km", "differential": True}],
    "IonosphereScreen": [SCREEN | {"diffractive_scale": "1km", "pixel": "2km"}],
    "Troposphere": [SCREEN | {"rms": "1mm", "opacity": 0.1, "pixel": "100m"}],
    "Rotation": [{}],
}  # fmt: skip
STATIONS = {
    "ComplexGains": [
        {"phase": "30deg", "delay": "1e-9s"},
        {"drift": "20deg", "amplitude_wander": 0.1, "ripple": "9deg"},
    ],
    "Bandpass": [{"amplitude": 0.1, "phase": "11deg"}, {"shape": "spline", "amplitude": 0.1, "edge": 0.2}],
    "Leakage": [{"leakage": 0.1, "rms": 0.05}, {"rms": 0.05, "ripple": 0.02, "feeds": "apart"}],
    "Rotation": [{}, {"feed_angle": "20deg", "inverted": True}],
    "Troposphere": [SCREEN | {"rms": "1mm", "opacity": 0.1, "pixel": "100m"}],
}
VISIBILITIES = {"IfrGains": [{"rms": 0.1}], "IfrBiases": [{"rms": "0.5Jy"}]}
few = settings(max_examples=20, deadline=None, derandomize=True)


def chains(modules):
    each = [(name, options) for name, several in modules.items() for options in several]
    return st.lists(st.sampled_from(each), max_size=4)


def observation(feeds):
    positions, names = simulation.vla_antennas("c", 5)
    time = simulation.time_of_hour_angle(np.linspace(-1, 1, 4), CENTRE[0], simulation.VLA_LONGITUDE, 59000.0)
    p, q, time, uvw = simulation.baseline_tracks(positions, time, CENTRE)
    return Observation(tuple(names), p, q, time, uvw, np.linspace(1.3e9, 1.5e9, 6), CENTRE, 1e7, 10.0, feeds, positions)


def sky():
    places = lm_to_radec(np.array([0.002, -0.004, 0.001]), np.array([0.001, 0.003, -0.002]), CENTRE)
    fluxes = [(1.0, 0.1, 0.05, -0.02), (0.7, 0, 0, 0.1), (0.5, -0.6, 0.2, 0)]
    return ComponentSky([Component(f"s{i}", float(ra), float(dec), fluxes[i], (-0.7,), major=1e-4 * (i == 1))
                         for i, (ra, dec) in enumerate(zip(*places, strict=True))])  # fmt: skip


def maker_of(context, sky_terms=(), uv_terms=(), after=(), **more):
    maker = MeqMaker(context=context, **more)
    maker.add_sky_models(sky())
    for number, (name, options) in enumerate(sky_terms):
        pointing = make("PointingErrors", {"rms": "1arcmin"}) if name == "AnalyticBeam" else None
        maker.add_sky_jones(f"E{number}", name, make(name, options), pointing=pointing)
    for number, (name, options) in enumerate(uv_terms):
        maker.add_uv_jones(f"G{number}", name, make(name, options))
    for number, (name, options) in enumerate(after):
        maker.add_vis_proc_module(f"P{number}", name, make(name, options))
    return maker


def agree(a, b, tolerance):
    np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * np.abs(b).max())


@few
@given(chains(STATIONS), chains(VISIBILITIES), st.sampled_from(["linear", "circular"]), st.integers(0, 99))
def test_corrections_of_data(uv_terms, after, feeds, seed):
    maker = maker_of(observation(feeds), (), uv_terms, after, seed=seed)
    tile, rng = next(maker.context.tiles())[1], np.random.default_rng(seed)
    data = rng.normal(size=(len(tile.uvw), 6, 2, 2)) + 1j * rng.normal(size=(len(tile.uvw), 6, 2, 2))
    corrupted = maker.corrupt_uv_data(None, Data(data))
    tree = maker.correct_uv_data(None, corrupted)
    vis, flag = tree.evaluate(tile)
    agree(vis, data, 1e-10)
    assert not flag.any()
    assert tree.singular == 0


@few
@given(chains(SKY), chains(STATIONS), chains(VISIBILITIES), st.sampled_from(["linear", "circular"]))
def test_corrections_toward_each_source(sky_terms, uv_terms, after, feeds):
    context = observation(feeds)
    maker, plain = maker_of(context, sky_terms, uv_terms, after), maker_of(context)
    tile = next(context.tiles())[1]
    for source in maker.get_source_list():
        tree = maker.correct_uv_data(None, maker.make_predict_tree(sources=[source]), sky_correct=source)
        vis, flag = tree.evaluate(tile)
        agree(vis, plain.make_predict_tree(sources=[source.name]).evaluate(tile)[0], 1e-10)
        assert not flag.any()


@few
@given(chains(SKY), chains(STATIONS), chains(VISIBILITIES), st.booleans())
def test_how_it_is_evaluated_is_not_seen(sky_terms, uv_terms, after, smearing):
    context = observation("linear")
    maker = maker_of(context, sky_terms, uv_terms, after, smearing=smearing)
    tree = maker.make_predict_tree()
    whole = tree.evaluate(next(context.tiles())[1])[0]
    rowwise = maker_of(context, sky_terms, uv_terms, after, smearing=smearing, use_decomposition=False)
    agree(rowwise.make_predict_tree().evaluate(next(context.tiles())[1])[0], whole, 1e-12)
    for rows, tile in context.tiles(1):
        agree(tree.evaluate(tile)[0], whole[rows], 1e-11)
    each = [maker.make_predict_tree(sources=[x]).evaluate(next(context.tiles())[1])[0] for x in maker.get_source_list()]
    if not after:
        agree(sum(each), whole, 1e-12)


ROLES = {"sky": SKY, "uv": STATIONS, "after": VISIBILITIES}


@pytest.mark.parametrize(("role", "name"), [(role, name) for role, modules in ROLES.items() for name in modules])
def test_every_one_of_them_does_something(role, name):
    context = observation("linear")
    tile = next(context.tiles())[1]
    plain = maker_of(context).make_predict_tree().evaluate(tile)[0]
    for options in ROLES[role][name]:
        chain = [(name, options)]
        maker = maker_of(context, *{"sky": (chain,), "uv": ((), chain), "after": ((), (), chain)}[role])
        assert np.abs(maker.make_predict_tree().evaluate(tile)[0] - plain).max() > 1e-3
