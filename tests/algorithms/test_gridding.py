"""The gridding operator pair against direct Fourier sums, and against itself."""

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imaging.algorithms import gridding
from imaging.algorithms.gridding import Gridder, dirty2vis, vis2dirty
from imaging.errors import ImagingError
from imaging.kernels import gridding_reference as reference

FREQ = np.array([1.0e9, 1.07e9, 1.25e9])
ROWS = 150
SINGLE, DOUBLE = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6), (1e-4, 1e-8, 1e-11, 1e-12)
ACCURACIES = [("single", e) for e in SINGLE] + [("double", e) for e in DOUBLE]

# A sky 18 by 14 degrees wide with w up to 3,000 wavelengths; one pointed elsewhere; one without w; and an all-sky one
# whose corners lie beyond the horizon. `reach` is the longest baseline in m.
FIELDS = {
    "wide": {"shape": (36, 52), "cell": (0.006, 0.007), "reach": (15, 12, 700)},
    "off centre": {"shape": (33, 20), "cell": (0.004, 0.003), "reach": (25, 30, 100), "centre": (0.2, -0.35)},
    "flat": {"shape": (24, 64), "cell": (0.004, 0.008), "reach": (20, 10, 200), "wterm": False},
    "horizon": {"shape": (40, 40), "cell": (0.045, 0.04), "reach": (2, 2, 5)},
}


def samples(reach, seed=1, rows=ROWS, planes=1):
    rng = np.random.default_rng(seed)
    uvw = rng.uniform(-1, 1, (rows, 3)) * reach
    vis = rng.normal(size=(planes, rows, len(FREQ))) + 1j * rng.normal(size=(planes, rows, len(FREQ)))
    return uvw, vis, rng.uniform(0.2, 1, (rows, len(FREQ)))


@functools.cache
def truth(name):
    """Samples, image, and the two direct sums, of a field."""
    field = dict(FIELDS[name])
    uvw, vis, weight = samples(field.pop("reach"), planes=2)
    image = np.random.default_rng(2).normal(size=(2, *field["shape"]))
    options = {k: v for k, v in field.items() if k in ("wterm", "centre")}
    weights = np.broadcast_to(weight, vis.shape)
    dirty = reference.vis2dirty(uvw, FREQ, vis, weights, field["shape"], field["cell"], **options)
    return field, uvw, vis, weight, image, dirty, reference.dirty2vis(uvw, FREQ, image, field["cell"], **options)


def error(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(b)


@pytest.mark.parametrize(("precision", "epsilon"), ACCURACIES)
@pytest.mark.parametrize("name", FIELDS)
def test_accuracy_and_adjointness(name, precision, epsilon):
    field, uvw, vis, weight, image, dirty, predicted = truth(name)
    gridder = Gridder(uvw, FREQ, epsilon=epsilon, precision=precision, **field)
    ours, model = gridder.vis2dirty(vis, weight), gridder.dirty2vis(image)
    assert ours.dtype == (np.float32 if precision == "single" else np.float64)
    assert model.dtype == (np.complex64 if precision == "single" else np.complex128)
    assert error(ours, dirty) < epsilon
    assert error(model, predicted) < epsilon
    tolerance = 1e-5 if precision == "single" else 1e-12
    left, right = (model * (vis * weight).conj()).real.sum(), (image * ours).sum()
    assert abs(left - right) < tolerance * np.linalg.norm(model) * np.linalg.norm(vis * weight)
    left, right = (weight * abs(model) ** 2).sum(), (image * gridder.vis2dirty(model, weight)).sum()
    assert abs(left - right) < tolerance * left


def test_wide_field_needs_the_w_term():
    field, uvw, vis, weight, _, dirty, _ = truth("wide")
    assert error(vis2dirty(uvw, FREQ, vis, weight, epsilon=1e-3, **field, wterm=False), dirty) > 0.5


@pytest.mark.parametrize("backend", ["fast", "reference"])
def test_point_source_gives_unit_fringes(backend):
    """A point of 1 Jy at (l, m): |V| = 1 everywhere, with the fringes' phase; its dirty image peaks at 1 there."""
    uvw, _, weight = samples((30, 20, 300))
    image = np.zeros((1, 40, 48))
    image[0, 31, 9] = 1
    cell = (0.005, 0.006)
    options = {"cell": cell, "epsilon": 1e-6, "precision": "double", "backend": backend}
    vis = dirty2vis(uvw, FREQ, image, **options)
    l, m = (24 - 9) * cell[0], (31 - 20) * cell[1]
    path = uvw @ [l, m, np.sqrt(1 - l * l - m * m) - 1]
    np.testing.assert_allclose(vis[0], np.exp(2j * np.pi * path[:, None] * FREQ / reference.C), atol=1e-5)
    dirty = vis2dirty(uvw, FREQ, vis, weight, shape=(40, 48), **options)
    assert np.unravel_index(dirty.argmax(), dirty.shape) == (0, 31, 9)
    assert dirty.max() == pytest.approx(weight.sum(), rel=1e-5)


@pytest.mark.parametrize("backend", ["fast", "reference"])
def test_flagged_samples_are_not_looked_at(backend):
    uvw, vis, weight = samples((15, 12, 100), rows=40)
    rng = np.random.default_rng(5)
    weight[rng.random(weight.shape) < 0.3] = 0
    options = {"shape": (20, 24), "cell": (0.006, 0.007), "epsilon": 1e-5, "backend": backend}
    clean = vis2dirty(uvw, FREQ, np.where(weight > 0, vis, 0), weight, **options)
    garbage = np.where(weight > 0, vis, np.nan)
    garbage[0, 1::2][weight[1::2] == 0] = np.inf
    np.testing.assert_array_equal(vis2dirty(uvw, FREQ, garbage, weight, **options), clean)
    spoilt = np.where((weight > 0).any(axis=1)[:, None], uvw, np.nan)
    spoilt[0], weight[0] = np.nan, 0
    masked = vis2dirty(spoilt, FREQ, garbage, weight, mask=weight > 0, **options)
    np.testing.assert_allclose(masked, vis2dirty(uvw, FREQ, garbage, weight, **options), atol=2e-5 * abs(clean).max())
    model = dirty2vis(spoilt, FREQ, clean, (0.006, 0.007), 1e-5, mask=weight > 0, backend=backend)
    assert (model[0, weight == 0] == 0).all()
    assert (model[0, weight > 0] != 0).all()


def test_flags_of_one_plane_leave_the_others_alone():
    uvw, vis, weight = samples((15, 12, 100), rows=40, planes=2)
    weights = np.stack([weight, weight])
    weights[1, ::3] = 0
    vis[1, ::3] = np.nan
    gridder = Gridder(uvw, FREQ, (20, 24), (0.006, 0.007), 1e-8, precision="double")
    both = gridder.vis2dirty(vis, weights)
    np.testing.assert_array_equal(both[0], gridder.vis2dirty(vis[:1], weight)[0])
    np.testing.assert_array_equal(both[1], gridder.vis2dirty(vis[1:], weights[1])[0])


@pytest.mark.parametrize("wterm", [True, False])
def test_same_bytes_for_any_number_of_threads(wterm):
    """Also with most samples in one tile, whose planes are then shared out."""
    uvw, vis, weight = samples((30, 30, 2000), rows=2000, planes=2)
    uvw[300:, :2] *= 0.01
    image = np.random.default_rng(0).normal(size=(2, 70, 50))
    answers = []
    for threads in (1, 2, 3):
        gridder = Gridder(uvw, FREQ, (70, 50), (0.006, 0.007), 1e-4, wterm=wterm, threads=threads)
        answers.append((gridder.vis2dirty(vis, weight).tobytes(), gridder.dirty2vis(image).tobytes()))
    assert answers[0] == answers[1] == answers[2]


def test_less_memory_gives_the_same():
    field, uvw, vis, weight, image, _, _ = truth("wide")
    whole = Gridder(uvw, FREQ, epsilon=1e-8, precision="double", **field)
    for planes in (1, 5):
        memory = planes * 2 * 16 * whole.geometry.nv * (whole.geometry.nu + 8)
        less = Gridder(uvw, FREQ, epsilon=1e-8, precision="double", memory=memory, **field)
        assert len(list(less._batches(2))) >= whole.planes // planes
        assert error(less.vis2dirty(vis, weight), whole.vis2dirty(vis, weight)) < 1e-13
        assert error(less.dirty2vis(image), whole.dirty2vis(image)) < 1e-13


def test_psf_is_the_image_of_unit_visibilities(tmp_path):
    uvw, vis, weight = samples((15, 12, 100), rows=40)
    gridder = Gridder(uvw, FREQ, (20, 24), (0.006, 0.007), 1e-4)
    psf = gridder.vis2dirty(weight=weight)
    np.testing.assert_array_equal(psf, gridder.vis2dirty(np.ones_like(vis), weight))
    assert psf[0, 10, 12] == psf.max() == pytest.approx(weight.sum(), rel=1e-4)
    np.testing.assert_array_equal(gridder.vis2dirty(vis), gridder.vis2dirty(vis, np.ones_like(weight)))
    np.save(tmp_path / "vis.npy", vis.astype(np.complex64))
    mapped = np.load(tmp_path / "vis.npy", mmap_mode="r")
    np.testing.assert_array_equal(gridder.vis2dirty(mapped, weight), gridder.vis2dirty(vis, weight))


def test_taylor_terms_and_psf_in_one_call():
    """One plane of visibilities under several weights, and unit visibilities under others, as each on its own."""
    uvw, vis, weight = samples((15, 12, 100), rows=40)
    weights = np.stack([weight * FREQ**t / FREQ[0] ** t for t in (0, 1, 0, 1)])
    gridder = Gridder(uvw, FREQ, (20, 24), (0.006, 0.007), 1e-4)
    together = gridder.vis2dirty(vis, weights, psf=2)
    for i in range(4):
        np.testing.assert_array_equal(together[i], gridder.vis2dirty(vis if i < 2 else None, weights[i])[0])
    with pytest.raises(ImagingError, match="planes"):
        gridder.vis2dirty(np.concatenate([vis, vis]), weights, psf=1)


def test_beyond_half_a_cycle_per_pixel():
    """Longer baselines than the pixels can show alias in the direct sum, and so they do here."""
    uvw, vis, weight = samples((150, 120, 50), rows=60)
    dirty = reference.vis2dirty(uvw, FREQ, vis, weight[None], (20, 24), (0.006, 0.007))
    assert abs(uvw[:, 0]).max() * FREQ[-1] / reference.C * 0.006 > 2
    assert error(vis2dirty(uvw, FREQ, vis, weight, (20, 24), (0.006, 0.007), 1e-9, precision="double"), dirty) < 1e-9


@pytest.mark.parametrize("rows", [0, 7])
@pytest.mark.parametrize("backend", ["fast", "reference"])
def test_no_data(rows, backend):
    uvw, vis, weight = samples((15, 12, 100), rows=rows)
    nothing = np.zeros(weight.shape, bool)
    dirty = vis2dirty(uvw, FREQ, vis, weight, (8, 12), (0.01, 0.01), 1e-4, mask=nothing, backend=backend)
    assert dirty.shape == (1, 8, 12)
    assert not dirty.any()
    vis = dirty2vis(uvw, FREQ, np.ones((1, 8, 12)), (0.01, 0.01), 1e-4, mask=nothing, backend=backend)
    assert vis.shape == (1, rows, 3)
    assert not vis.any()


@settings(deadline=None, max_examples=25)
@given(
    st.integers(1, 40), st.integers(1, 40), st.floats(1e-4, 0.04), st.floats(1e-4, 0.04),
    st.floats(-0.3, 0.3), st.floats(-0.3, 0.3), st.floats(0, 2000), st.integers(0, 1000),
)  # fmt: skip
def test_any_geometry(ny, nx, cell_x, cell_y, l0, m0, w_reach, seed):
    uvw, vis, weight = samples((20, 20, w_reach), seed, rows=12)
    options = {"shape": (ny, nx), "cell": (cell_x, cell_y), "centre": (l0, m0)}
    expected = reference.vis2dirty(uvw, FREQ, vis, weight[None], **options)
    ours = vis2dirty(uvw, FREQ, vis, weight, epsilon=1e-7, precision="double", **options)
    # The l2 error is relative to random fringes: a tiny image may by chance see little of them.
    assert np.sqrt(((ours - expected) ** 2).mean()) < 3e-7 * np.sqrt((abs(vis * weight) ** 2).sum())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"epsilon": 1e-9}, "epsilon"),
        ({"epsilon": 0.5}, "epsilon"),
        ({"precision": "half"}, "precision"),
        ({"shape": (0, 8)}, "shape"),
        ({"cell": (-0.01, 0.01)}, "cell"),
        ({"mask": np.ones((2, 2), bool)}, "mask"),
        ({"uvw": np.full((9, 3), np.nan)}, "finite"),
        ({"uvw": np.zeros((9, 2))}, "uvw"),
        ({"vis": np.zeros((1, 9, 4))}, "vis"),
        ({"weight": np.zeros((1, 8, 3))}, "weight"),
    ],
)
def test_bad_input_is_one_message(change, words):
    uvw, vis, weight = samples((15, 12, 100), rows=9)
    good = {"uvw": uvw, "freq": FREQ, "vis": vis, "weight": weight, "shape": (8, 8), "cell": (1e-2, 1e-2)}
    with pytest.raises(ImagingError, match=words):
        vis2dirty(**{**good, "epsilon": 1e-4, **change})


def test_image_of_another_shape():
    uvw, *_ = samples((15, 12, 100), rows=9)
    with pytest.raises(ImagingError, match="image"):
        Gridder(uvw, FREQ, (8, 8), (0.01, 0.01), 1e-4).dirty2vis(np.zeros((1, 8, 9)))


def test_narrow_field_takes_one_plane():
    uvw, vis, weight = samples((15, 12, 100), rows=20)
    gridder = Gridder(uvw, FREQ, (8, 8), (1e-5, 1e-5), 1e-4)
    assert gridder.planes == 1
    expected = reference.vis2dirty(uvw, FREQ, vis, weight[None], (8, 8), (1e-5, 1e-5))
    assert error(gridder.vis2dirty(vis, weight), expected) < 1e-4
    assert gridding.Gridder(uvw, FREQ, (8, 8), (1e-2, 1e-2), 1e-4).planes > 1
