"""StefCal against its plain twin, exact gains, and arithmetic that does not depend on how samples are given."""

import numpy as np
import pytest

from imaging.kernels import stefcal, stefcal_reference

STATIONS, SAMPLES = 9, 5


def problem(seed=1, noise=0.0, polarised=False):
    """vis, model (station, station, sample[, 2, 2]) Hermitian, weights, and true gains or Jones matrices."""
    rng = np.random.default_rng(seed)
    ends = (2, 2) if polarised else ()

    def normal(*shape):
        return rng.normal(size=shape) + 1j * rng.normal(size=shape)

    def hermitian(values):
        mirrored = np.conj(np.moveaxis(values, (0, 1), (1, 0)))
        mirrored = np.swapaxes(mirrored, -1, -2) if polarised else mirrored
        upper = np.triu(np.ones((STATIONS, STATIONS), bool), 1).reshape(STATIONS, STATIONS, *(1,) * (values.ndim - 2))
        return np.where(upper, values, np.where(np.swapaxes(upper, 0, 1), mirrored, 0))

    model = hermitian(normal(STATIONS, STATIONS, SAMPLES, *ends) + (2 * np.eye(2) if polarised else 2))
    weight = np.triu(rng.uniform(0.5, 2, (SAMPLES, STATIONS, STATIONS)), 1).transpose(1, 2, 0)
    weight = weight + np.swapaxes(weight, 0, 1)
    if polarised:
        gains = np.eye(2) + 0.2 * normal(STATIONS, 2, 2)
        vis = np.einsum("pab,pqsbc,qdc->pqsad", gains, model, gains.conj())
    else:
        gains = rng.normal(1, 0.2, STATIONS) * np.exp(1j * rng.normal(0, 0.7, STATIONS))
        vis = gains[:, None, None] * model * gains.conj()[:, None]
    return vis + noise * hermitian(normal(*vis.shape)), model, weight, gains


def rows_of(vis, model, weight):
    """The same as rows: vis, model (row, chan, corr), weight, antenna1, antenna2."""
    p, q = np.triu_indices(STATIONS, 1)
    shape = (len(p), SAMPLES, -1)
    return vis[p, q].reshape(shape), model[p, q].reshape(shape), weight[p, q], p, q


def accumulated(vis, model, weight, p, q):
    pairs = (1, 1, STATIONS, STATIONS)
    sums = np.zeros(pairs, complex), np.zeros(pairs), np.zeros(pairs), np.zeros(pairs, np.int64)
    stefcal.accumulate(vis, model, weight[..., None], p, q, np.zeros(SAMPLES, int), np.zeros(1, int), *sums)
    return [values[0] for values in sums]


def solved(vis, model, weight, phase_only=False, tolerance=1e-10):
    sums, power, _, _ = accumulated(*rows_of(vis, model, weight))
    gains, iterations = np.ones((1, STATIONS), complex), np.zeros(1, np.int64)
    stefcal.solve(sums, power, phase_only, tolerance, 1000, gains, iterations)
    return gains[0], iterations[0]


def solved_full(vis, model, weight, tolerance=1e-10):
    pairs, more = (1, STATIONS, STATIONS), (2, 2, 2, 2)
    sums, power = np.zeros((*pairs, *more), complex), np.zeros((*pairs, *more), complex)
    vis, model, weight, p, q = rows_of(vis, model, weight)
    zero = np.zeros(SAMPLES, int)
    stefcal.accumulate_full(vis, model, weight, p, q, zero, sums, power, np.zeros(pairs), np.zeros(pairs, np.int64))
    jones, iterations = np.tile(np.eye(2, dtype=complex), (1, STATIONS, 1, 1)), np.zeros(1, np.int64)
    stefcal.solve_full(sums, power, tolerance, 1000, jones, iterations)
    return jones[0], iterations[0]


@pytest.mark.parametrize("phase_only", [False, True])
@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_gains_are_those_of_the_reference(noise, phase_only):
    vis, model, weight, _ = problem(noise=noise)
    fast, iterations = solved(vis, model, weight, phase_only)
    plain, expected = stefcal_reference.gains(vis, model, weight, phase_only)
    np.testing.assert_allclose(fast, plain, rtol=1e-11)
    assert iterations == expected > 0


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_matrices_are_those_of_the_reference(noise):
    vis, model, weight, _ = problem(noise=noise, polarised=True)
    fast, iterations = solved_full(vis, model, weight)
    plain, expected = stefcal_reference.jones(vis, model, weight)
    np.testing.assert_allclose(fast, plain, rtol=1e-9, atol=1e-11)
    assert iterations == expected > 0


def relative_to_first(gains):
    first = gains[0] if gains.ndim == 1 else gains[0, 0, 0]
    return gains * first.conj() / abs(first)


def test_noiseless_gains_are_exact():
    vis, model, weight, true = problem()
    gains, _ = solved(vis, model, weight, tolerance=1e-11)
    np.testing.assert_allclose(relative_to_first(gains), relative_to_first(true), rtol=1e-8)


def test_noiseless_matrices_are_exact():
    vis, model, weight, true = problem(polarised=True)
    jones, _ = solved_full(vis, model, weight, tolerance=1e-11)
    np.testing.assert_allclose(relative_to_first(jones), relative_to_first(true), atol=1e-8)


def test_what_has_no_weight_does_not_matter():
    vis, model, weight, true = problem()
    weight[0, 3, 1:] = weight[3, 0, 1:] = 0
    vis[0, 3, 1:] = vis[3, 0, 1:] = np.nan
    gains, _ = solved(vis, model, weight, tolerance=1e-11)
    np.testing.assert_allclose(relative_to_first(gains), relative_to_first(true), rtol=1e-8)


def test_the_order_of_rows_and_stations_does_not_matter():
    vis, model, weight, _ = problem(noise=0.1)
    straight, _ = solved(vis, model, weight)
    order = np.random.default_rng(2).permutation(STATIONS)
    turned, _ = solved(*(values[np.ix_(order, order)] for values in (vis, model, weight)))
    np.testing.assert_allclose(relative_to_first(turned[np.argsort(order)]), relative_to_first(straight), rtol=1e-8)
    rows = rows_of(vis, model, weight)
    shuffle = np.random.default_rng(3).permutation(len(rows[0]))
    for one, other in zip(accumulated(*rows), accumulated(*(values[shuffle] for values in rows)), strict=True):
        np.testing.assert_array_equal(one, other)  # one row a pair here: the same sums in the same order


def test_a_baseline_may_be_given_either_way_round():
    vis, model, weight, p, q = rows_of(*problem(noise=0.1)[:3])
    back = vis.conj(), model.conj(), weight, q, p
    for one, other in zip(accumulated(vis, model, weight, p, q), accumulated(*back), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-14)


def test_too_few_iterations_are_told():
    vis, model, weight, _ = problem()
    sums, power, _, _ = accumulated(*rows_of(vis, model, weight))
    gains, iterations = np.ones((1, STATIONS), complex), np.zeros(1, np.int64)
    stefcal.solve(sums, power, False, 1e-12, 3, gains, iterations)
    assert iterations[0] == -3


def test_division_by_gains():
    rng = np.random.default_rng(4)
    p, q, time, block = np.array([0, 0, 1]), np.array([1, 2, 2]), np.array([0, 1, 1]), np.array([0, 0, 1])
    gain = rng.normal(size=(3, 2, 2, 2)) + 1j * rng.normal(size=(3, 2, 2, 2))
    true = rng.normal(size=(3, 3, 4)) + 1j * rng.normal(size=(3, 3, 4))
    feed1, feed2 = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    left = gain[p[:, None, None], time[:, None, None], block[:, None], feed1]
    right = gain[q[:, None, None], time[:, None, None], block[:, None], feed2]
    vis, weight, flag = left * true * right.conj(), np.ones((3, 3, 4)), np.zeros((3, 3, 4), bool)
    gain[2, 1, 1, 0] = np.nan
    lost = stefcal.divide(vis, flag, weight, gain, p, q, time, block, feed1, feed2)
    assert lost == flag.sum() == 4  # of the two rows of station 2 the last channel, where its first feed takes part
    np.testing.assert_allclose(vis[~flag], true[~flag], rtol=1e-12)
    np.testing.assert_allclose(weight[~flag], (abs(left * right) ** 2)[~flag], rtol=1e-12)
