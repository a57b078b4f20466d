"""Modules of the Cattery put together, against codex-africanus (tests/oracles/make_africanus_cattery.py)."""

from pathlib import Path

import numpy as np
import pytest

from imaging.measurement.expressions import Tile, evaluate
from imaging.measurement.meqmaker import MeqMaker
from imaging.measurement.tiles import Observation

pytestmark = pytest.mark.filterwarnings("ignore")
CHAIN = (
    ("sky", "N", "Siamese.OMS.oms_n_inverse", {}),
    ("sky", "E", "Siamese.OMS.analytic_beams", {"model_type": "use_wsrt_cos3"}),
    ("uv", "D", "Siamese.OMS.leakage:Leakage", {"d": 0.04}),
    ("uv", "P", "Siamese.OMS.rotation:Rotation", {"feed_angle": "10 20 30 90"}),
    ("uv", "G", "Siamese.OMS.oms_gain_models", {"error_model": "ListOfValues", "values_str": "0.9 0.8 0.7"}),
)


@pytest.fixture(scope="module")
def golden():
    return np.load(Path(__file__).parents[2] / "oracles/africanus_cattery.npz")


def sky_of(golden):
    from Meow import LMDirection, PointSource

    class Sky:
        def source_list(self, ns, **kw):
            return [
                PointSource(ns, f"s{i}", LMDirection(ns, f"s{i}", *lm.tolist()), *stokes.tolist(), spi=spi, freq0=1e9)
                for i, (lm, stokes, spi) in enumerate(
                    zip(golden["lm"], golden["stokes"], golden["spi"].tolist(), strict=True)
                )
            ]

    return Sky()


def module_of(dialect, name, settings):
    module, options = dialect.module(name)
    dialect.set(options, settings)
    for model in getattr(module, "MODELS", ()):  # which keep their nodes from call to call
        model._prepared = model.pointing_init = False
    for errors in (getattr(module, "_gain_errgen", None), getattr(module, "_phase_errgen", None)):
        for generator in errors._generators.values() if errors else ():
            generator.ngen, generator.values = 0, None  # which count on
    return module


def test_a_chain_in_our_meqmaker(dialect, golden):
    p, q, time, place = (golden[name] for name in ("p", "q", "time", "place"))
    observation = Observation(
        tuple(dialect.stations), p, q, dialect.start + 300.0 * time, place[time, q] - place[time, p],
        golden["freq"], phase_centre=dialect.centre, positions=dialect.positions,
    )  # fmt: skip
    maker = MeqMaker(context=observation)
    maker.add_sky_models(sky_of(golden))
    for kind, label, name, settings in CHAIN:
        add = maker.add_sky_jones if kind == "sky" else maker.add_uv_jones
        add(label, label, module_of(dialect, name, settings))
    ((_, tile),) = observation.tiles()
    vis, flag = maker.make_predict_tree().evaluate(tile)
    assert not flag.any()
    largest = np.abs(golden["vis"]).max()  # n - 1 is a difference there and in N: 1e-16 of 1e5 rad
    np.testing.assert_allclose(vis, golden["vis"], rtol=0, atol=1e-11 * largest)


def test_rotations_of_feeds(dialect, golden):
    """Any angles, by linear feeds; circular ones by the angle that parallactic angle and feed make together."""
    field = dialect.field()
    angles = " ".join(repr(float(angle)) for angle in np.rad2deg(golden["angles"]))
    jones = dialect.compute(field, "Siamese.OMS.rotation:Rotation", {"feed_angle": angles}, sources=None)
    here = Tile(dialect.start, golden["freq"])
    for p, expected in zip(field.stations, golden["linear"], strict=True):
        np.testing.assert_allclose(evaluate(jones(p), here)[..., 0, 0], expected, atol=1e-14)
    field = dialect.field(circular=True)
    xyz = [field.array.xyz(p) for p in field.stations]
    pa = [evaluate(field.observation.phase_centre.pa(x), here).item() for x in xyz]
    angles = " ".join(repr(float(angle)) for angle in np.rad2deg(golden["angles"] - pa))
    settings = {"feed_angle": angles, "enable_pa": "enabled"}
    jones = dialect.compute(field, "Siamese.OMS.rotation:Rotation", settings, sources=None)
    for p, expected in zip(field.stations, golden["circular"], strict=True):
        np.testing.assert_allclose(evaluate(jones(p), here)[..., 0, 0], expected, atol=1e-13)
