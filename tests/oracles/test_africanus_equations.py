"""Equations of effects of closed form, as codex-africanus evaluates them (make_africanus_equations.py), to 1e-12.

The same equation is put together from array functions, of the kind that each effect is, and from callables J(p) and
J(x, p), evaluated one by one; by the product over stations and row by row.
"""

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from imaging.algorithms.components import Component
from imaging.algorithms.primary_beam import HALF_POWER
from imaging.measurement.contracts import ArrayJones, ArrayPointings
from imaging.measurement.jones.beams import AnalyticBeam
from imaging.measurement.meqmaker import MeqMaker
from imaging.measurement.sky.components import Source
from imaging.measurement.tiles import Observation
from imaging.units import SPEED_OF_LIGHT

CENTRE = (0.4, -0.7)
TEC_PHASE = 8.44797245e9  # rad Hz per TECU


@pytest.fixture(scope="module")
def golden():
    return dict(np.load(Path(__file__).with_name("africanus_equations.npz")))


def by_station(array):
    """(…, time, station, …) of the golden, its first axis time, as (station, time, 1, …)."""
    return np.swapaxes(array, 0, 1)[:, :, None]


def screen(golden):
    tec = np.swapaxes(golden["tec"], 1, 2)[..., None]

    def fn(tile):
        which = [int(x.name) for x in tile.sources]
        return np.exp(-1j * TEC_PHASE * tec[which] / tile.nu)

    return fn, "scalar"


def turning(golden, feeds):
    q = by_station(golden["angle"])[..., None]
    if feeds == "circular":
        return (lambda tile: np.exp(1j * q * [-1, 1])), "diagonal"
    matrix = np.stack([np.concatenate([np.cos(q), np.sin(q)], -1), np.concatenate([-np.sin(q), np.cos(q)], -1)], -2)
    return (lambda tile: matrix), "full"


def leakages(golden):
    d = golden["leakage"]
    matrix = np.moveaxis(np.array([[np.ones_like(d), d], [-d, np.ones_like(d)]]), -1, 0)
    return (lambda tile: matrix[:, None, None]), "full"


def gains(golden):
    def fn(tile):
        turn = by_station(golden["phase"]) + 2 * np.pi * golden["delay"][:, None, None] * (tile.nu[:, None] - 1.1e9)
        return by_station(golden["amplitude"]) * np.exp(1j * turn)

    return fn, "diagonal"


class Term:
    """A module of one function of a tile: in one array, or as a callable of one Jones matrix after another."""

    def __init__(self, made, dialect):
        (self.fn, self.kind), self.dialect = made, dialect

    def compute_jones(self, Jones, sources=None, stations=None, **kw):
        if self.dialect == "arrays":
            return ArrayJones(self.fn, self.kind, sources=sources)
        names = list(stations)

        def one(p, x=None):
            def evaluate(tile):
                tile = tile if x is None else tile.with_sources([x])
                value = np.asarray(self.fn(tile))
                axes = value.ndim - {"scalar": 0, "diagonal": 1, "full": 2}[self.kind]
                return value[(0,) * (axes - 3) + (names.index(p),)]

            return SimpleNamespace(evaluate=evaluate)

        if sources is None:
            return one
        return lambda x, p=None: (lambda p: one(p, x)) if p is None else one(p, x)


class Pointings:
    def __init__(self, offsets, dialect):
        self.offsets, self.dialect = offsets, dialect

    def compute_pointings(self, node, stations=None, **kw):
        if self.dialect == "arrays":
            return ArrayPointings(lambda tile: self.offsets)
        names = list(stations)
        return lambda p: SimpleNamespace(evaluate=lambda tile: self.offsets[names.index(p)])


class At(Source):
    """At exact direction cosines: those of a right ascension and declination have errors of 1e-16, 1e-12 of a turn."""

    def lmn(self, phase_centre):
        l, m = self.attrs["lm"]
        return l, m, np.sqrt(1 - l * l - m * m)


class Sky:
    def __init__(self, golden):
        self.sources = [
            At(Component(str(s), 0, 0, tuple(stokes), (golden["index"][s],), golden["reffreq"][s]), lm=golden["lm"][s])
            for s, stokes in enumerate(golden["stokes"])
        ]

    def source_list(self, **kw):
        return self.sources


@pytest.mark.parametrize("feeds", ["linear", "circular"])
@pytest.mark.parametrize("chain", ["ZLEG", "ZLEDG"])
@pytest.mark.parametrize(
    ("dialect", "decomposition"), [("arrays", None), ("arrays", False), ("callables", None), ("callables", False)]
)
def test_equations_of_effects_of_closed_form(golden, chain, feeds, dialect, decomposition):
    names = tuple("ABCDE")
    maker = MeqMaker(use_decomposition=decomposition, context=Observation(
        names, golden["p"], golden["q"], golden["time"], golden["uvw"], golden["freq"], CENTRE, feeds=feeds
    ))  # fmt: skip
    maker.add_sky_models(Sky(golden))
    diameter = golden["beam"] * SPEED_OF_LIGHT * HALF_POWER / (2 * math.acos(0.5 ** (1 / 6)))
    maker.add_sky_jones("Z", "screen", Term(screen(golden), dialect))
    maker.add_sky_jones("L", "feeds", Term(turning(golden, feeds), dialect))
    pointing = Pointings(by_station(golden["pointing"]), dialect)
    maker.add_sky_jones("E", "beam", AnalyticBeam(float(diameter), "cos3"), pointing=pointing)
    if "D" in chain:
        maker.add_uv_jones("D", "leakage", Term(leakages(golden), dialect))
    maker.add_uv_jones("G", "gains", Term(gains(golden), dialect))
    tile = next(maker.context.tiles())[1]
    vis, flag = maker.make_predict_tree().evaluate(tile)
    expected = golden[f"{chain}_{feeds}"]
    np.testing.assert_allclose(vis, expected, rtol=0, atol=1e-12 * np.abs(expected).max())
    assert not flag.any()


def test_every_effect_matters(golden):
    """The four recorded equations differ by far more than the tolerance, as do their hands."""
    recorded = [golden[f"{chain}_{feeds}"] for chain in ("ZLEG", "ZLEDG") for feeds in ("linear", "circular")]
    for a in range(4):
        for b in range(a):
            assert np.abs(recorded[a] - recorded[b]).max() > 0.1
    assert min(np.abs(one[..., i, j]).max() for one in recorded for i in range(2) for j in range(2)) > 0.1
