"""Residuals by convolution against the exact operator, and the bound of their error."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imaging.algorithms import fourier
from imaging.algorithms.major_cycle import Accuracy, Part, image_sums
from imaging.algorithms.psf_double import (
    LEVELS,
    MAX_TERMS,
    ROUNDING,
    DoublePsf,
    as_many_as_needed,
    convolved,
    depth,
    error_bound,
    left_out,
    make_double_psf,
    residual_by_psf,
    terms_needed,
    w_distribution,
    worst_error,
)
from imaging.image import Grid

FREQ = np.array([1.0e9, 1.1e9])
MEMORY = 2.0**31
FIELDS = {"small": 1e-6, "medium": 1e-5, "large": 1e-4, "wide": 1e-3}

FLUX = st.floats(-10, 10, width=32, allow_subnormal=False)


def make_grid(cell: float, shape=(40, 60)) -> Grid:
    return Grid((1.0, 0.5), (cell, 0.9 * cell), shape, (1.05e9,), (2e8,))


def make_part(cell: float, seed=3) -> Part:
    """Baselines of up to about half a fringe a pixel, w as long as u and v; what has no weight is garbage."""
    random = np.random.default_rng(seed)
    uvw = random.normal(0, 0.04 / cell, (500, 3))
    weight = random.uniform(0, 1, (500, 2)).astype(np.float32)
    weight[::7] = 0
    return Part(uvw, FREQ, np.full((1, 500, 2), np.nan, np.complex64), weight, np.zeros(2, int))


def make(part: Part, grid: Grid, accuracy: Accuracy, terms: int) -> DoublePsf:
    reach = depth(grid)[1] if accuracy.wterm else 0.0
    spread = w_distribution([part], 0, reach, MEMORY)
    return make_double_psf([part], 0, grid, accuracy, spread, terms, reach)


def exact(part: Part, grid: Grid, model: np.ndarray, wterm=True) -> np.ndarray:
    empty = replace(part, vis=np.zeros(part.vis.shape, np.complex64))
    sums, sumwt = image_sums([empty], grid, Accuracy(1e-12, wterm=wterm), model=model[None, None])
    return -sums[0, 0] / sumwt[0]


def scattered(shape, count=30, seed=5) -> np.ndarray:
    random = np.random.default_rng(seed)
    model = np.zeros(shape)
    model[random.integers(0, shape[0], count), random.integers(0, shape[1], count)] = random.normal(size=count)
    model[0, 0], model[-1, -1], model[0, -1] = 1, -2, 1.5  # from corner to corner nothing may come round the edge
    return model


@pytest.mark.parametrize("terms", range(1, MAX_TERMS + 1))
@pytest.mark.parametrize("field", FIELDS)
def test_error_is_within_its_bound(field, terms):
    grid, part = make_grid(FIELDS[field]), make_part(FIELDS[field])
    psf, model = make(part, grid, Accuracy(1e-7), terms), scattered(grid.shape)
    error = np.abs(convolved(model, psf, depth(grid)[0]) - exact(part, grid, model)).max()
    assert 0 < error < error_bound(model, psf, depth(grid)[0])


FIXED = {}


def medium(terms: int):
    """Part, grid and psf of the field "medium", made once."""
    if terms not in FIXED:
        grid, part = make_grid(FIELDS["medium"], (24, 20)), make_part(FIELDS["medium"])
        FIXED[terms] = part, grid, make(part, grid, Accuracy(1e-6), terms)
    return FIXED[terms]


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 3),
    st.lists(st.tuples(st.integers(0, 23), st.integers(0, 19), FLUX), min_size=1, max_size=8),
)
def test_bound_holds_for_any_model(terms, components):
    part, grid, psf = medium(terms)
    model = np.zeros(grid.shape)
    for y, x, flux in components:
        model[y, x] += flux
    error = np.abs(convolved(model, psf, depth(grid)[0]) - exact(part, grid, model)).max()
    assert error <= error_bound(model, psf, depth(grid)[0])


def test_bound_follows_place_and_flux():
    """A source at the edge is further from its psf than one halfway: the bound knows; it is linear in the flux."""
    _, grid, psf = medium(1)
    depths = depth(grid)[0]
    middle, corner = np.zeros(grid.shape), np.zeros(grid.shape)
    ring = np.unravel_index(np.abs(depths - 0.5).argmin(), grid.shape)
    middle[ring], corner[0, 0] = 1, 1
    assert error_bound(middle, psf, depths) == pytest.approx(error_bound(corner, psf, depths) / 2, rel=0.1)
    assert error_bound(3 * corner, psf, depths) == pytest.approx(3 * error_bound(corner, psf, depths))
    assert error_bound(0 * corner, psf, depths) == 0


@pytest.mark.parametrize("epsilon", [1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-10])
@pytest.mark.parametrize("wterm", [True, False])
def test_as_accurate_as_asked(epsilon, wterm):
    """With as many terms as are needed the bound is below epsilon of the peak, and so is the error."""
    cell = 1e-7
    grid, part, accuracy = make_grid(cell), make_part(cell), Accuracy(epsilon, wterm=wterm)
    spread = w_distribution([part], 0, depth(grid)[1] if wterm else 0.0, MEMORY)
    terms = terms_needed([spread], epsilon)
    assert (terms == 1) if not wterm else terms > 0
    psf, model = make(part, grid, accuracy, terms), scattered(grid.shape)
    true = exact(part, grid, model, wterm)
    error = np.abs(convolved(model, psf, depth(grid)[0]) - true).max()
    assert error < error_bound(model, psf, depth(grid)[0]) < epsilon * np.abs(true).max()


def test_more_terms_for_wider_fields_and_none_for_too_wide_ones():
    needed = []
    for cell in FIELDS.values():
        grid, part = make_grid(cell), make_part(cell)
        needed.append(terms_needed([w_distribution([part], 0, depth(grid)[1], MEMORY)], 1e-4))
    assert 0 < needed[0] < needed[1] < needed[2] == MAX_TERMS
    assert needed[3] == 0


def test_the_horizon_is_out_of_reach():
    assert depth(make_grid(0.05))[1] == np.inf
    assert 0.5 < depth(make_grid(0.027))[1] < 1


def test_twice_the_image_may_reach_beyond_the_horizon():
    grid = make_grid(0.024)
    part = make_part(0.024)
    psf, model = make(part, grid, Accuracy(1e-6, wterm=False), 1), scattered(grid.shape)
    np.testing.assert_allclose(convolved(model, psf, depth(grid)[0]), exact(part, grid, model, wterm=False), atol=3e-6)


def test_left_out_is_the_remainder_of_the_series():
    delta = 0.7
    alone = np.zeros(4096)
    index = int(np.ceil(np.log(delta / 1e-12) / 0.01))
    alone[index] = 1.0
    for terms in range(1, MAX_TERMS + 1):
        series = sum((1j * delta) ** j / np.prod(np.arange(1.0, j + 1)) for j in range(terms))
        rest = abs(np.exp(1j * delta) - series)
        assert rest <= left_out(alone, terms, np.ones(1))[0] < 1.2 * rest


def test_distribution_is_that_of_the_weights():
    part, reach = make_part(1e-4), 1e-3
    spread = w_distribution([part, part], 0, reach, 2.0**16)
    delta = 2 * np.pi * reach * np.abs(part.uvw[:, 2:]) * FREQ / 299792458.0
    mean = left_out(spread, 1, np.array([0.01]))[0] / 0.01  # so small that the first power is what counts
    assert spread.sum() == pytest.approx(1)
    assert mean == pytest.approx(np.average(delta, weights=part.weight), rel=0.01)
    assert not w_distribution([part], 1, reach, MEMORY).any()


@pytest.mark.parametrize("real", [np.float32, np.float64])
def test_rounding_threads_and_transforms(real, monkeypatch):
    random = np.random.default_rng(1)
    shape = (200, 240)
    psf = random.normal(0, 0.1, (3, 400, 480))
    spectra = np.stack([np.fft.rfft2(plane).real for plane in psf])
    limits = (np.ones(3), np.zeros((3, LEVELS + 1)), 0.0)
    depths = random.random(shape)
    model = scattered(shape)
    truth = convolved(model, DoublePsf(spectra, *limits), depths)
    double = DoublePsf(spectra.astype(real), *limits)
    one = convolved(model, double, depths)
    np.testing.assert_array_equal(convolved(model, double, depths, threads=2), one)
    assert np.abs(one - truth).max() <= ROUNDING[np.dtype(real)] * np.abs(model).sum()
    monkeypatch.setattr(fourier, "_pocketfft", lambda: None)
    other = convolved(model, double, depths)
    np.testing.assert_allclose(other, one, atol=4 * ROUNDING[np.dtype(real)] * np.abs(model).sum())


def test_planes_have_their_own_psf_and_dirty_image():
    part, grid, psf = medium(1)
    random = np.random.default_rng(2)
    model = np.zeros((2, 2, *grid.shape))
    model[0, 1, 3, 4], model[1, 0, 5, 6] = 1, 2
    dirty = random.normal(size=model.shape).astype(np.float32)
    stronger = replace(psf, spectra=2 * psf.spectra)
    residual = residual_by_psf(model, dirty, [psf, stronger], depth(grid)[0])
    np.testing.assert_array_equal(residual[0, 0], dirty[0, 0])
    peaks = (dirty - residual)[[0, 1], [1, 0], [3, 5], [4, 6]]
    np.testing.assert_allclose(peaks, [1, 4], rtol=1e-5)
    faint = dirty * np.array([1, 1e-3])[:, None, None, None]
    least = worst_error(model, dirty, [psf, psf], depth(grid)[0])
    assert worst_error(model, faint, [psf, psf], depth(grid)[0]) > 100 * least
    assert worst_error(model, 0 * dirty, [psf, psf], depth(grid)[0]) == np.inf
    assert worst_error(0 * model, 0 * dirty, [psf, psf], depth(grid)[0]) == 0
    assert np.abs(exact(part, grid, model[1, 0]) - (dirty - residual)[1, 0] / 2).max() < 1e-2


def test_no_more_terms_than_a_model_needs():
    _, grid, psf = medium(3)
    model, depths = scattered(grid.shape)[None, None], depth(grid)[0]
    bounds = [worst_error(model, model, [psf.first(terms)], depths) for terms in (1, 2, 3)]
    assert bounds == sorted(bounds, reverse=True)
    for terms in (1, 2, 3):
        fewer, error = as_many_as_needed(model, model, [psf], depths, bounds[terms - 1])
        assert (len(fewer[0].spectra), error) == (terms, bounds[terms - 1])
    fewer, error = as_many_as_needed(model, model, [psf], depths, bounds[2] / 2)
    assert (len(fewer[0].spectra), error) == (3, bounds[2])
    one = make(*medium(3)[:2], Accuracy(1e-6), 1)
    np.testing.assert_array_equal(psf.first(1).left_out, one.left_out)


def test_direct_sums_make_the_same_psf():
    grid, part = make_grid(FIELDS["medium"], (16, 16)), make_part(FIELDS["medium"])
    model = scattered(grid.shape, 3)
    fast, direct = (
        convolved(model, make(part, grid, Accuracy(1e-6, backend=backend), 3), depth(grid)[0])
        for backend in ("numba", "reference")
    )
    np.testing.assert_allclose(fast, direct, atol=1e-7)
