"""The modules of the MeqTrees Cattery, unmodified, over our expressions: `pip install --no-deps meqtrees_cattery`."""

import importlib
import importlib.util
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from imaging.measurement import compat
from imaging.measurement.expressions import Meq, NodeScope, Tile, evaluate
from imaging.measurement.expressions.errors import UndefinedNodeError
from imaging.measurement.expressions.options import TDLStealOptions, assign, symbols

pytestmark = pytest.mark.filterwarnings("ignore")  # the Cattery's own
C = 299792458.0
STATIONS = ["0", "1", "2", "3"]
POSITIONS = np.array([-1601185.4, -5041977.5, 3554875.9]) + 1000.0 * np.arange(12).reshape(4, 3)
START = 59000.25 * 86400


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


class Field:
    """An observation in a scope of its own: three sources, four stations."""

    def __init__(self, circular=False):
        from Meow import Context, IfrArray, Observation

        self.ns = NodeScope()
        self.array = IfrArray(self.ns, STATIONS, ms_uvw=True, positions=POSITIONS)
        self.observation = Observation(self.ns, circular=circular, linear=not circular, phase_centre=(2.0, 0.5))
        Context.set(self.array, self.observation)
        self.lm = {"a": (0.0, 0.0), "b": (0.004, -0.003), "c": (-0.002, 0.005)}
        self.sources = self.point_sources()

    def point_sources(self, prefix=""):
        from Meow import LMDirection, PointSource

        return [
            PointSource(self.ns, prefix + name, LMDirection(self.ns, prefix + name, *lm), I=1)
            for name, lm in self.lm.items()
        ]


def tile(seed=1):
    time = START + 300.0 * np.arange(3)
    random = np.random.default_rng(seed)
    uvw = {(0, q): random.uniform(-2000, 2000, (3, 3)) for q in range(1, 4)}
    return Tile(time, np.array([1.0e9, 1.1e9]), columns={"UVW": uvw})


@pytest.fixture(scope="module")
def load(cattery):
    """The module of a name, and its options; these are declared once, when it is first imported."""
    options = {}

    def loaded(name):
        module = cattery(name)
        if name not in options:
            options[name] = TDLStealOptions(module)
        return module, options[name]

    return loaded


GAIN = "Siamese.OMS.oms_gain_models"
STATION = {
    "leakage": ("Siamese.OMS.leakage:Leakage", {"d": 0.04}),
    "feed angle": ("Siamese.OMS.feed_angle", {"feed_angle": "30"}),
    "feed angle, parallactic": ("Siamese.OMS.feed_angle", {"enable_pa": True}),
    "rotation": ("Siamese.OMS.rotation:Rotation", {"enable_pa": "enabled"}),
    "rotation, circular": ("Siamese.OMS.rotation:Rotation", {"enable_pa": "enabled", "feed_angle": "0"}),
    "solvable, real and imaginary": ("Calico.OMS.solvable_jones:DiagRealImag", {}),
    "solvable, full": ("Calico.OMS.solvable_jones:FullRealImag", {}),
    "solvable, amplitude and phase": ("Calico.OMS.solvable_jones:DiagAmplPhase", {}),
}
for _model in ("FixedOffset", "ListOfValues", "RandomError", "RandomPolc", "SineError"):
    STATION[f"gain, {_model}"] = (GAIN, {"error_model": _model})
SKY = {
    "cos3": ("Siamese.OMS.analytic_beams", {"model_type": "use_wsrt_cos3"}),
    "circular aperture": ("Siamese.OMS.analytic_beams", {"model_type": "use_circular_aperture"}),
    "clipped sinc": ("Siamese.OMS.analytic_beams", {"model_type": "use_clipped_sinc"}),
    "ionosphere, travelling waves": ("Siamese.OMS.oms_ionosphere", {"tid_x_ampl_0": 0.05, "TEC0": 5}),
    "ionosphere, wedge": ("Siamese.OMS.oms_ionosphere", {"iono_model": "wedge_model", "wedge_max": 1}),
    "ionosphere 2": ("Siamese.OMS.oms_ionosphere2", {"tid_x_ampl_0": 0.05, "TEC0": 5}),
    "ionosphere 2, wedge": ("Siamese.OMS.oms_ionosphere2", {"iono_model": "wedge_model", "wedge_max": 1}),
    "n inverse": ("Siamese.OMS.oms_n_inverse", {}),
    "dipole projection": ("Siamese.OMS.oms_dipole_projection", {}),
    "VLA beams": ("Siamese.OMS.vla_beams", {}),
    "WSRT beams": ("Siamese.OMS.wsrt_beams", {}),
    "rotation of the sky": ("Siamese.OMS.rotation:Rotation", {"enable_pa": "enabled"}),
    "positions shifted": ("Siamese.OMS.position_shifts", {"shift_type": "shift_lm_offset", "dl_arcsec": 3}),
    "declinations shifted": ("Siamese.OMS.position_shifts", {"shift_type": "shift_del_offset", "del_rate": 1}),
    "field rotated": ("Siamese.OMS.position_shifts", {"shift_type": "shift_field_rot", "rot_deg": 1}),
    "solvable, real and imaginary": ("Calico.OMS.solvable_sky_jones:DiagRealImag", {}),
    "solvable, amplitude and phase": ("Calico.OMS.solvable_sky_jones:DiagAmplPhase", {}),
    "intrinsic Faraday rotation": ("Calico.OMS.solvable_sky_jones:IntrinsicFR", {}),
    "solvable cos3": ("Calico.OMS.wsrt_cos3_beam:WSRTCos3Beam", {}),
    "refraction": ("Calico.OMS.solvable_refraction", {}),
    "gradients of TEC": ("Calico.OMS.gradient_mim", {}),
    "solvable positions": ("Calico.OMS.solvable_position_shifts", {}),
}
SKY_MODELS = ["Siamese.OMS.gridded_sky", "Siamese.OMS.transient_sky", "Siamese.AGW.azel_sky", "Lions.gridded_sky",
              "Calico.OMS.central_point_source"]  # fmt: skip


def _module(load, name):
    """The module, or an object of its class with options of its own."""
    name, _, class_name = name.partition(":")
    module, options = load(name)
    if not class_name:
        return module, options
    maker = getattr(module, class_name)
    module = maker() if class_name.startswith("Ifr") else maker("J")
    return module, TDLStealOptions(module)


def _set(options, settings):
    """What these say and the defaults for the rest; a symbol is set in each namespace that has it."""
    for option in symbols(options).values():
        option.reset()
    for key, option in symbols(options).items():
        for wanted in {key, option.symbol} & settings.keys():
            option.set(settings[wanted])


def maker_of(field, **options):
    from Meow.MeqMaker import MeqMaker

    made = MeqMaker(namespace="me", **options)
    made.compile_options()
    return made


def compute(load, field, name, settings, **more):
    more = {"pointing_offsets": None, **more}
    module, options = _module(load, name)
    _set(options, settings)
    return module.compute_jones(
        field.ns.J, stations=STATIONS, solvable_sources=set(), tags="J", label="J",
        inspectors=[], meqmaker=maker_of(field), **more,
    )  # fmt: skip


def check(values):
    for value in values:
        assert value.shape[:-2] in ((), (2, 2))
        assert np.isfinite(value).all()


@pytest.mark.parametrize("case", STATION)
def test_a_station_jones_evaluates(load, case):
    field = Field(circular="circular" in case)
    jones = compute(load, field, *STATION[case], sources=None)
    check(evaluate([jones(p) for p in STATIONS], tile()))


@pytest.mark.parametrize("case", SKY)
def test_a_sky_jones_evaluates(load, case):
    field = Field()
    jones = compute(load, field, *SKY[case], sources=field.sources)
    check(evaluate([jones(s, p) for s in field.sources for p in STATIONS], tile()))


@pytest.mark.parametrize("name", SKY_MODELS)
def test_a_sky_model_evaluates(load, name):
    field = Field()
    module, options = _module(load, name)
    sources = module.source_list(field.ns)
    assert sources
    for source in sources:
        brightness = field.ns.brightness(source) << source.coherency(field.array)("0", "1")
        check(evaluate([brightness], tile()))


@pytest.mark.parametrize("model", ["FixedOffset", "RandomError", "SineError"])
def test_pointing_errors_evaluate(load, model):
    field = Field()
    module, options = _module(load, "Siamese.OMS.oms_pointing_errors")
    _set(options, {"error_model": model, "offset": 5})
    pointings = module.compute_pointings(field.ns.dlm, stations=STATIONS, tags="E", label="Epe", inspectors=[])
    for value in evaluate([pointings(p) for p in STATIONS], tile()):
        assert value.shape[0] == 2


def test_pointing_errors_are_none(load):
    module, options = _module(load, "Siamese.OMS.oms_pointing_errors")
    _set(options, {"error_model": "NoError"})
    field = Field()
    assert module.compute_pointings(field.ns.dlm, stations=STATIONS, tags="E", label="Epe", inspectors=[]) is None


@pytest.mark.parametrize("name", ["IfrGains", "IfrBiases"])
def test_interferometer_errors_undo_themselves(load, name):
    field = Field()
    module, _ = _module(load, f"Calico.OMS.ifr_based_errors:{name}")
    for p, q in field.array.ifrs():
        field.ns.vis(p, q) << Meq.Matrix22(1 + 2j, 3, 4j, Meq.Time() * 1e-9)
    more = {"ns": field.ns.Subscope("ifr"), "ifrs": field.array.ifrs(), "tags": "ifr", "label": "ifr"}
    module.process_visibilities(field.ns.out, field.ns.vis, **more)
    module.correct_visibilities(field.ns.back, field.ns.out, **more)
    before, after = evaluate([field.ns.vis("0", "2"), field.ns.back("0", "2")], tile())
    np.testing.assert_allclose(after, before, rtol=1e-14)


# Closed forms ------------------------------------------------------------------------------------


def _values(load, case, kind):
    field = Field()
    name, settings = (STATION if kind == "station" else SKY)[case]
    jones = compute(load, field, name, settings, sources=field.sources if kind == "sky" else None)
    return evaluate(jones("2") if kind == "station" else jones("b", "2"), tile())


def _matrix(rows):
    return np.array(rows)[:, :, None, None]


def test_a_leakage_and_a_feed_angle(load):
    np.testing.assert_allclose(_values(load, "leakage", "station"), _matrix([[1, 0.04], [-0.04, 1]]), rtol=1e-15)
    c, s = np.cos(np.pi / 6), np.sin(np.pi / 6)
    np.testing.assert_allclose(_values(load, "feed angle", "station"), _matrix([[c, -s], [s, c]]), rtol=1e-14)


def test_rotation_and_feed_angle_have_the_parallactic_angle_in_opposite_senses(load):
    ns = NodeScope()
    ns.pa << Meq.ParAngle(radec=Meq.Constant([2.0, 0.5]), xyz=Meq.Constant(POSITIONS[2]))
    angle = evaluate(ns.pa, tile())
    rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    np.testing.assert_allclose(_values(load, "rotation", "station"), rotation, atol=1e-6)
    other = rotation.swapaxes(0, 1)
    np.testing.assert_allclose(_values(load, "feed angle, parallactic", "station"), other, atol=1e-6)


@pytest.mark.parametrize("case", ["cos3", "solvable cos3"])
def test_cos3_beams(load, case):
    expected = np.cos(65e-9 * tile().frequency * 0.005) ** 3
    np.testing.assert_allclose(_values(load, case, "sky")[0], np.maximum(expected, 0.1), rtol=1e-12)


def test_an_airy_beam(load):
    from scipy.special import j1

    x = np.pi * 25 * tile().frequency * 0.005 / C
    np.testing.assert_allclose(_values(load, "circular aperture", "sky")[0, 0, 0], 2 * j1(x) / x, rtol=1e-7)


@pytest.mark.parametrize("case", [case for case in SKY if case.startswith("ionosphere")])
def test_an_ionospheric_phase_goes_as_the_wavelength(load, case):
    value = _values(load, case, "sky")
    value = value if value.ndim == 2 else value[0, 0]
    np.testing.assert_allclose(np.abs(value), 1, rtol=1e-12)
    low, high = tile().frequency
    turned = np.angle(value[:, 0] * np.exp(-1j * np.angle(value[:, 1]) * high / low))
    turns = turned / (2 * np.pi * high / low)  # the phase at the higher frequency is known up to turns
    np.testing.assert_allclose(turns, np.round(turns * low) / low, atol=1e-6)


def test_the_w_term_is_undone(load):
    l, m = 0.004, -0.003
    w = -tile().columns["UVW"][0, 2][2]
    value = np.squeeze(_values(load, "n inverse", "sky"))
    path = w[:, None] * (np.sqrt(1 - l * l - m * m) - 1) * tile().frequency / C
    assert min(np.abs(value - np.exp(sign * 2j * np.pi * path)).max() for sign in (1, -1)) < 1e-9


# The whole measurement equation -----------------------------------------------------------------


def test_meqmaker_makes_the_measurement_equation(load, cattery):
    """Z, E with pointing errors, and G of the Cattery in its own MeqMaker, against sums of matrix products."""
    from Meow import LMDirection, PointSource
    from Meow.MeqMaker import MeqMaker

    field = Field()

    class Sky:
        def source_list(self, ns, **kw):
            return [
                PointSource(ns, name, LMDirection(ns, name, *lm), I=2.0 + i, Q=0.3, U=-0.2, V=0.1 * i)
                for i, (name, lm) in enumerate(list(field.lm.items())[1:])
            ]

    class Sky2Jones:
        def __init__(self, label, make):
            self.__default_label__ = self.__default_name__ = label
            self.make = make

        def compute_jones(self, Jones, sources=None, stations=None, **kw):
            for i, p in enumerate(stations):
                for source in sources or [None]:
                    node = Jones(source, p) if source else Jones(p)
                    node << self.make(source and source.direction.lm(), i)
            return Jones

    def gain(lm, i):
        return Meq.Matrix22(Meq.Polar(1 + 0.1 * i, 0.2 * i), 0.05j * i, 0, 0.9 + 0.02j * i)

    def beam(lm, i):
        return Meq.Cos(Meq.Norm(lm) * 1e-7 * Meq.Freq()) * (1 - 0.01 * i)

    maker = MeqMaker(namespace="whole", use_jones_inspectors=False, use_skyjones_visualizers=False)
    maker.add_sky_models([Sky()])
    maker.add_sky_jones("E", "beam", [Sky2Jones("E", beam)])
    maker.add_uv_jones("G", "gain", [Sky2Jones("G", gain)])
    options = maker.compile_options()
    assert {"whole.E_enable", "whole.G_enable"} <= symbols(options).keys()
    assign(options, {"whole.E_enable": True, "whole.G_enable": True})
    vis = maker.make_predict_tree(field.ns)
    here = tile()
    uvw = here.columns["UVW"]
    (value,) = evaluate([vis("1", "3")], here)
    total = np.zeros((3, 2, 2, 2), complex)
    for i, (l, m) in enumerate(list(field.lm.values())[1:]):
        brightness = np.array([[2.0 + i + 0.3, -0.2 + 0.1j * i], [-0.2 - 0.1j * i, 2.0 + i - 0.3]])
        u, v, w = uvw[0, 3] - uvw[0, 1]
        path = u * l + v * m + w * (np.sqrt(1 - l * l - m * m) - 1)
        phase = np.exp(2j * np.pi * path[:, None] * here.frequency / C)
        e = np.cos(np.hypot(l, m) * 1e-7 * here.frequency)
        total += (phase * e**2 * 0.99 * 0.97)[..., None, None] * brightness
    g = [np.array([[(1 + 0.1 * i) * np.exp(0.2j * i), 0.05j * i], [0, 0.9 + 0.02j * i]]) for i in range(4)]
    expected = np.einsum("ij,tfjk,lk->iltf", g[1], total, g[3].conj())
    np.testing.assert_allclose(value, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


@pytest.fixture
def beam_files(tmp_path):
    """A real beam exp(-r^2 nu/GHz), r in degrees, for xx and yy, in cubes of nine planes."""
    from astropy.io import fits

    offset = (np.arange(21) - 10) * 0.1
    r2 = offset**2 + offset[:, None] ** 2
    for name in ("xx_re", "xx_im", "xy_re", "xy_im", "yx_re", "yx_im", "yy_re", "yy_im", "re", "im"):
        amplitude = float(name in ("xx_re", "yy_re", "re"))
        cube = fits.PrimaryHDU(amplitude * np.exp(-r2 * np.arange(0.6, 1.41, 0.1)[:, None, None]))
        for axis, (kind, value, step, pixel, unit) in enumerate(
            [("L", 0, 0.1, 11, "deg"), ("M", 0, 0.1, 11, "deg"), ("FREQ", 1e9, 1e8, 5, "Hz")], start=1
        ):
            cube.header.update(
                {f"CTYPE{axis}": kind, f"CRVAL{axis}": value, f"CDELT{axis}": step, f"CRPIX{axis}": pixel}
            )
            cube.header[f"CUNIT{axis}"] = unit
        cube.writeto(tmp_path / f"beam_{name}.fits")
    return tmp_path


@pytest.mark.parametrize("kind", ["2x2", "diagonal", "scalar"])
def test_beams_from_fits_cubes(load, beam_files, kind, monkeypatch):
    from Meow import Context

    field = Field()
    field.lm = {"b": tuple(np.deg2rad([0.3, -0.2]))}
    sources = field.point_sources("node")
    monkeypatch.setattr(Context.mssel, "get_full_antenna_name", lambda p: f"ANT{p}", raising=False)
    pattern = "beam_$(reim).fits" if kind == "scalar" else "beam_$(xy)_$(reim).fits"
    settings = {"filename_pattern": str(beam_files / pattern), "beam_type": kind, "sky_rotation": False}
    jones = compute(load, field, "Siamese.OMS.pybeams_fits", settings, sources=sources)
    value = evaluate(jones(sources[0], "1"), tile())
    value = value if value.ndim == 2 else value[0, 0]
    radius = np.rad2deg(np.arcsin(np.hypot(*field.lm["b"])))
    np.testing.assert_allclose(value[0], np.exp(-(radius**2) * tile().frequency * 1e-9), rtol=1e-4)


@pytest.mark.parametrize("smearing", [False, True])
def test_meqmaker_with_smearing_and_gaussians(cattery, smearing):
    from Meow import GaussianSource, LMDirection
    from Meow.MeqMaker import MeqMaker

    field = Field()
    l, m, lproj, mproj, ratio = 0.004, -0.003, 1e-4, 5e-5, 0.6

    class Sky:
        def source_list(self, ns, **kw):
            return [GaussianSource(ns, "g", LMDirection(ns, "g", l, m), I=3.0, lproj=lproj, mproj=mproj, ratio=ratio)]

    maker = MeqMaker(namespace=f"extended{smearing}", use_jones_inspectors=False, use_skyjones_visualizers=False)
    maker.add_sky_models([Sky()])
    assign(maker.compile_options(), {"use_smearing": smearing})
    here = tile()
    (value,) = evaluate([maker.make_predict_tree(field.ns)("0", "1")], here)
    uvw = here.columns["UVW"][0, 1]
    lmn = np.array([l, m, np.sqrt(1 - l * l - m * m) - 1])
    u, v, _ = uvw[..., None] * here.frequency / C
    squares = (u * lproj + v * mproj) ** 2 + ratio**2 * (u * mproj - v * lproj) ** 2
    expected = 3.0 * np.exp(-(np.pi**2) / (4 * np.log(2)) * squares)
    path, speed = lmn @ uvw, lmn @ np.gradient(uvw, here.time, axis=1)
    expected = expected * np.exp(2j * np.pi * path[:, None] * here.frequency / C)
    if smearing:
        expected = expected * np.sinc(speed[:, None] * here.time_width[:, None] * here.frequency / C)
        expected = expected * np.sinc(path[:, None] * here.frequency_width / C)
    np.testing.assert_allclose(value if value.ndim == 2 else value[0, 0], expected, rtol=1e-9)


# What is broken upstream ------------------------------------------------------------------------


BROKEN = {
    "rotation, circular, fixed": ("Siamese.OMS.rotation:Rotation", {"feed_angle": "30"}, "cmath"),
    "sky, full": ("Calico.OMS.solvable_sky_jones:FullRealImag", {}, "NoneType"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_upstream_errors_name_their_cause(load, case):
    field = Field(circular="circular" in case)
    name, settings, cause = BROKEN[case]
    sources = field.sources if case.startswith("sky") else None
    with pytest.raises((NameError, TypeError), match=cause):
        compute(load, field, name, settings, sources=sources)


def test_a_cos3_beam_with_pointing_errors_has_an_undefined_node(cattery):
    field = Field()
    name, settings = SKY["cos3"]
    sys.modules.pop(name, None)  # a used one has kept the node from its last call
    module = cattery(name)
    _set(TDLStealOptions(module), settings)
    for p in STATIONS:
        field.ns.dlm(p) << Meq.Composer(1e-4, 2e-4)
    jones = module.compute_jones(field.ns.J, field.sources, STATIONS, pointing_offsets=field.ns.dlm)
    with pytest.raises(UndefinedNodeError, match="dlm_0"):
        evaluate(jones("b", "2"), tile())
