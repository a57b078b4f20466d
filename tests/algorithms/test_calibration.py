"""Gains from visibilities: exactness, least squares, errors, flags, references, intervals, interpolation."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import least_squares

from imaging.algorithms.calibration import Gains, GainTable, Scheme, Solver, at, correct, intervals, normalise, solvable

CORRELATIONS = ("RR", "RL", "LR", "LL")
STATIONS = 7


def observed(noise=0.0, seed=1, times=4, channels=6, stations=STATIONS):
    """vis, model, weight (row, chan, corr), stations of the rows, and true gains (station, 2)."""
    rng = np.random.default_rng(seed)
    p, q = (np.tile(index, times) for index in np.triu_indices(stations, 1))
    gains = rng.normal(1, 0.1, (stations, 2)) * np.exp(1j * rng.normal(0, 0.5, (stations, 2)))
    shape = (len(p), channels, 4)
    model = 1.5 + 0.3 * (rng.normal(size=shape) + 1j * rng.normal(size=shape))
    vis = model * np.stack([gains[p, i] * gains[q, k].conj() for i in range(2) for k in range(2)], 1)[:, None]
    vis = vis + noise * (rng.normal(size=shape) + 1j * rng.normal(size=shape))
    return vis, model, np.full(shape, 1 / noise**2 if noise else 1.0), p, q, gains


def solved(vis, model, weight, p, q, scheme, blocks=None, stations=STATIONS):
    block = np.zeros(vis.shape[1], int) if blocks is None else np.asarray(blocks)
    solver = Solver(stations, block.max() + 1, scheme)
    solver.add(vis, model, weight, p, q, block, CORRELATIONS)
    return solver.solve()


def referred(gains, station=0):
    return gains * np.conj(gains[station]) / abs(gains[station])


EXACT = Scheme(references=(0,), tolerance=1e-11)


@pytest.mark.parametrize("blocks", [[0] * 6, [0, 0, 1, 1, 2, 2], [0, 0, -1, 1, 1, 1]])
def test_noiseless_gains_are_exact(blocks):
    *samples, true = observed()
    gain, flag, error, iterations = solved(*samples, EXACT, blocks)
    assert gain.shape == flag.shape == error.shape == (STATIONS, max(blocks) + 1, 2)
    assert not flag.any()
    assert (iterations > 0).all()
    np.testing.assert_allclose(gain, np.broadcast_to(referred(true)[:, None], gain.shape), rtol=1e-8)
    assert error.max() < 1e-6


def test_a_common_gain_of_both_feeds():
    vis, model, weight, p, q, true = observed()
    vis = model * (true[p, 0] * true[q, 0].conj())[:, None, None]
    gain, *_ = solved(vis, model, weight, p, q, replace(EXACT, gaintype="T"))
    np.testing.assert_allclose(gain[:, 0], referred(true[:, 0]), rtol=1e-8)


def test_matrices_that_are_diagonal_come_out_so():
    vis, model, weight, p, q, true = observed()
    gain, flag, _, _ = solved(vis, model, weight, p, q, replace(EXACT, gaintype="J"))
    expected = np.zeros((STATIONS, 2, 2), complex)
    expected[:, [0, 1], [0, 1]] = true * np.conj(true[0, 0]) / abs(true[0, 0])
    np.testing.assert_allclose(gain[:, 0], expected, atol=1e-8)
    assert not flag.any()


@pytest.mark.parametrize("calmode", ["p", "ap"])
def test_noisy_gains_are_those_of_least_squares(calmode):
    vis, model, weight, p, q, true = observed(noise=0.3)
    weight *= np.random.default_rng(5).uniform(0.5, 2, weight.shape)
    gain, *_ = solved(vis, model, weight, p, q, replace(EXACT, calmode=calmode))

    def complex_gains(x):
        phase = np.exp(1j * np.concatenate([[0], x[: STATIONS - 1]]))
        return phase if calmode == "p" else phase * x[STATIONS - 1 :]

    def misfit(x):
        g = complex_gains(x)
        left = np.sqrt(weight[..., 0]) * (vis[..., 0] - (g[p] * g[q].conj())[:, None] * model[..., 0])
        return np.concatenate([left.real.ravel(), left.imag.ravel()])

    start = np.concatenate([np.angle(referred(true[:, 0]))[1:], np.ones(STATIONS)])
    start = start[: STATIONS - 1] if calmode == "p" else start
    best = complex_gains(least_squares(misfit, start, xtol=1e-13, ftol=1e-13, gtol=1e-13).x)
    np.testing.assert_allclose(gain[:, 0, 0], best, atol=1e-7)


@pytest.mark.parametrize("gaintype", ["G", "J"])
def test_errors_are_those_of_the_solutions(gaintype):
    found, told = [], []
    for seed in range(60):
        vis, model, weight, p, q, _ = observed(noise=0.3, seed=100)
        rng = np.random.default_rng(seed)
        vis = vis + 0.3 * (rng.normal(size=vis.shape) + 1j * rng.normal(size=vis.shape))
        gain, _, error, _ = solved(vis, model, weight, p, q, Scheme(gaintype, references=(0,)))
        found.append(abs(gain[1:, 0, 0] if gaintype == "G" else gain[1:, 0, 0, 0]))
        told.append(error[1:, 0, 0] if gaintype == "G" else error[1:, 0])
    scatter = np.sqrt(np.mean(np.var(found, axis=0)))
    # The errors know of both noises, the scatter of the second: so it is 1/sqrt(2) of them; 10 % is what 360 tell.
    assert scatter == pytest.approx(np.sqrt(np.mean(np.square(told)) / 2), rel=0.15)


def test_weak_solutions_are_flagged():
    *samples, _ = observed(noise=1.0, times=1, channels=1)
    gain, flag, error, _ = solved(*samples, replace(EXACT, minsnr=4.0), [0])
    np.testing.assert_array_equal(flag, abs(gain) < 4 * error)
    assert 0 < flag.sum() < flag.size
    assert not solved(*samples, replace(EXACT, minsnr=0.0), [0])[1].any()


def test_stations_without_data_are_flagged_and_the_others_exact():
    vis, model, weight, p, q, true = observed()
    weight[(p == 3) | (q == 3)] = 0
    vis[(p == 3) | (q == 3)] = np.nan
    weight[..., 3][(p == 5) | (q == 5)] = 0  # of station 5 the second feed
    gain, flag, _, _ = solved(vis, model, weight, p, q, EXACT)
    expected = np.zeros((STATIONS, 2), bool)
    expected[3], expected[5, 1] = True, True
    np.testing.assert_array_equal(flag[:, 0], expected)
    np.testing.assert_allclose(gain[:, 0][~expected], referred(true)[~expected], rtol=1e-8)
    nothing = solved(vis, model, 0 * weight, p, q, EXACT)
    assert nothing[1].all()


def test_the_next_reference_takes_over():
    vis, model, weight, p, q, true = observed()
    weight[(p == 2) | (q == 2)] = 0
    gain, *_ = solved(vis, model, weight, p, q, replace(EXACT, references=(2, 4)))
    keep = np.arange(STATIONS) != 2
    np.testing.assert_allclose(gain[keep, 0], referred(true, 4)[keep], rtol=1e-8)


def test_who_can_be_solved_for():
    linked = np.ones((8, 8), bool) & ~np.eye(8, dtype=bool)
    linked[:4, 4:] = linked[4:, :4] = False  # two arrays that never meet
    usable, reference = solvable(linked, 3, (5,))
    assert usable.tolist() == [False] * 4 + [True] * 4
    assert reference == 5
    assert solvable(linked, 4, ()) == (pytest.approx(np.zeros(8)), 0)
    linked[4, 5] = linked[5, 4] = False  # leaves these two 2 baselines each, and then the others too few
    assert solvable(linked, 3, (5,))[0].tolist() == [True] * 4 + [False] * 4


def test_stations_and_rows_in_another_order():
    vis, model, weight, p, q, _ = observed(noise=0.3)
    straight = solved(vis, model, weight, p, q, EXACT)
    order, shuffle = np.random.default_rng(6).permutation(STATIONS), np.random.default_rng(7).permutation(len(p))
    place = np.argsort(order)
    turned = solved(*(a[shuffle] for a in (vis, model, weight, place[p], place[q])),
                    replace(EXACT, references=(int(place[0]),)))  # fmt: skip
    for one, other in zip(straight[:3], turned[:3], strict=True):
        np.testing.assert_allclose(other[place], one, rtol=1e-6, atol=1e-9)


def test_the_same_again():
    *samples, _ = observed(noise=0.3)
    for one, other in zip(solved(*samples, EXACT), solved(*samples, EXACT), strict=True):
        np.testing.assert_array_equal(one, other)


def test_intervals_divide_scans_evenly():
    time = 100.0 + 10 * np.arange(12)
    scan, length = np.repeat([1, 2], [7, 5]), np.full(12, 10.0)
    index, begin, end = intervals(time, length, scan, 30.0)
    assert np.bincount(index).tolist() == [2, 3, 2, 2, 3]
    assert begin[0] == 95.0
    assert end[-1] == 215.0
    assert (end - begin).max() <= 30.0
    assert intervals(time, length, scan, 0.0)[0].tolist() == list(range(12))
    assert intervals(time, length, scan, np.inf)[0].tolist() == [0] * 7 + [1] * 5
    assert intervals(time, length, np.zeros(12), np.inf)[0].tolist() == [0] * 12
    assert intervals(time[:1], 0 * length[:1], scan[:1], 30.0)[0].tolist() == [0]
    back, _, _ = intervals(time[::-1], length, scan[::-1], 30.0)
    assert back.tolist() == index[::-1].tolist()


def table(gain, time=(10.0, 20.0, 40.0), flag=None):
    """One window of one station and block with these gains at these times, each for 6 s."""
    gain, time = np.array(gain, complex)[None, :, None], np.array(time)
    flag = np.zeros(gain.shape, bool) if flag is None else np.array(flag)[None, :, None]
    window = Gains(time, time - 3, time + 3, np.array([1e9]), np.array([0.9e9]), np.array([1.1e9]), gain, flag,
                   np.zeros(gain.shape), np.ones(gain.shape[1:], int))  # fmt: skip
    return GainTable(("A",), ("R", "L"), (window,))


def values(table, time, interpolation="linear"):
    gains, block = at(table, np.array(time), np.array([1e9]), interpolation)
    assert block.tolist() == [0]
    return gains[0, :, 0]


def test_interpolation_in_time():
    turn = np.exp(1j * np.radians([170.0, -170.0, -150.0]))
    one = table(turn * [1.0, 4.0, 1.0])
    np.testing.assert_allclose(values(one, [0.0, 10.0, 12.0, 35.0, 99.0], "nearest"),
                               (turn * [1, 4, 1])[[0, 0, 0, 2, 2]])  # fmt: skip
    found = values(one, [0.0, 10.0, 15.0, 30.0, 99.0])
    np.testing.assert_allclose(abs(found), [1, 1, 2, 2, 1])
    np.testing.assert_allclose(np.angle(found, deg=True), [170, 170, 180, -160, -150])


def test_flagged_intervals_flag_their_own_times_only():
    one = table([1.0, 2.0, 3.0], flag=[False, True, False])
    found = values(one, [10.0, 13.0, 18.0, 20.0, 39.0])
    assert np.isnan(found).tolist() == [False, False, True, True, False]
    assert found[[0, 1, 4]].tolist() == [1, 1, 3]


def test_channels_take_the_nearest_block():
    one = table([1.0, 1.0, 1.0])
    other = replace(one.windows[0], freq=np.array([1.3e9, 1.5e9]), low=np.array([1.2e9, 1.4e9]),
                    high=np.array([1.4e9, 1.6e9]), gain=np.full((1, 3, 2), [2.0, 3.0]) + 0j,
                    flag=np.zeros((1, 3, 2), bool))  # fmt: skip
    freq = np.array([0.5e9, 1e9, 1.149e9, 1.3e9, 1.41e9, 2e9])
    gains, block = at(replace(one, windows=(one.windows[0], other)), np.array([10.0]), freq, "linear")
    np.testing.assert_allclose(gains[0, 0][block], [1, 1, 1, 2, 3, 3])


@pytest.mark.parametrize("gaintype", ["G", "T", "J"])
def test_what_is_solved_for_is_taken_out(gaintype):
    vis, model, weight, p, q, true = observed()
    if gaintype == "T":
        vis = model * (true[p, 0] * true[q, 0].conj())[:, None, None]
    gain, *_ = solved(vis, model, weight, p, q, replace(EXACT, gaintype=gaintype))
    gain[5] = np.nan
    flag, time, block = np.zeros(vis.shape, bool), np.zeros(len(p), int), np.zeros(6, int)
    flag[0] = True
    lost = correct(vis, flag, weight, gain[:, None], p, q, time, block, CORRELATIONS, ("R", "L"))
    gone = (p == 5) | (q == 5)
    gone[0] = True
    np.testing.assert_array_equal(flag, np.broadcast_to(gone[:, None, None], flag.shape))
    assert lost == (gone.sum() - 1) * 24
    hands = slice(None) if gaintype != "G" else [0, 3]  # the phase between the feeds is that of the reference
    vis, model, flag, weight = (values[..., hands] for values in (vis, model, flag, weight))
    np.testing.assert_allclose(vis[~flag], model[~flag], atol=1e-7)
    assert weight[~flag].std() > 0


def test_normalised_gains_leave_the_flux_scale():
    window = table([2.0, 3.0, 4.0]).windows[0]
    two = replace(window, gain=np.concatenate([window.gain, 3 * window.gain]), flag=np.zeros((2, 3, 1), bool),
                  error=np.ones((2, 3, 1)))  # fmt: skip
    power = abs(normalise(two).gain) ** 2
    np.testing.assert_allclose(power.mean(0), 1)
    np.testing.assert_allclose(power[1] / power[0], 9)
