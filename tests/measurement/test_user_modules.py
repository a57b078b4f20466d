"""Modules written by users to the text of the contracts, as they stand, through MeqMaker, against closed forms."""

import importlib.util
import math
import random
import types

import numpy as np
import pytest

from imaging.measurement import compat, modules
from imaging.measurement.expressions.options import assign
from imaging.measurement.meqmaker import MeqMaker
from imaging.measurement.sky.components import ComponentSky
from imaging.measurement.trees import Data
from imaging.units import SPEED_OF_LIGHT

USER = """
from Timba.TDL import *
from Meow import Context
import math,random
TDLCompileOption('tec_rms','TEC rms, TECU',[.1],more=float)
TDLCompileOption('beam_bf','cos^3 beam factor, 1/GHz',[65.],more=float)
class GJones:
    solvable=False
    def compute_jones(self,Jones,stations=None,tags=None,inspectors=[],**kw):
        rng=random.Random(42)
        for p in stations or Context.array.stations():
            ns=Jones(p).Subscope()
            ns.ph << rng.uniform(-.3,.3)*Meq.Sin(Meq.Time()*(2*math.pi/3600)+rng.uniform(0,6))
            Jones(p) << Meq.Matrix22(Meq.Polar(1.05,ns.ph),0,0,Meq.Polar(.95,ns.ph))
        return Jones
class ZJones:
    def compute_jones(self,Jones,sources,stations=None,inspectors=[],label='Z',**kw):
        ns=Jones.Subscope(); st=stations or Context.array.stations()
        for s in sources:
            l,m=s.direction.l(),s.direction.m()
            for i,p in enumerate(st):
                ns.tec(s,p) << tec_rms*(1+.3*i)*(l*10+m*7)
                Jones(s,p) << Meq.Polar(1,-8.44797245e9*ns.tec(s,p)/Meq.Freq())
        inspectors.append(ns.inspector << Meq.Composer(
            dims=[0],plot_label=['%s:%s'%(s.name,p) for s in sources for p in st],
            *[ns.tec(s,p) for s in sources for p in st]))
        return Jones
class EJones:
    def compute_jones(self,Jones,sources,stations=None,pointing_offsets=None,**kw):
        for s in sources:
            for p in stations or Context.array.stations():
                lm=s.direction.lm()
                if pointing_offsets: lm=Jones.Subscope().lm(s,p) << lm-pointing_offsets(p)
                Jones(s,p) << Meq.Pow(Meq.Cos(Meq.Norm(lm)*(beam_bf*1e-9)*Meq.Freq()),3)
        return Jones
class Pointings:
    def compute_pointings(self,node,stations=None,**kw):
        for i,p in enumerate(stations): node(p) << Meq.Composer(1e-3*i,-2e-3)
        return node
class IfrGain:
    def g(self,nodes,p,q):
        return nodes.Subscope().g(p,q) ** Meq.Constant([[1.5,2.],[.5j,1+.1*len(str(p))]])
    def process_visibilities(self,nodes,input_nodes,ifrs=None,tags=None,inspectors=[],**kw):
        for p,q in ifrs or Context.array.ifrs(): nodes(p,q) << input_nodes(p,q)*self.g(nodes,p,q)
        return nodes
    def correct_visibilities(self,nodes,input_nodes,ifrs=None,tags=None,inspectors=[],**kw):
        for p,q in ifrs or Context.array.ifrs(): nodes(p,q) << input_nodes(p,q)/self.g(nodes,p,q)
        return nodes
"""


@pytest.fixture
def user(tmp_path):
    compat.install(meow=True)
    yield _user_module(tmp_path)
    compat.uninstall()


def _user_module(tmp_path):
    path = tmp_path / "user_modules.py"
    path.write_text(USER)
    spec = importlib.util.spec_from_file_location("user_modules", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def points(component):
    return ComponentSky([
        component("a", 0.004, -0.003, (1.0, 0.2, -0.1, 0.05)), component("b", -0.002, 0.006, (0.5, 0, 0.1, 0)),
    ])  # fmt: skip


def whole(observation):
    return next(observation.tiles())[1]


def expected(observation, points, tec_rms=0.1):
    """The equation as it is written, number by number: (row, chan, 2, 2)."""
    tile, rng = whole(observation), random.Random(42)
    gains = []
    for _ in tile.stations:
        size, start = rng.uniform(-0.3, 0.3), rng.uniform(0, 6)
        phase = size * np.sin(tile.time * (2 * math.pi / 3600) + start)
        gains.append(np.exp(1j * phase)[:, None] * [1.05, 0.95])
    total = np.zeros((len(tile.uvw), len(tile.freq), 2, 2), complex)
    for x in points.source_list():
        l, m, n = x.lmn(tile.phase_centre)
        i, q, u, v = x.component.stokes
        light = np.array([[i + q, u + 1j * v], [u - 1j * v, i - q]])
        jones = []
        for p in range(len(tile.stations)):
            tec = tec_rms * (1 + 0.3 * p) * (l * 10 + m * 7)
            beam = np.cos(np.hypot(l - 1e-3 * p, m + 2e-3) * 65e-9 * tile.freq) ** 3
            jones.append(beam * np.exp(-8.44797245e9j * tec / tile.freq))
        path = tile.uvw @ [l, m, n - 1]
        fringe = np.exp(2j * np.pi * path[:, None] * tile.freq / SPEED_OF_LIGHT)
        station = np.array(jones)
        scalar = fringe * station[tile.antenna1] * station[tile.antenna2].conj()
        total += scalar[..., None, None] * light
    g = np.array(gains)
    first, second = g[tile.antenna1, tile.time_index], g[tile.antenna2, tile.time_index]
    return total * (first[:, :, None] * second[:, None, :].conj())[:, None]


def maker_of(observation, user, points):
    maker = MeqMaker(context=observation)
    maker.add_sky_models(points)
    maker.add_sky_jones("Z", modules=user.ZJones())
    maker.add_sky_jones("E", modules=user.EJones(), pointing=user.Pointings())
    maker.add_uv_jones("G", modules=user.GJones())
    return maker


@pytest.mark.parametrize("times", [0, 1])
def test_the_equation_of_user_modules(observe, user, points, times):
    observation = observe(stations=4)
    maker = maker_of(observation, user, points)
    tree, wanted = maker.make_predict_tree(), expected(observation, points)
    for rows, tile in observation.tiles(times):
        np.testing.assert_allclose(tree.evaluate(tile)[0], wanted[rows], rtol=0, atol=1e-12 * np.abs(wanted).max())


def test_their_inspectors_and_options(observe, user, points):
    observation = observe(stations=4)
    maker = maker_of(observation, user, points)
    maker.make_predict_tree()
    functions = maker.inspector_functions()
    assert list(functions) == ["Z::inspector", "E:dlm:inspector", "E:inspector", "G:inspector"]
    l, m, _ = points.source_list()[0].lmn(observation.phase_centre)
    seen = functions["Z::inspector"](whole(observation))
    np.testing.assert_allclose(seen[0, :4, 0], 0.1 * (1 + 0.3 * np.arange(4)) * (l * 10 + m * 7), rtol=1e-12)
    from imaging.measurement.contracts import module_options

    assign(module_options(user, "compile"), {"tec_rms": "0.3"})
    tree, wanted = maker_of(observation, user, points).make_predict_tree(), expected(observation, points, 0.3)
    np.testing.assert_allclose(tree.evaluate(whole(observation))[0], wanted, rtol=0, atol=1e-12 * np.abs(wanted).max())


def test_their_corruptions_are_undone(observe, user, points):
    observation = observe(stations=4)
    maker, tile = maker_of(observation, user, points), whole(observation)
    maker.add_vis_proc_module("I", modules=user.IfrGain())
    rng = np.random.default_rng(1)
    data = rng.normal(size=(len(tile.uvw), 6, 2, 2)) + 1j * rng.normal(size=(len(tile.uvw), 6, 2, 2))
    corrupted = maker.corrupt_uv_data(None, Data(data))
    assert np.abs(corrupted.evaluate(tile)[0] - data).max() > 0.1
    tree = maker.correct_uv_data(None, corrupted)
    vis, flag = tree.evaluate(tile)
    assert not flag.any()
    np.testing.assert_allclose(vis, data, rtol=0, atol=1e-13)
    toward = maker.correct_uv_data(None, maker.make_predict_tree(sources=["a"]), sky_correct="a").evaluate(tile)[0]
    bare = MeqMaker(context=observation)
    bare.add_sky_models(points)
    np.testing.assert_allclose(toward, bare.make_predict_tree(sources=["a"]).evaluate(tile)[0], atol=1e-13)


def test_a_file_of_a_configuration(observe, user, points, tmp_path):
    observation = observe(stations=4)
    maker = MeqMaker(context=observation)
    maker.add_sky_models(points)
    maker.add_uv_jones("G", modules=modules.make(f"{tmp_path}/user_modules.py:GJones", {}, "G"))
    plain = MeqMaker(context=observation)
    plain.add_sky_models(points)
    tile = whole(observation)
    size = np.abs(maker.make_predict_tree().evaluate(tile)[0][..., 0, 0])
    np.testing.assert_allclose(
        size, 1.05**2 * np.abs(plain.make_predict_tree().evaluate(tile)[0][..., 0, 0]), rtol=1e-12
    )


def test_the_primary_beam_of_a_module_of_nodes(observe, user):
    from imaging.measurement.beams import Pixels, pixels, power, responses

    observation = observe(stations=4)
    grid = np.linspace(-0.004, 0.004, 3)
    maker, sources = MeqMaker(context=observation), pixels(grid, grid, observation.phase_centre)
    maker.add_sky_models(Pixels(sources))
    maker.add_sky_jones("E", modules=user.EJones())
    (voltage,) = responses(maker, sources, whole(observation))
    l, m = (axis.ravel() for axis in np.meshgrid(grid, grid))
    expected = np.cos(np.hypot(l, m)[:, None] * 65e-9 * observation.freq) ** 6
    np.testing.assert_allclose(power(voltage), expected, rtol=1e-7)


def test_a_section_of_a_configuration(observe, user, points, tmp_path):
    from imaging.config_measurement import Measurement
    from imaging.io.component_list import save_components
    from imaging.measurement.build import build

    save_components([x.component for x in points.source_list()], str(tmp_path / "sky.txt"))
    file = f"{tmp_path}/user_modules.py"
    section = Measurement(
        sky_models=[{"module": "ComponentSky", "options": {"components": str(tmp_path / "sky.txt")}}],
        sky_jones=[
            {"label": "Z", "module": f"{file}:ZJones"},
            {"label": "E", "module": f"{file}:EJones", "pointing": {"module": f"{file}:Pointings"}},
        ],
        uv_jones=[{"label": "G", "module": f"{file}:GJones"}],
        vis_proc=[{"label": "I", "module": f"{file}:IfrGain"}],
    )
    observation = observe(stations=4)
    maker = build(types.SimpleNamespace(**section.model_dump()), context=observation)
    tile, wanted = whole(observation), expected(observation, points)
    tree = maker.make_predict_tree()
    corrected = maker.correct_uv_data(None, tree).evaluate(tile)[0]
    gains = tree.evaluate(tile)[0] / wanted
    names = [(tile.stations[p], tile.stations[q]) for p, q in zip(tile.antenna1, tile.antenna2, strict=True)]
    np.testing.assert_allclose(gains[:, :, 0, 0], 1.5, rtol=1e-9)
    np.testing.assert_allclose(gains[:, 0, 1, 1], [1 + 0.1 * len(p) for p, _ in names], rtol=1e-9)
    plain = build(types.SimpleNamespace(**section.model_dump()), ("sky_models", "sky_jones"), context=observation)
    np.testing.assert_allclose(corrected, plain.make_predict_tree().evaluate(tile)[0], rtol=0, atol=1e-13)
