"""The Cattery's modules over our expressions, with its own Meow and with ours; an observation to compute them for."""

import contextlib
import importlib
import importlib.util
import os
import random
import sys
from pathlib import Path

import numpy as np
import pytest

from imaging.measurement import compat
from imaging.measurement.expressions import Meq, NodeScope, Tile, evaluate
from imaging.measurement.expressions.options import Option, TDLStealOptions
from imaging.measurement.tiles import Observation

STATIONS = ["0", "1", "2", "3"]
POSITIONS = np.array([-1601185.4, -5041977.5, 3554875.9]) + 1000.0 * np.arange(12).reshape(4, 3)
CENTRE = (2.0, 0.5)
START = 58999.83 * 86400  # the phase centre is 50 deg above the stations
LM = {"a": (0.0, 0.0), "b": (0.004, -0.003), "c": (-0.002, 0.005), "d": (0.003, 0.002)}

GAIN = "Siamese.OMS.oms_gain_models"
GAIN_OPTIONS = {
    "FixedOffset": {"offset": 0.2}, "ListOfValues": {"values_str": "0.9 0.8 0.7"}, "RandomError": {},
    "RandomPolc": {"min0": 0.5, "max0": 1, "max1": 0.1, "offset": START / 86400, "scale": 2}, "SineError": {},
}  # fmt: skip
STATION = {
    "leakage": ("Siamese.OMS.leakage:Leakage", {"d": 0.04}),
    "feed angle": ("Siamese.OMS.feed_angle", {"feed_angle": "30"}),
    "feed angle, parallactic": ("Siamese.OMS.feed_angle", {"enable_pa": True, "feed_angle": "30"}),
    "rotation": ("Siamese.OMS.rotation:Rotation", {"enable_pa": "enabled", "feed_angle": "10 20 30"}),
    "rotation, circular": ("Siamese.OMS.rotation:Rotation", {"enable_pa": "enabled", "feed_angle": "10 20 30"}),
    "rotation, fixed": ("Siamese.OMS.rotation:Rotation", {"feed_angle": "10 20 30 90"}),
    "solvable, real and imaginary": ("Calico.OMS.solvable_jones:DiagRealImag", {"init_diag": 0.8 - 0.5j}),
    "solvable, full": ("Calico.OMS.solvable_jones:FullRealImag", {"init_diag": 0.8 - 0.5j, "init_offdiag": 0.1j}),
    "solvable, amplitude and phase": ("Calico.OMS.solvable_jones:DiagAmplPhase", {}),
    "leakage, coupled": ("Calico.OMS.polarization_jones:CoupledLeakage", {}),
    "leakage, decoupled": ("Calico.OMS.polarization_jones:DecoupledLeakage", {}),
} | {f"gain, {model}": (GAIN, {"error_model": model} | more) for model, more in GAIN_OPTIONS.items()}
WAVES = {"tid_x_ampl_0": 0.05, "tid_x_ampl_1hr": 0.02, "tid_y_ampl_0": 0.1, "tid_y_ampl_1hr": 0.1, "TEC0": 5}
WEDGE = {"iono_model": "wedge_model", "wedge_min": 0.1, "wedge_max": 1, "TEC0": 5}
SKY = {
    "cos3": ("Siamese.OMS.analytic_beams", {"model_type": "use_wsrt_cos3"}),
    "cos3, elliptical": ("Siamese.OMS.analytic_beams", {"model_type": "use_wsrt_cos3", "ell": 0.01}),
    "circular aperture": ("Siamese.OMS.analytic_beams", {"model_type": "use_circular_aperture"}),
    "clipped sinc": ("Siamese.OMS.analytic_beams", {"model_type": "use_clipped_sinc"}),
    "ionosphere, travelling waves": ("Siamese.OMS.oms_ionosphere", WAVES),
    "ionosphere, wedge": ("Siamese.OMS.oms_ionosphere", WEDGE),
    "ionosphere, not relative": ("Siamese.OMS.oms_ionosphere", {**WEDGE, "diff_mode": False, "iono_rotate": False}),
    "ionosphere 2": ("Siamese.OMS.oms_ionosphere2", WAVES),
    "ionosphere 2, wedge": ("Siamese.OMS.oms_ionosphere2", WEDGE),
    "n inverse": ("Siamese.OMS.oms_n_inverse", {}),
    "dipole projection": ("Siamese.OMS.oms_dipole_projection", {}),
    "VLA beams": ("Siamese.OMS.vla_beams", {"vla_feed_angle": 20}),
    "VLA beams, pointed": ("Siamese.OMS.vla_beams", {"vla_feed_angle": 20, "vla_pa": False}),
    "WSRT beams": ("Siamese.OMS.wsrt_beams", {}),
    "WSRT beams, pointed": ("Siamese.OMS.wsrt_beams", {}),
    "rotation of the sky": ("Siamese.OMS.rotation:Rotation", {"enable_pa": "enabled"}),
    "positions shifted": ("Siamese.OMS.position_shifts", {"shift_type": "shift_lm_offset", "dl_arcsec": 3}),
    "elevations shifted": ("Siamese.OMS.position_shifts", {"shift_type": "shift_del_offset", "del_rate": 0.01}),
    "field rotated": ("Siamese.OMS.position_shifts", {"shift_type": "shift_field_rot", "rot_deg": 1}),
    "solvable, real and imaginary": ("Calico.OMS.solvable_sky_jones:DiagRealImag", {"init_diag": 0.8 - 0.5j}),
    "solvable, amplitude and phase": (
        "Calico.OMS.solvable_sky_jones:DiagAmplPhase", {"init_ampl": 0.9, "init_phase": 0.3},
    ),
    "intrinsic Faraday rotation": ("Calico.OMS.solvable_sky_jones:IntrinsicFR", {}),
    "solvable cos3": ("Calico.OMS.wsrt_cos3_beam:WSRTCos3Beam", {}),
    "solvable cos3, elliptical": ("Calico.OMS.wsrt_cos3_beam:WSRTCos3Beam", {"ellipticity": 0.01}),
    "solvable cos3, as NEWSTAR": ("Calico.OMS.wsrt_cos3_beam:WSRTCos3Beam", {"newstar_mode": True, "bf": 400}),
    "refraction": ("Calico.OMS.solvable_refraction", {}),
    "refraction and extinction": ("Calico.OMS.solvable_refraction", {"do_extinction": True}),
    "refraction, flat": ("Calico.OMS.solvable_refraction", {"coord_approx": True}),
    "gradients of TEC": ("Calico.OMS.gradient_mim", {"mim_type": "common_gradient"}),
    "gradients of TEC of each station": ("Calico.OMS.gradient_mim", {"mim_type": "local_gradient"}),
    "solvable positions": ("Calico.OMS.solvable_position_shifts", {}),
}  # fmt: skip
POINTED = {"circular aperture", "VLA beams, pointed", "WSRT beams, pointed"}
PACKAGES = ("Meow", "Cattery", "Siamese", "Calico", "Lions", "LMA")


def pytest_generate_tests(metafunc):
    for name, cases in (("station_case", STATION), ("sky_case", SKY)):
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, cases)


def folder():
    path = os.environ.get("FRINGEFLOW_CATTERY")
    if path:
        return Path(path)
    found = importlib.util.find_spec("Cattery")
    return Path(found.submodule_search_locations[0]) if found else None


class Field:
    """An observation in a scope of its own: four sources, four stations."""

    def __init__(self, circular=False):
        from Meow import Context, IfrArray, Observation

        self.ns = NodeScope()
        self.array = IfrArray(self.ns, STATIONS, ms_uvw=True, positions=POSITIONS)
        self.observation = Observation(self.ns, circular=circular, linear=not circular, phase_centre=CENTRE)
        Context.set(self.array, self.observation)
        self.lm, self.stations = LM, STATIONS
        self.sources = [self.point(name, *lm) for name, lm in LM.items()]

    def point(self, name, l, m, **light):
        from Meow import LMDirection, PointSource

        return PointSource(self.ns, name, LMDirection(self.ns, name, l, m), **({"I": 1} | light))


class Dialect:
    """The modules of the Cattery with their options, which are declared once, when a module is first imported."""

    field, stations, positions, start, centre = staticmethod(Field), STATIONS, POSITIONS, START, CENTRE
    station_cases, sky_cases, pointed, lm, stations = STATION, SKY, POINTED, LM, STATIONS

    def __init__(self, ours):
        self.ours, self._options = ours, {}

    def module(self, name):
        """The module, or an object of its class, and its options."""
        name, _, class_name = name.partition(":")
        module = importlib.import_module(name)
        if name not in self._options:
            self._options[name] = TDLStealOptions(module)
        if not class_name:
            return module, self._options[name]
        module = getattr(module, class_name)
        module = module() if class_name.startswith("Ifr") or "Leakage" in class_name else module("J")
        return module, TDLStealOptions(module)

    @staticmethod
    def set(options, settings):
        """These values and the defaults for the rest; a symbol is set in each namespace that has it."""
        every = [option for item in options for option in item.walk() if isinstance(option, Option)]
        for option in every:
            option.reset()
        for option in every:
            for wanted in {option.key, option.symbol} & settings.keys():
                option.set(settings[wanted])

    def compute(self, field, name, settings, *, node=None, **more):
        module, options = self.module(name)
        self.set(options, settings)
        for model in getattr(module, "MODELS", ()):  # which keep their nodes from call to call
            model._prepared = model.pointing_init = False
        from Meow.MeqMaker import MeqMaker

        maker = MeqMaker(namespace="me")
        maker.compile_options()
        if self.ours:
            one = np.zeros(1, int)
            maker.context = Observation(tuple(STATIONS), one, one + 1, one + START, np.zeros((1, 3)), one + 1e9)
        more = {"pointing_offsets": None, "solvable_sources": set(), "inspectors": [], "label": "J", "tags": "J"} | more
        more = {"stations": STATIONS, "meqmaker": maker} | more
        return module.compute_jones(field.ns.J if node is None else node, **more)

    def station_values(self, case, here):
        """The values of a Station Jones for each station."""
        field = Field(circular="circular" in case)
        random.seed(1)
        jones = self.compute(field, *STATION[case], sources=None)
        return evaluate([jones(p) for p in STATIONS], here)

    def sky_values(self, case, here):
        """The values of a Sky Jones for each source and station."""
        field, pointing = Field(), None
        if case in POINTED:
            pointing = field.ns.dlm
            for i, p in enumerate(STATIONS):
                pointing(p) << Meq.Composer(1e-4 * i, -2e-4)
        jones = self.compute(field, *SKY[case], sources=field.sources, pointing_offsets=pointing)
        return evaluate([jones(s, p) for s in field.sources for p in STATIONS], here)


@contextlib.contextmanager
def opened(ours):
    """A Dialect, with our Meow or the Cattery's."""
    place = folder()
    if place is None or not place.is_dir():
        pytest.skip("the Cattery is not installed")
    before, path = set(sys.modules), list(sys.path)
    sys.path[:0] = [str(place), str(place.parent)]
    compat.install(meow=ours)
    try:
        from Meow import Context, MSUtils

        if not ours:  # what the Cattery's programs do before they import modules
            Context.mssel = MSUtils.MSSelector()
            Context.mssel.msname = "absent.ms"
        yield Dialect(ours)
    finally:
        compat.uninstall()
        sys.path[:] = path
        for name in set(sys.modules) - before:
            if name.split(".")[0] in PACKAGES:
                del sys.modules[name]


@pytest.fixture(scope="module", params=[False, True], ids=["their Meow", "our Meow"])
def dialect(request):
    with opened(request.param) as dialect:
        yield dialect


@pytest.fixture(scope="module")
def their_dialect():
    with opened(False) as dialect:
        yield dialect


@pytest.fixture(scope="module")
def dialects():
    """dialects(ours) opens one after the other."""
    return opened


@pytest.fixture(scope="session")
def tile():
    """tile(seed=1, **changes): three times, two channels, uvw of all baselines."""

    def make(seed=1, **changes):
        place = np.random.default_rng(seed).uniform(-2000, 2000, (4, 3, 3))
        uvw = {(p, q): place[q] - place[p] for p in range(4) for q in range(p + 1, 4)}
        time = START + 300.0 * np.arange(3)
        more = {"values": {"time0": START}, "columns": {"UVW": uvw}} | changes
        return Tile(time, np.array([1.0e9, 1.1e9]), **more)

    return make
