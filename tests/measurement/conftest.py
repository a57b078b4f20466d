"""A small observation and plain modules to put into a measurement equation."""

import importlib
import importlib.util
import os
import sys

import numpy as np
import pytest

from imaging.algorithms import simulation
from imaging.algorithms.components import Component
from imaging.image import lm_to_radec
from imaging.measurement import compat
from imaging.measurement.contracts import ArrayJones
from imaging.measurement.sky.components import ComponentSky
from imaging.measurement.tiles import Observation

CENTRE = (1.2, 0.6)


@pytest.fixture
def observe():
    """observe(feeds="linear", **changes): 5 stations, 3 times, 6 channels."""

    def make(feeds="linear", stations=5, times=3, **changes):
        positions, names = simulation.vla_antennas("d", stations)
        hours = np.linspace(-1, 1, times) * np.pi / 12
        time = simulation.time_of_hour_angle(hours, CENTRE[0], simulation.VLA_LONGITUDE, 59000.0)
        p, q, time, uvw = simulation.baseline_tracks(positions, time, CENTRE)
        return Observation(**dict(
            stations=tuple(names), antenna1=p, antenna2=q, time=time, uvw=uvw, freq=np.linspace(1.3e9, 1.5e9, 6),
            phase_centre=CENTRE, feeds=feeds, positions=positions) | changes)  # fmt: skip

    return make


@pytest.fixture
def component():
    """component(name, l, m, stokes, **more) at direction cosines from the phase centre."""

    def make(name, l, m, stokes=(1.0, 0, 0, 0), **more):
        ra, dec = lm_to_radec(l, m, CENTRE)
        return Component(name, float(ra), float(dec), stokes, **more)

    return make


@pytest.fixture
def sky(component):
    """Three points, one at the centre, one polarised with a spectrum, one polarised by more than its intensity."""
    return ComponentSky([
        component("centre", 0.0, 0.0),
        component("polarised", 0.004, -0.003, (0.8, 0.2, -0.1, 0.05), spectral_index=(-0.7, 0.1)),
        component("odd", -0.006, 0.005, (0.1, -0.3, 0.2, 0.1)),
    ])  # fmt: skip


class Fixed:
    """A Jones module of given matrices: `shape` of the axes, `kind`, a seed; of the sky where sources are given."""

    solvable = False

    def __init__(self, kind="full", seed=1, shape=(1, 1)):
        self.kind, self.seed, self.shape, self.calls = kind, seed, shape, []

    def compute_jones(self, Jones, sources=None, stations=None, **kw):
        self.calls.append({"Jones": Jones, "sources": sources, "stations": stations, **kw})
        ends = {"scalar": (), "diagonal": (2,), "full": (2, 2)}[self.kind]
        rng = np.random.default_rng(self.seed)
        table = {}
        for name in [None] if sources is None else [x.name for x in sources]:
            numbers = rng.normal(size=(2, len(stations), *self.shape, *ends))
            table[name] = numbers[0] + 1j * numbers[1]

        def fn(tile):
            return table[None] if sources is None else np.array([table[x.name] for x in tile.sources])

        return ArrayJones(fn, self.kind, sources=sources, name=Jones.name)


@pytest.fixture
def fixed():
    return Fixed


@pytest.fixture
def meow():
    """Timba and a Meow, for modules written for MeqTrees: ours, or the Cattery's where it is installed."""
    before, path, folder = set(sys.modules), list(sys.path), os.environ.get("FRINGEFLOW_CATTERY")
    if folder:
        sys.path[:0] = [folder, os.path.dirname(folder)]
    compat.install()
    if "Meow" not in sys.modules and importlib.util.find_spec("Meow") is None:
        compat.uninstall()
        pytest.skip("there is no Meow")
    yield importlib.import_module("Meow")
    compat.uninstall()
    sys.path[:] = path
    for name in set(sys.modules) - before:
        if name.split(".")[0] in ("Meow", "Cattery", "Siamese", "Calico"):
            del sys.modules[name]
