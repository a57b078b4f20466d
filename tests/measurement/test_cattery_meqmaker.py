"""The Cattery's own MeqMaker and ours, with the same real modules of the Cattery: the same visibilities."""

import importlib
import importlib.util
import os
import random
import sys
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from imaging.measurement import compat, literal
from imaging.measurement.expressions import NodeScope
from imaging.measurement.expressions.options import assign, declared, symbols
from imaging.measurement.meqmaker import MeqMaker
from imaging.measurement.trees import Data

pytestmark = pytest.mark.filterwarnings("ignore")  # the Cattery's own
ANGLE = {"enable_pa": "enabled", "feed_angle": "10"}


def _folder():
    path = os.environ.get("FRINGEFLOW_CATTERY")
    if path:
        return Path(path)
    found = importlib.util.find_spec("Cattery")
    return Path(found.submodule_search_locations[0]) if found else None


@pytest.fixture(scope="module")
def cattery():
    folder = _folder()
    if folder is None or not folder.is_dir():
        pytest.skip("the Cattery is not installed")
    before, path = set(sys.modules), list(sys.path)
    sys.path[:0] = [str(folder), str(folder.parent)]
    compat.install()
    try:
        from Meow import Context, MSUtils

        Context.mssel = MSUtils.MSSelector()
        Context.mssel.msname = "absent.ms"
        yield importlib.import_module
    finally:
        compat.uninstall()
        sys.path[:] = path
        for name in set(sys.modules) - before:
            if name.split(".")[0] in ("Meow", "Cattery", "Siamese", "Calico", "Lions"):
                del sys.modules[name]


class Seeded:
    """A module of the Cattery that draws the same numbers each time."""

    def __init__(self, module, seed=7):
        self.module, self.seed = module, seed

    def __getattr__(self, name):
        made = getattr(self.module, name)
        if not name.startswith("compute_"):
            return made

        def compute(*arguments, **keywords):
            random.seed(self.seed)
            return made(*arguments, **keywords)

        return compute


def options_of(module, settings):
    items = module.compile_options() if hasattr(module, "compile_options") else declared(module)
    for option in symbols(items).values():
        option.reset()
    assign(items, settings)


def module_of(cattery, name, label, settings=None):
    path, _, kind = name.partition(":")
    module = cattery(path)
    module = getattr(module, kind)() if kind.startswith("Ifr") else getattr(module, kind)(label) if kind else module
    options_of(module, settings or {})
    return module


def theirs(observation, sky, sky_terms, uv_terms, processors, smearing=False):
    """Rows of visibilities by the Cattery's MeqMaker, its nodes evaluated."""
    from Meow import Context, IfrArray, Observation
    from Meow.MeqMaker import MeqMaker as CatteryMaker

    ns = NodeScope()
    ns._evaluators[literal.ENDS] = {
        "time0": float(np.min(observation.time)), "time1": float(np.max(observation.time)),
        "freq0": float(np.min(observation.freq)), "freq1": float(np.max(observation.freq)),
    }  # fmt: skip
    circular = observation.feeds == "circular"
    before = Context.array, Context.observation
    Context.set(
        IfrArray(ns, list(observation.stations), ms_uvw=True, positions=observation.positions),
        Observation(ns, circular=circular, linear=not circular, phase_centre=observation.phase_centre),
    )
    try:
        maker = CatteryMaker(namespace="me", use_jones_inspectors=True, use_skyjones_visualizers=False)
        maker.add_sky_models([sky])
        wanted = {}
        for label, module, pointing in sky_terms:
            maker.add_sky_jones(label, label, [module], pointing=pointing and [pointing])
            wanted |= {f"me.{label}_enable": True} | ({f"me.{label}pe_enable": True} if pointing else {})
        for label, module in uv_terms:
            maker.add_uv_jones(label, label, [module])
            wanted[f"me.{label}_enable"] = True
        for label, module in processors:
            maker.add_vis_proc_module(label, label, [module])
            wanted[f"me.{label}_enable"] = True
        assign(maker.compile_options(), {**wanted, "me.use_smearing": smearing})
        vis = maker.make_predict_tree(ns)
        if processors:
            vis = maker.apply_visibility_processing(ns, vis)
        shake(ns)
        tile = next(observation.tiles())[1]
        return literal.Visibilities(vis, observation.ifrs()).evaluate(tile)[0], tile
    finally:
        Context.array, Context.observation = before


def ours(observation, sky, sky_terms, uv_terms, processors, **more):
    maker = MeqMaker(context=observation, **more)
    maker.add_sky_models(sky)
    for label, module, pointing in sky_terms:
        maker.add_sky_jones(label, modules=module, pointing=pointing)
    for label, module in uv_terms:
        maker.add_uv_jones(label, modules=module)
    for label, module in processors:
        maker.add_vis_proc_module(label, modules=module)
    return maker


SKY = {
    "source_flux": 1.0,
    "grid_size": 3,
    "grid_step": 5.0,
    "source_pol": True,
    "source_qi": 0.1,
    "source_ui": -0.2,
    "source_vi": 0.05,
}
SKIES = {
    "points": {"source_spi": -0.7, "source_freq0": 1400.0},
    "circle": {"model_func": "circ_grid_model", "source_spi": -0.7, "source_spi_2": 0.2, "source_freq0": 1400.0},
    "unpolarised": {"source_pol": False},
    "Gaussians": {"source_type": "gaussian", "gauss_smaj": 40.0, "gauss_smin": 20.0, "gauss_pa": 30.0},
}
BEAM = "Siamese.OMS.analytic_beams"
CHAINS = {
    "sky alone": ([], [], []),
    "beam": (["E"], [], []),
    "beam with pointing errors": (["E+"], [], []),
    "ionosphere": (["Z"], [], []),
    "rotation": (["L"], [], []),
    "gains": ([], ["G"], []),
    "errors of interferometers": ([], [], ["I"]),
    "all": (["Z", "L", "E+"], ["P", "G"], ["I", "B"]),
}


@pytest.fixture
def chain(cattery):
    def made(name):
        gain = {"err-gain.error_model": "SineError", "err-phase.error_model": "RandomError"}
        pointing_errors = {"pe_l.error_model": "RandomError", "pe_m.error_model": "SineError"}
        sky_terms, uv_terms, processors = CHAINS[name]
        known = {
            "E": (BEAM, {"model_type": "use_circular_aperture"}),
            "Z": ("Siamese.OMS.oms_ionosphere", {"tid_x_ampl_0": 0.05, "TEC0": 5}),
            "L": ("Siamese.OMS.rotation:Rotation", ANGLE),
            "P": ("Siamese.OMS.rotation:Rotation", {"enable_pa": "enabled", "feed_angle": "25"}),
            "G": ("Siamese.OMS.oms_gain_models", gain),
            "I": ("Calico.OMS.ifr_based_errors:IfrGains", {}),
            "B": ("Calico.OMS.ifr_based_errors:IfrBiases", {}),
        }

        def module(label):
            path, settings = known[label]
            return Seeded(module_of(cattery, path, label, settings))

        def term(label):
            pointing = None
            if label.endswith("+"):
                path = "Siamese.OMS.oms_pointing_errors"
                pointing = Seeded(module_of(cattery, path, "", pointing_errors), 3)
            return label[0], module(label[0]), pointing

        return [term(x) for x in sky_terms], [(x, module(x)) for x in uv_terms], [(x, module(x)) for x in processors]

    return made


def agree(a, b, tolerance=1e-12):
    np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * np.abs(b).max())


def shake(ns):
    """Give the parameters of interferometers values that go by their names: all are 1 or 0 by default."""
    for node in ns.Search(class_name="Parm"):
        name = ":".join([node.name.split("::")[-1].split(":")[0], *node.quals[-3:]])
        node.set_options(value=1 + zlib.crc32(name.encode()) / 2**33)


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("feeds", ["linear", "circular"])
def test_the_makers_give_the_same_visibilities(cattery, chain, observe, name, feeds):
    observation = observe(feeds, stations=4)
    sky = module_of(cattery, "Siamese.OMS.gridded_sky", "", SKY | SKIES["points"])
    terms = chain(name)
    wanted, tile = theirs(observation, sky, *terms)
    maker = ours(observation, sky, *terms)
    tree = maker.make_predict_tree()
    shake(maker.scope)
    vis, flag = tree.evaluate(tile)
    assert not flag.any()
    agree(vis, wanted)


@pytest.mark.parametrize("kind", SKIES)
def test_skies_of_each_kind(cattery, chain, observe, kind):
    observation = observe(stations=4)
    sky = module_of(cattery, "Siamese.OMS.gridded_sky", "", SKY | SKIES[kind])
    terms = chain("beam with pointing errors")
    wanted, tile = theirs(observation, sky, *terms)
    agree(ours(observation, sky, *terms).make_predict_tree().evaluate(tile)[0], wanted)


def test_corruptions_by_theirs_are_undone_by_ours(cattery, chain, observe):
    observation = observe(stations=4)
    sky = module_of(cattery, "Siamese.OMS.gridded_sky", "", {"grid_size": 1, "source_flux": 1.0})
    terms = chain("all")
    wanted, tile = theirs(observation, sky, *terms)
    maker = ours(observation, sky, *terms)
    (source,) = maker.get_source_list()
    tree = maker.correct_uv_data(None, Data(wanted), sky_correct=source)
    shake(maker.scope)
    vis, flag = tree.evaluate(tile)
    assert not flag.any()
    agree(vis, ours(observation, sky, [], [], []).make_predict_tree().evaluate(tile)[0], 1e-11)


def test_native_terms_among_those_of_the_cattery(cattery, chain, observe):
    from imaging.measurement.jones.beams import PointingErrors
    from imaging.measurement.jones.gains import ComplexGains

    observation = observe(stations=4)
    sky = module_of(cattery, "Siamese.OMS.gridded_sky", "", SKY)
    ((label, beam, _),), _, _ = chain("beam")
    maker = ours(observation, sky, [(label, beam, PointingErrors(rms=1e-3))], [("G", ComplexGains(0.1, 0.5))], [])
    tile = next(observation.tiles())[1]
    vis, flag = maker.make_predict_tree().evaluate(tile)
    tree = maker.correct_uv_data(None, maker.make_predict_tree(), sky_correct=None)
    without = ours(observation, sky, [(label, beam, PointingErrors(rms=1e-3))], [], [])
    agree(tree.evaluate(tile)[0], without.make_predict_tree().evaluate(tile)[0])
    assert np.abs(vis - without.make_predict_tree().evaluate(tile)[0]).max() > 0.1


STATION = {
    "leakage": ("Siamese.OMS.leakage:Leakage", {"d": 0.04}),
    "feed angle": ("Siamese.OMS.feed_angle", {"feed_angle": "30"}),
    "feed angle, parallactic": ("Siamese.OMS.feed_angle", {"enable_pa": True}),
    "real and imaginary": ("Calico.OMS.solvable_jones:DiagRealImag", {}),
    "full": ("Calico.OMS.solvable_jones:FullRealImag", {}),
    "amplitude and phase": ("Calico.OMS.solvable_jones:DiagAmplPhase", {}),
}
for _model in ("FixedOffset", "ListOfValues", "RandomError", "RandomPolc", "SineError"):
    STATION[_model] = ("Siamese.OMS.oms_gain_models", {"err-gain.error_model": _model, "err-phase.error_model": _model})
BEAMS = {
    "cos3": (BEAM, {"model_type": "use_wsrt_cos3"}),
    "clipped sinc": (BEAM, {"model_type": "use_clipped_sinc"}),
    "ionosphere, wedge": ("Siamese.OMS.oms_ionosphere", {"iono_model": "wedge_model", "wedge_max": 1}),
    "ionosphere 2": ("Siamese.OMS.oms_ionosphere2", {"tid_x_ampl_0": 0.05, "TEC0": 5}),
    "n inverse": ("Siamese.OMS.oms_n_inverse", {}),
    "dipole projection": ("Siamese.OMS.oms_dipole_projection", {}),
    "VLA": ("Siamese.OMS.vla_beams", {}),
    "WSRT": ("Siamese.OMS.wsrt_beams", {}),
    "positions shifted": ("Siamese.OMS.position_shifts", {"shift_type": "shift_lm_offset", "dl_arcsec": 3}),
    "declinations shifted": ("Siamese.OMS.position_shifts", {"shift_type": "shift_del_offset", "del_rate": 1}),
    "field rotated": ("Siamese.OMS.position_shifts", {"shift_type": "shift_field_rot", "rot_deg": 1}),
    "real and imaginary": ("Calico.OMS.solvable_sky_jones:DiagRealImag", {}),
    "amplitude and phase": ("Calico.OMS.solvable_sky_jones:DiagAmplPhase", {}),
    "Faraday rotation": ("Calico.OMS.solvable_sky_jones:IntrinsicFR", {}),
    "solvable cos3": ("Calico.OMS.wsrt_cos3_beam:WSRTCos3Beam", {}),
    "refraction": ("Calico.OMS.solvable_refraction", {}),
    "gradients": ("Calico.OMS.gradient_mim", {}),
    "solvable positions": ("Calico.OMS.solvable_position_shifts", {}),
}
MODELS = {
    "transient": ("Siamese.OMS.transient_sky", {}),
    "azimuth and elevation": ("Siamese.AGW.azel_sky", {}),
    "grid of Lions": ("Lions.gridded_sky", {}),
    "one at the centre": ("Calico.OMS.central_point_source", {}),
}


def _sets_each(cattery, name, label, settings):
    """As module_of, but a symbol is set in each namespace that has it."""
    module = module_of(cattery, name, label)
    items = module.compile_options() if hasattr(module, "compile_options") else declared(module)
    for key, option in symbols(items).items():
        for wanted in {key, option.symbol} & settings.keys():
            option.set(settings[wanted])
    return Seeded(module)


@pytest.mark.parametrize("name", STATION)
def test_each_station_jones_in_both_makers(cattery, observe, name):
    observation = replace(observe(stations=4), stations=tuple("0123"))
    sky = module_of(cattery, "Siamese.OMS.gridded_sky", "", SKY | SKIES["points"])
    path, settings = STATION[name]
    terms = [], [("G", _sets_each(cattery, path, "G", settings))], []
    wanted, tile = theirs(observation, sky, *terms)
    maker = ours(observation, sky, *terms)
    tree = maker.make_predict_tree()
    shake(maker.scope)
    agree(tree.evaluate(tile)[0], wanted)


@pytest.mark.parametrize("name", BEAMS)
def test_each_sky_jones_in_both_makers(cattery, observe, name):
    observation = replace(observe(stations=4), stations=tuple("0123"))
    sky = module_of(cattery, "Siamese.OMS.gridded_sky", "", SKY | SKIES["points"])
    path, settings = BEAMS[name]
    terms = [("E", _sets_each(cattery, path, "E", settings), None)], [], []
    wanted, tile = theirs(observation, sky, *terms)
    maker = ours(observation, sky, *terms)
    tree = maker.make_predict_tree()
    shake(maker.scope)
    agree(tree.evaluate(tile)[0], wanted)


@pytest.mark.parametrize("name", MODELS)
def test_each_sky_model_in_both_makers(cattery, chain, observe, name):
    (path, settings) = MODELS[name]
    observation = replace(observe(stations=4), stations=tuple("0123"))
    sky, terms = module_of(cattery, path, "", settings), chain("gains")
    wanted, tile = theirs(observation, sky, *terms)
    maker = ours(observation, sky, *terms)
    tree = maker.make_predict_tree()
    shake(maker.scope)
    agree(tree.evaluate(tile)[0], wanted)
