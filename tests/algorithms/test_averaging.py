"""Averages: weighted means, within the stated loss, whatever the blocks they arrive in."""

import numpy as np
import pytest

from imaging.algorithms.averaging import (
    EARTH_ROTATION,
    SPEED_OF_LIGHT,
    Block,
    TimeAverager,
    average_channels,
    channel_groups,
    channels_within,
    chord,
    cycles_within,
    loss,
)

FREQ = 1.4e9 + 1e6 * np.arange(8)
DEC = 0.6


def tracks(lengths=(60.0, 3000.0, 20000.0), times=120, interval=2.0, offset=0.01):
    """Blocks of east-west baselines tracking a point source `offset` rad east of the phase centre."""
    t = 1e9 + interval * np.arange(times)
    hour = EARTH_ROTATION * (t - t[0]) - 0.3
    rows = {"uvw": [], "time": [], "antenna1": [], "antenna2": []}
    for step in range(times):
        for k, length in enumerate(lengths):
            east = length * np.array(
                [np.cos(hour[step]), np.sin(DEC) * np.sin(hour[step]), -np.cos(DEC) * np.sin(hour[step])]
            )
            rows["uvw"].append(east)
            rows["time"].append(t[step])
            rows["antenna1"].append(0)
            rows["antenna2"].append(k + 1)
    uvw = np.array(rows["uvw"])
    n = np.sqrt(1 - offset**2)
    vis = np.exp(2j * np.pi * (uvw @ [offset, 0, n - 1])[:, None] * FREQ / SPEED_OF_LIGHT)[None]
    return Block(
        uvw,
        vis.astype(np.complex64),
        np.ones(vis.shape[1:], np.float32),
        np.array(rows["time"]),
        np.array(rows["antenna1"]),
        np.array(rows["antenna2"]),
        np.zeros(len(uvw), int),
    )


def averager(duration, bound=0.01, offset=0.01, band=0.0):
    return TimeAverager(duration, 1e9 - 1.0, FREQ, band, offset, bound)


def run(averaging, blocks):
    made = [averaging.push(b) for b in blocks] + [averaging.flush()]
    made = [m for m in made if m is not None]
    whole = made[0]
    for more in made[1:]:
        whole = whole.joined(more)
    return whole


@pytest.mark.parametrize("bound", [0.05, 0.01, 0.001])
@pytest.mark.parametrize("duration", [20.0, 240.0])
def test_the_loss_at_the_edge_stays_within_the_bound(bound, duration):
    made = run(averager(duration, bound), [tracks()])
    assert len(made.time) < len(tracks().time)
    assert np.abs(made.vis).min() >= 1 - bound - 1e-5
    assert made.weight.sum() == tracks().weight.sum()


def test_short_baselines_are_averaged_for_longer():
    averaging = averager(240.0)
    made = run(averaging, [tracks()])
    rows = [int((made.antenna2 == k).sum()) for k in (1, 2, 3)]
    assert rows[0] == 1
    assert rows[0] < rows[1] < rows[2]
    assert averaging.shortened > 0


@pytest.mark.parametrize("cuts", [[1], [5, 200], [100, 101, 102], list(range(3, 357, 7))])
def test_blocks_do_not_matter(cuts):
    block = tracks()
    pieces = [block.take(slice(a, b)) for a, b in zip([0, *cuts], [*cuts, len(block.time)], strict=True)]
    whole, made = run(averager(30.0), [block]), run(averager(30.0), pieces)
    for name in ("uvw", "vis", "weight", "time", "antenna1", "antenna2"):
        np.testing.assert_array_equal(getattr(made, name), getattr(whole, name))


def test_means_are_weighted_and_flagged_samples_do_not_count():
    block = tracks(lengths=(100.0,), times=4, offset=0.0)
    block.vis[0, :, 0] = [1, 2, 1e30, 4]
    block.weight[:, 0] = [1, 3, 0, 0]
    block.weight[:, 1] = 0
    made = run(averager(8.0, 1.0), [block])
    assert made.vis.shape == (1, 1, 8)
    assert made.vis[0, 0, 0] == np.float32(7 / 4)
    assert made.weight[0, :3].tolist() == [4, 0, 4]
    assert made.vis[0, 0, 1] == 0
    row_weight = block.weight.sum(axis=1)
    np.testing.assert_allclose(made.uvw[0], row_weight @ block.uvw / row_weight.sum(), rtol=1e-12)
    np.testing.assert_allclose(made.time[0], row_weight @ block.time / row_weight.sum(), rtol=1e-15)


def test_fields_and_baselines_are_never_mixed():
    block = tracks(lengths=(50.0, 60.0), times=6)
    block.field[6:] = 1
    made = run(averager(1000.0, 1.0), [block])
    assert sorted(zip(made.field.tolist(), made.antenna2.tolist(), strict=True)) == [(0, 1), (0, 2), (1, 1), (1, 2)]


@pytest.mark.parametrize("count", [2, 3, 8, 50])
def test_channels(count):
    block = tracks(lengths=(500.0,), times=2)
    block.weight[:] = np.arange(1, 9)
    block.weight[0, 0] = 0
    groups = channel_groups(np.arange(8), count)
    made = average_channels(block, groups)
    for k, (a, b) in enumerate(zip(groups, [*groups[1:], 8], strict=True)):
        w = block.weight[:, a:b]
        np.testing.assert_allclose(made.vis[0, :, k], (block.vis[0, :, a:b] * w).sum(1) / w.sum(1), rtol=1e-6)
        np.testing.assert_allclose(made.weight[:, k], w.sum(1))


def test_groups_of_channels_stop_at_gaps():
    assert channel_groups(np.array([3, 4, 5, 6, 9, 10, 20]), 3).tolist() == [0, 3, 4, 6]
    assert channel_groups(np.arange(5), 1).tolist() == [0, 1, 2, 3, 4]


def test_channels_within_keeps_the_bound_and_one_more_does_not():
    width, baseline, offset = 1e6, 500.0, 0.01
    allowed = channels_within(0.02, width, baseline, offset)
    assert allowed > 1

    def lost(n):
        phase = 2 * np.pi * baseline * offset * width * (np.arange(n * 50) / 50) / SPEED_OF_LIGHT
        return 1 - np.abs(np.exp(1j * phase).mean())

    assert lost(allowed) <= 0.02 < lost(allowed + 1)
    assert channels_within(1e-9, 1e9, 1e6, 0.1) == 1


def test_loss_and_its_inverse():
    bound = np.array([0, 1e-8, 1e-4, 0.01, 0.5, 1.0])
    np.testing.assert_allclose(loss(cycles_within(bound)), bound, rtol=1e-4, atol=1e-12)
    assert cycles_within(np.array([-0.1])) == 0


def test_the_smearing_of_channels_leaves_less_for_time():
    lengths = np.array([1000.0, 20000.0])
    assert (averager(60.0, band=4e6).longest(lengths) < averager(60.0).longest(lengths)).all()


def test_chord_reaches_the_corner():
    assert chord((1e-5, 2e-5), (1000, 500)) == pytest.approx(np.hypot(0.01, 0.01) / 2, rel=1e-4)
    assert chord((0.1, 0.1), (100, 100)) == pytest.approx(np.sqrt(2))
