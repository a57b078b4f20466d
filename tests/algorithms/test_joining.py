"""Planes that are cleaned together: groups, weights, integrated images, means."""

import numpy as np
import pytest

from imaging.algorithms import joining
from imaging.image import Beam, Grid, Image

WEIGHT = np.array([1.0, 3, 0, 2])
FREQ = np.array([1.0e9, 1.2e9, 1.4e9, 1.6e9])


def cube(npol=2):
    data = np.random.default_rng(1).normal(size=(4, npol, 6, 5)).astype(np.float32)
    data[2] = np.nan
    return data


@pytest.mark.parametrize(
    ("join", "count", "shape"),
    [
        ((), 8, (4, 2)),
        (("channels",), 2, (1, 2)),
        (("polarizations",), 4, (4, 1)),
        (("channels", "polarizations"), 1, (1, 1)),
    ],
)
def test_groups_hold_every_plane_once(join, count, shape):
    groups = joining.plane_groups(4, 2, join)
    assert len(groups) == count
    seen = np.zeros((4, 2), int)
    for group in groups:
        seen[group.chans, group.pols] += 1
    assert (seen == 1).all()
    integrated = joining.integrate_cube(cube(), WEIGHT, ("I", "Q"), join)
    assert integrated.shape[:2] == shape
    assert joining.any_of_cube(np.isfinite(cube()), join).shape[:2] == shape


def test_the_integrated_image_is_a_weighted_mean_without_blank_channels():
    data = cube()
    kept = [0, 1, 3]
    mean = np.average(data[kept].astype(float), axis=0, weights=WEIGHT[kept])
    np.testing.assert_allclose(
        joining.integrate_cube(data, np.ones(4), ("I", "Q"), ("channels",))[0],
        data[kept].mean(axis=0),
        rtol=1e-5,
        atol=1e-6,
    )
    both = joining.integrate_cube(data, WEIGHT, ("I", "Q"), ("channels", "polarizations"))
    np.testing.assert_allclose(both[0, 0], mean.sum(axis=0), rtol=1e-5, atol=1e-6)
    squares = joining.integrate_cube(data, WEIGHT, ("XX", "YY"), ("channels", "polarizations"), squared=True)
    expected = np.sqrt(0.5 * np.average(data[kept].astype(float) ** 2, axis=0, weights=WEIGHT[kept]).sum(axis=0))
    np.testing.assert_allclose(squares[0, 0], expected, rtol=1e-5)
    alone = joining.integrate_cube(data, WEIGHT, ("I", "Q"), ())
    np.testing.assert_array_equal(alone[[0, 1, 3]], data[[0, 1, 3]])
    assert np.isnan(alone[2]).all()


@pytest.mark.parametrize(
    ("stokes", "factor"),
    [
        ("I", 1),
        ("Q", 1),
        (("XX", "YY"), 0.5),
        (("RR", "RL", "LR", "LL"), 0.5),
        ("IQUV", 1),
        ("QU", 0.5),
        ("QUV", 1 / 3),
    ],
)
def test_the_sum_over_polarisations_is_normalised(stokes, factor):
    assert joining.polarisation_factor(tuple(stokes)) == pytest.approx(factor)


def test_images_of_slopes_have_the_noise_of_the_mean():
    weights = joining.spectral_weights(WEIGHT, FREQ, ("I",), 3)
    assert weights.shape == (3, 4)
    np.testing.assert_allclose(weights[0], WEIGHT / 6)
    variance = np.divide(1, WEIGHT, out=np.zeros(4), where=WEIGHT > 0)
    np.testing.assert_allclose((weights * variance) @ weights.T, np.eye(3) / 6, atol=1e-12)
    assert abs(weights[1] @ FREQ) > 0
    np.testing.assert_allclose(weights[2] @ np.array([np.ones(4), FREQ / 1e9]).T, 0, atol=1e-12)
    assert joining.spectral_weights(WEIGHT, FREQ, ("I",), 8).shape == (3, 4)  # three channels have weight


def test_channels_are_averaged_in_blocks():
    blocks = joining.channel_blocks(WEIGHT, 2)
    assert blocks == [slice(0, 2), slice(2, 4)]
    assert len(joining.channel_blocks(WEIGHT, 0)) == len(joining.channel_blocks(WEIGHT, 9)) == 4
    data = np.nan_to_num(cube())
    means = joining.average_channels(data, WEIGHT, blocks)
    np.testing.assert_allclose(means[0], (data[0] + 3 * data[1]) / 4, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(means[1], data[3], rtol=1e-6)
    assert not joining.average_channels(data, np.zeros(4), blocks).any()


def test_the_mean_image_knows_what_it_is():
    data = cube(1)
    grid = Grid((0.0, 0.0), (1e-5, 1e-5), (6, 5), tuple(FREQ), (2e8,) * 4)
    valid = np.ones(data.shape, bool)
    valid[:, :, 0] = valid[2] = False
    valid[3, :, 0, 0] = True
    image = Image(data, grid, beams=(Beam(1e-4, 1e-4),) * 4, valid=valid)
    mean = joining.mean_over_channels(image, WEIGHT)
    assert mean.grid.freq == (pytest.approx(np.average(FREQ, weights=WEIGHT)),)
    assert mean.grid.width == (pytest.approx(8e8),)
    assert mean.beams == ()
    np.testing.assert_allclose(mean.data[0], (data[0] + 3 * data[1] + 2 * data[3]) / 6, rtol=1e-5, atol=1e-6)
    assert mean.valid[0, 0, 0, 0]
    assert not mean.valid[0, 0, 0, 1:].any()
    assert mean.valid[0, 0, 1:].all()
