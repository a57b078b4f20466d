"""The Cattery's own MeqMaker, over our expressions."""

import numpy as np
import pytest

from imaging.measurement.expressions import Meq, evaluate
from imaging.measurement.expressions.options import assign, symbols

pytestmark = pytest.mark.filterwarnings("ignore")
C = 299792458.0


def test_meqmaker_makes_the_measurement_equation(their_dialect, tile):
    """Z, E with pointing errors, and G of the Cattery in its own MeqMaker, against sums of matrix products."""
    from Meow import LMDirection, PointSource
    from Meow.MeqMaker import MeqMaker

    field = their_dialect.field()

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


@pytest.mark.parametrize("smearing", [False, True])
def test_meqmaker_with_smearing_and_gaussians(their_dialect, tile, smearing):
    from Meow import GaussianSource, LMDirection
    from Meow.MeqMaker import MeqMaker

    field = their_dialect.field()
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


class Tensor:
    """A sky term of matrices in one tensor for each station."""

    def __init__(self, label, matrix):
        self.__default_label__ = self.__default_name__ = label
        self.matrix = matrix

    def compute_jones_tensor(self, Jones, sources, stations=None, **kw):
        for p in stations:
            rows = [Meq.Matrix22(*np.ravel(self.matrix(s.name, p)).tolist()) for s in sources]
            Jones(p) << Meq.Composer(*rows, dims=[len(sources), 2, 2])
        return Jones


def test_the_meqmaker_of_tensors(their_dialect, tile):
    """Jones terms inside the sum over sources: matrices that do not commute, and a scalar beam."""
    from Meow import GaussianSource, LMDirection, PointSource
    from Meow.TensorMeqMaker import TensorMeqMaker

    field, here = their_dialect.field(), tile()
    lm = {"point": (0.003, 0.004), "gaussian": (-0.003, -0.004)}

    class Sky:
        def source_list(self, ns, **kw):
            made = {name: LMDirection(ns, name, *place) for name, place in lm.items()}
            shape = {"lproj": 1e-4, "mproj": 5e-5, "ratio": 0.5}
            return [PointSource(ns, "point", made["point"], I=2.0, Q=0.3, U=0.1),
                    GaussianSource(ns, "gaussian", made["gaussian"], I=1.0, **shape)]  # fmt: skip

    def first(name, p):
        return np.array([[1 + 0.1j * int(p), 0.2], [0.1j * len(name), 2]])

    def second(name, p):
        return np.array([[0.3, 1], [-1j, 2 + int(p)]])

    maker = TensorMeqMaker(namespace="tensors", use_jones_inspectors=False, use_skyjones_visualizers=False)
    maker.add_sky_models([Sky()])
    maker.add_sky_jones("F", "first", [Tensor("F", first)])
    maker.add_sky_jones("H", "second", [Tensor("H", second)])
    beam, options = their_dialect.module("Siamese.OMS.analytic_beams")
    their_dialect.set(options, {"model_type": "use_wsrt_cos3"})
    maker.add_sky_jones("E", "beam", [beam])
    options = maker.compile_options()
    assign(options, {key: True for key in symbols(options) if key.endswith("_enable")})
    (value,) = evaluate([maker.make_predict_tree(field.ns)("1", "3")], here)
    u, v, w = here.columns["UVW"][1, 3][..., None] * here.frequency / C
    squares = (u * 1e-4 + v * 5e-5) ** 2 + 0.25 * (u * 5e-5 - v * 1e-4) ** 2
    light = {"point": (1, [[2.3, 0.1], [0.1, 1.7]]),
             "gaussian": (np.exp(-(np.pi**2) / (4 * np.log(2)) * squares), np.eye(2))}  # fmt: skip
    expected = 0
    for name, (l, m) in lm.items():
        scalar, matrix = light[name]
        phase = np.exp(2j * np.pi * (u * l + v * m + w * (np.sqrt(1 - l * l - m * m) - 1)))
        e = np.cos(65e-9 * here.frequency * np.hypot(l, m)) ** 3
        p, q = (second(name, x) @ first(name, x) for x in ("1", "3"))
        expected = expected + (p @ matrix @ q.conj().T)[..., None, None] * (scalar * phase * e**2)
    np.testing.assert_allclose(value, expected, rtol=0, atol=1e-9 * np.abs(expected).max())
