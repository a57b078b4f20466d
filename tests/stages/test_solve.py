"""solve: gains from MeasurementSets, and what it cannot solve for."""

import shutil

import numpy as np
import pytest
from casacore import tables

from imaging.algorithms.calibration import at
from imaging.config import Config
from imaging.errors import ImagingError
from imaging.io.solutions import load_solutions
from imaging.settings import Settings
from imaging.stages.solve import solve

STATIONS, TIMES = 8, 6


def true_gains(corr_type=("RR", "RL", "LR", "LL"), ntime=TIMES, seed=3):
    rng = np.random.default_rng(seed)
    return rng.normal(1, 0.1, (STATIONS, ntime, 2)) * np.exp(1j * rng.normal(0, 0.5, (STATIONS, ntime, 2)))


@pytest.fixture
def corrupted(make_ms, tmp_path):
    """corrupted(edit=None, vary=False, …): a set with MODEL_DATA, and DATA with gains; and these (station, time, 2)."""

    def make(edit=None, vary=False, corr_type=("RR", "RL", "LR", "LL"), noise=0.0, model=True, name="c.ms", **more):
        gains = true_gains()
        gains = gains if vary else np.repeat(gains[:, :1], TIMES, 1)

        def corrupt(columns):
            p, q, t = columns["antenna1"], columns["antenna2"], np.unique(columns["time"], return_inverse=True)[1]
            true = columns["vis"]
            feeds = np.array([["RL".index(c[0]) if c[0] in "RL" else "XY".index(c[0]), "RLXY".index(c[1]) % 2]
                              for c in corr_type])  # fmt: skip
            data = true * (gains[p, t][:, feeds[:, 0]] * gains[q, t].conj()[:, feeds[:, 1]])[:, None]
            rng = np.random.default_rng(1)
            data = data + noise * (rng.normal(size=data.shape) + 1j * rng.normal(size=data.shape))
            columns["vis"] = {"DATA": data, "MODEL_DATA": true} if model else {"DATA": data}
            if edit is not None:
                edit(columns)

        return make_ms(tmp_path / name, corrupt, nant=STATIONS, ntime=TIMES, corr_type=corr_type, **more), gains

    return make


def solved(ms, tmp_path, data=None, **selfcal):
    selfcal = {"rounds": 1, "calmode": "ap", "solint": "int", "minsnr": 0, "refant": "N01"} | selfcal
    data = {"vis": [str(path) for path in (ms if isinstance(ms, list) else [ms])]} | (data or {})
    config = Config.parse({"data": data, "selfcal": selfcal})
    path = tmp_path / "solutions.npz"
    solve(list(config.data.vis), solutions=str(path), config=Settings.of(config.settings("solve", 1)))
    return load_solutions(path)


def referred(gains, station):
    return gains * np.conj(gains[station]) / abs(gains[station])


def names(ms):
    with tables.table(f"{ms}::ANTENNA", ack=False) as antennas:
        return antennas.getcol("NAME")


@pytest.mark.parametrize("corr_type", [("RR", "RL", "LR", "LL"), ("XX", "YY")])
def test_gains_of_each_integration(corrupted, tmp_path, corr_type):
    ms, true = corrupted(vary=True, corr_type=corr_type)
    refant = names(ms)[2]
    table = solved(ms, tmp_path, refant=refant)
    assert table.stations == tuple(names(ms))
    assert (table.feeds, table.refant, table.kind) == ((corr_type[0][0], corr_type[-1][0]), refant, "diagonal")
    [window] = table.windows
    assert window.gain.shape == (STATIONS, TIMES, 1, 2)
    np.testing.assert_allclose(window.gain[:, :, 0], referred(true, 2), atol=3e-6)
    np.testing.assert_allclose(window.end - window.begin, 10.0)
    assert not window.flag.any()
    assert (window.iterations > 0).all()


def test_a_scan_and_blocks_of_channels(corrupted, tmp_path):
    ms, true = corrupted()
    table = solved(ms, tmp_path, refant=names(ms)[0], solint="inf", channels=3)
    [window] = table.windows
    assert window.gain.shape == (STATIONS, 1, 2, 2)
    np.testing.assert_allclose(window.low, [1.398e9, 1.41e9])
    np.testing.assert_allclose(window.high, [1.41e9, 1.414e9])
    np.testing.assert_allclose(
        window.gain, np.broadcast_to(referred(true, 0)[:, :1, None], window.gain.shape), atol=3e-6
    )


def test_phases_alone_and_gains_of_both_feeds(corrupted, tmp_path):
    ms, true = corrupted(vary=True)
    phases = solved(ms, tmp_path, refant=names(ms)[0], calmode="p").windows[0].gain[:, :, 0]
    np.testing.assert_allclose(abs(phases), 1, rtol=1e-12)
    turned = phases * np.exp(-1j * np.angle(referred(true, 0)))
    assert abs(np.angle(turned)).max() < 0.02  # the sky is not a point, the amplitudes are left in
    one = solved(ms, tmp_path, gaintype="T", refant=names(ms)[0])
    assert one.windows[0].gain.shape == (STATIONS, TIMES, 1)
    assert one.kind == "scalar"


def test_matrices(corrupted, tmp_path):
    ms, true = corrupted()
    table = solved(ms, tmp_path, gaintype="J", refant=names(ms)[0], solint="inf")
    expected = np.zeros((STATIONS, 2, 2), complex)
    expected[:, [0, 1], [0, 1]] = true[:, 0] * np.conj(true[0, 0, 0]) / abs(true[0, 0, 0])
    np.testing.assert_allclose(table.windows[0].gain[:, 0, 0], expected, atol=1e-4)


def test_several_sets_are_one_table(corrupted, tmp_path):
    one, true = corrupted()
    two, _ = corrupted(name="d.ms", edit=lambda c: c.update(time=c["time"] + 86400.0))
    three, _ = corrupted(name="e.ms", freq=1.6e9 + 4e6 * np.arange(2))
    table = solved([one, two, three], tmp_path, refant=names(one)[0], solint="inf")
    assert [len(window.time) for window in table.windows] == [2, 1]
    gains, block = at(table, table.windows[0].time, np.array([1.4e9, 1.6e9]), "linear")
    for b in block:
        np.testing.assert_allclose(gains[:, 0, b], referred(true, 0)[:, 0], atol=3e-6)


def test_flags_and_weights_count(corrupted, tmp_path):
    def edit(columns):
        p, q = columns["antenna1"], columns["antenna2"]
        columns["flag"][(p == 3) | (q == 3)] = True
        columns["vis"]["DATA"][(p == 3) | (q == 3)] = np.nan
        columns["weight"][(p == 5) & (q == 6)] = 0
        columns["vis"]["DATA"][(p == 5) & (q == 6)] = 1e3
        columns["vis"]["DATA"][0, 0, 0] = np.inf

    ms, true = corrupted(edit)
    [window] = solved(ms, tmp_path, refant=names(ms)[0], solint="inf").windows
    keep = np.arange(STATIONS) != 3
    assert window.flag[3].all()
    assert not window.flag[keep].any()
    np.testing.assert_allclose(window.gain[keep, 0, 0], referred(true, 0)[keep, 0], atol=3e-6)


def test_a_refant_without_data_is_replaced(corrupted, tmp_path):
    def edit(columns):
        columns["flag"][(columns["antenna1"] == 3) | (columns["antenna2"] == 3)] = True

    ms, true = corrupted(edit)
    table = solved(ms, tmp_path, refant=[names(ms)[3], names(ms)[4]])
    np.testing.assert_allclose(table.windows[0].gain[5, 0, 0], referred(true, 4)[5, 0], atol=3e-6)
    assert table.refant == names(ms)[4]
    assert solved(ms, tmp_path, refant=[]).refant == names(ms)[0]


def test_flux_scale_may_stay(corrupted, tmp_path):
    ms, _ = corrupted(lambda c: c["vis"].update(DATA=4 * c["vis"]["DATA"]))
    assert (abs(solved(ms, tmp_path).windows[0].gain) ** 2).mean() == pytest.approx(4, rel=0.1)
    power = abs(solved(ms, tmp_path, solnorm=True).windows[0].gain) ** 2
    np.testing.assert_allclose(power.mean(0), 1)


def drop_all(columns):
    columns["flag"][:] = True


def no_weight(columns):
    columns["weight"][:] = 0


def empty_model(columns):
    columns["vis"]["MODEL_DATA"] = 0 * columns["vis"]["MODEL_DATA"]


@pytest.mark.parametrize(
    ("change", "selfcal", "message"),
    [
        ({"model": False}, {}, "has no column MODEL_DATA"),
        ({"edit": drop_all}, {}, "All samples are flagged"),
        ({"edit": no_weight}, {}, "All samples are flagged"),
        ({"edit": empty_model}, {}, "nothing to solve for"),
        ({}, {"refant": "VA99"}, "no such reference antenna"),
        ({}, {"solint": "2s"}, "shorter than an integration"),
        ({}, {"minblperant": 8}, "too few antennas"),
        ({"noise": 500.0}, {"minsnr": 10}, "No solution is good enough"),
        ({"corr_type": ("RR", "LL")}, {"gaintype": "J"}, "all four correlations"),
    ],
)  # fmt: skip
def test_what_cannot_be_solved_for(corrupted, tmp_path, change, selfcal, message):
    ms, _ = corrupted(**change)
    with pytest.raises(ImagingError, match=message) as caught:
        solved(ms, tmp_path, **({"refant": names(ms)[0]} | selfcal))
    assert caught.value.next_step
    assert not (tmp_path / "solutions.npz").exists()


def test_two_stations(corrupted, tmp_path):
    ms, _ = corrupted()
    two = {"antenna": "&".join(names(ms)[:2])}
    with pytest.raises(ImagingError, match="too few antennas"):
        solved(ms, tmp_path, data=two, refant=names(ms)[0])
    table = solved(ms, tmp_path, data=two, refant=names(ms)[0], minblperant=1, calmode="p")
    assert table.windows[0].flag.all((1, 2, 3)).tolist() == [False] * 2 + [True] * 6


def test_the_same_bytes_again_and_of_a_copy(corrupted, tmp_path):
    ms, _ = corrupted(noise=0.1)
    solved(ms, tmp_path, refant=names(ms)[0])
    first = (tmp_path / "solutions.npz").read_bytes()
    shutil.copytree(ms, tmp_path / "copy.ms")
    solved(tmp_path / "copy.ms", tmp_path, refant=names(ms)[0])
    assert (tmp_path / "solutions.npz").read_bytes() == first
