"""The modules of the Cattery, unmodified, over our expressions: pip install --no-deps meqtrees_cattery==1.8.0."""

import numpy as np
import pytest

from imaging.measurement.expressions import Meq, evaluate

pytestmark = pytest.mark.filterwarnings("ignore")  # the Cattery's own
SKY_MODELS = ["Siamese.OMS.gridded_sky", "Siamese.OMS.transient_sky", "Siamese.AGW.azel_sky", "Lions.gridded_sky",
              "Calico.OMS.central_point_source"]  # fmt: skip


def check(values):
    for value in values:
        assert value.shape[:-2] in ((), (2, 2))
        assert np.isfinite(value).all()


def test_a_station_jones_evaluates(dialect, station_case, tile):
    check(dialect.station_values(station_case, tile()))


def test_a_sky_jones_evaluates(dialect, sky_case, tile):
    check(dialect.sky_values(sky_case, tile()))


@pytest.mark.parametrize("name", SKY_MODELS)
def test_a_sky_model_evaluates(dialect, name, tile):
    field = dialect.field()
    module, _ = dialect.module(name)
    sources = module.source_list(field.ns)
    assert sources
    for source in sources:
        brightness = field.ns.flux(source) << source.coherency(field.array)("0", "1")
        check(evaluate([brightness], tile()))


@pytest.mark.parametrize("model", ["FixedOffset", "RandomError", "SineError"])
def test_pointing_errors_evaluate(dialect, model, tile):
    field = dialect.field()
    module, options = dialect.module("Siamese.OMS.oms_pointing_errors")
    dialect.set(options, {"error_model": model, "offset": 5})
    pointings = module.compute_pointings(field.ns.dlm, stations=field.stations, tags="E", label="Epe", inspectors=[])
    for value in evaluate([pointings(p) for p in field.stations], tile()):
        assert value.shape[0] == 2


def test_pointing_errors_are_none(dialect):
    module, options = dialect.module("Siamese.OMS.oms_pointing_errors")
    dialect.set(options, {"error_model": "NoError"})
    field = dialect.field()
    assert module.compute_pointings(field.ns.dlm, stations=field.stations, tags="E", label="Epe", inspectors=[]) is None


@pytest.mark.parametrize(("name", "part"), [("IfrGains", "gain"), ("IfrBiases", "bias")])
def test_interferometer_errors_are_applied_and_undone(dialect, name, part, tile):
    """Element by element, each real and imaginary part a parameter."""
    field = dialect.field()
    module, _ = dialect.module(f"Calico.OMS.ifr_based_errors:{name}")
    for p, q in field.array.ifrs():
        field.ns.vis(p, q) << Meq.Matrix22(1 + 2j, 3, 4j, Meq.Time() * 1e-9)
    more = {"ns": field.ns.Subscope("ifr"), "ifrs": field.array.ifrs(), "tags": "ifr", "label": "ifr"}
    module.process_visibilities(field.ns.out, field.ns.vis, **more)
    module.correct_visibilities(field.ns.back, field.ns.out, **more)
    errors = np.array([[0.9 + 0.1j, 1.1], [0.8j, 1.0 - 0.2j]])
    names = np.array([["xx", "xy"], ["yx", "yy"]])
    values = {f"ifr::{part}:0:2:{c}:r": e.real for c, e in zip(names.ravel(), errors.ravel(), strict=True)}
    values |= {f"ifr::{part}:0:2:{c}:i": e.imag for c, e in zip(names.ravel(), errors.ravel(), strict=True)}
    nodes = [node("0", "2") for node in (field.ns.vis, field.ns.out, field.ns.back)]
    before, spoiled, after = evaluate(nodes, tile(values=values))
    errors = errors[..., None, None]
    np.testing.assert_allclose(spoiled, before * errors if part == "gain" else before + errors, rtol=1e-14)
    np.testing.assert_allclose(after, before, rtol=1e-14)
