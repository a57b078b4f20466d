"""Smearing, beams and noise against what they are by definition."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
from numpy.polynomial.legendre import leggauss

from imaging.algorithms import simulation
from imaging.measurement import contracts
from imaging.measurement.contracts import ArrayPointings
from imaging.measurement.jones.beams import AnalyticBeam, voltage
from imaging.measurement.meqmaker import MeqMaker
from imaging.measurement.sky.components import ComponentSky
from imaging.measurement.visibilities.errors import ThermalNoise
from imaging.units import SPEED_OF_LIGHT


def predicted(observation, sky, **more):
    maker = MeqMaker(context=observation, **more)
    maker.add_sky_models(sky)
    return maker.make_predict_tree().evaluate(next(maker.context.tiles())[1])[0]


# Smearing: the mean of the visibilities over the channel and the integration, the Earth turning meanwhile.


FAR = simulation.vla_antennas("b", 5)[0]


def on_long_baselines(observe, later=0.0, freq=1.4e9, **more):
    observation = observe(stations=5)
    uvw = simulation.baseline_tracks(FAR, np.unique(observation.time) + later, observation.phase_centre)[3]
    return observe(stations=5, uvw=uvw, freq=np.array([freq]), **more)


def averaged(observe, sky, width, interval, middle=5):
    """By Gauss-Legendre sums of unsmeared predictions at other frequencies and with the uvw of other times."""
    total = 0
    points, weights = leggauss(middle if width == 0 or interval == 0 else 7)
    one = ([0.0], [2.0])
    for x, a in zip(*((points, weights) if interval else one), strict=True):
        for y, b in zip(*((points, weights) if width else one), strict=True):
            there = on_long_baselines(observe, x / 2 * interval, 1.4e9 + y / 2 * width)
            total = total + a * b / 4 * predicted(there, sky)
    return total


def smeared(observe, sky, width, interval):
    return predicted(on_long_baselines(observe, width=width, interval=interval), sky, smearing=True)


def test_a_channel_s_width_averages_exactly(observe, component):
    sky = ComponentSky([component("far", 0.02, -0.015, (1.0, 0.3, 0.2, 0.1))])
    mean = averaged(observe, sky, 4e7, 0, middle=20)
    assert np.abs(mean).min() < 0.9 * np.abs(mean).max()
    np.testing.assert_allclose(smeared(observe, sky, 4e7, 0), mean, rtol=0, atol=1e-12)


def test_an_integration_averages_to_second_order(observe, component):
    """What remains is that uvw turn rather than move on a line: a quarter at half the interval."""
    sky = ComponentSky([component("far", 0.02, -0.015, (1.0, 0.3, 0.2, 0.1))])
    errors, lost = [], []
    for interval in (120.0, 60.0):
        mean = averaged(observe, sky, 0, interval, middle=20)
        errors.append(np.abs(smeared(observe, sky, 0, interval) - mean).max())
        lost.append(np.abs(predicted(on_long_baselines(observe), sky) - mean).max())
    assert lost[0] > 0.1
    assert errors[0] < 0.02 * lost[0]
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)


def test_both_average_together(observe, component):
    sky = ComponentSky([component("far", 0.012, 0.02), component("near", -0.002, 0.001)])
    mean = averaged(observe, sky, 2e7, 30.0)
    np.testing.assert_allclose(smeared(observe, sky, 2e7, 30.0), mean, rtol=0, atol=2e-4)


def test_the_phase_centre_is_not_smeared(observe, component):
    sky = ComponentSky([component("centre", 0, 0, (1.0, 0.3, 0.2, 0.1))])
    plain = predicted(observe(), sky)
    np.testing.assert_allclose(predicted(observe(width=1e8, interval=600.0), sky, smearing=True), plain, atol=1e-13)


# Beams.


def test_airy_is_the_transform_of_a_uniform_disc():
    """Integrated over the aperture: 2/(pi R^2) of the chords' lengths times cosines."""
    diameter, freq, radius = 25.0, 1.4e9, np.linspace(0, 0.03, 40)
    nodes, weights = leggauss(400)
    angle = np.pi / 2 * nodes  # x = R sin(angle) makes the chords smooth
    chord = 2 * np.cos(angle) ** 2 / np.pi * (np.pi / 2) * weights
    phase = 2 * np.pi * freq / SPEED_OF_LIGHT * radius[:, None] * diameter / 2 * np.sin(angle)
    expected = (chord * np.cos(phase)).sum(1)
    assert expected.min() < -0.1
    np.testing.assert_allclose(voltage("airy", diameter, radius, freq), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("kind", ["airy", "cos3", "gaussian"])
def test_beams_have_the_same_power_at_half_their_width(kind):
    width = 1.0289939 * SPEED_OF_LIGHT / 25.0 / 1.4e9
    assert voltage(kind, 25.0, width / 2, 1.4e9) ** 2 == pytest.approx(0.5, rel=1e-6)
    radius = np.linspace(0, 2.5 * width, 60)
    scaled = voltage(kind, 25.0, radius / 2, 2.8e9)  # only D nu r/c matters
    np.testing.assert_allclose(scaled, voltage(kind, 25.0, radius, 1.4e9), rtol=0, atol=1e-14)
    if kind == "cos3":
        inside = radius < 1.4 * width
        factor = 2 * np.arccos(0.5 ** (1 / 6)) / width
        np.testing.assert_allclose(scaled[inside], np.cos(factor * radius[inside]) ** 3, atol=1e-13)
        assert np.abs(scaled[radius > np.pi / 2 / factor]).max() < 1e-40


@pytest.mark.parametrize("kind", ["airy", "cos3", "gaussian"])
def test_an_antenna_that_points_elsewhere_sees_the_sky_moved(observe, component, kind):
    """E at l, m with offsets (dl, dm) is E at l - dl, m - dm without, station by station and time by time."""
    observation = observe(stations=4, times=2)
    offsets = np.random.default_rng(1).normal(0, 1e-3, (4, 2, 1, 2))

    class Pointings:
        def compute_pointings(self, node, **kw):
            return ArrayPointings(lambda tile: offsets)

    def beam(l, m, pointing=None):
        maker = MeqMaker(context=observation)
        maker.add_sky_models(ComponentSky([component("s", l, m)]))
        maker.add_sky_jones("E", modules=AnalyticBeam(25.0, kind), pointing=pointing)
        tile = next(observation.tiles())[1].with_sources(maker.get_source_list())
        array = contracts.sky_array(maker.get_skyjones_nodes("E"), tile)[0]
        return np.broadcast_to(array, tile.shape)[0]

    found = beam(0.004, -0.002, Pointings())
    for a in range(4):
        for t in range(2):
            dl, dm = offsets[a, t, 0]
            np.testing.assert_allclose(found[a, t], beam(0.004 - dl, -0.002 - dm)[a, t], rtol=1e-11)
    assert np.abs(np.diff(found, axis=0)).min() > 1e-3


# Noise.


def noise_of(observation, seed=0, times=0, **options):
    maker = MeqMaker(context=observation, seed=seed)
    maker.add_vis_proc_module("N", modules=ThermalNoise(**options))
    tree = maker.make_predict_tree()
    vis = np.zeros((len(observation.time), len(observation.freq), 2, 2), complex)
    for rows, tile in observation.tiles(times):
        vis[rows] = tree.evaluate(tile)[0]
    return vis


def test_noise_is_white_and_of_its_size(observe):
    """Each moment within four of its standard errors."""
    width = np.linspace(1e6, 3e6, 6)
    observation = observe(stations=27, times=20, width=width, interval=10.0)
    vis = noise_of(observation, sefd=420.0)
    rms = 420 / np.sqrt(2 * width * 10)
    parts = (vis / rms[:, None, None]).reshape(len(vis), -1).view(float)  # (row, chan corr re-im)
    number, columns = parts.shape
    four = 4 / np.sqrt(parts.size)
    assert abs(parts.mean()) < four
    assert abs(parts.var() - 1) < four * np.sqrt(2)
    assert abs((parts**4).mean() - 3) < four * np.sqrt(96)
    covariance = parts.T @ parts / number - np.eye(columns)
    assert np.abs(covariance[np.triu_indices(columns, 1)]).max() < 5 / np.sqrt(number)
    along = (parts[1:] * parts[:-1]).mean()  # from baseline to baseline
    assert abs(along) < four
    other = (noise_of(observation, seed=1, sefd=420.0) / rms[:, None, None]).reshape(len(vis), -1).view(float)
    assert abs((parts * other).mean()) < four


SCRIPT = """
import hashlib, numpy as np
from imaging.algorithms import simulation
from imaging.algorithms.components import Component
from imaging.measurement.jones.beams import AnalyticBeam, PointingErrors
from imaging.measurement.jones.gains import ComplexGains
from imaging.measurement.meqmaker import MeqMaker
from imaging.measurement.sky.components import ComponentSky
from imaging.measurement.tiles import Observation
from imaging.measurement.visibilities.errors import ThermalNoise

positions, names = simulation.vla_antennas("d", 9)
time = simulation.time_of_hour_angle(np.linspace(-0.2, 0.2, 7), 1.2, simulation.VLA_LONGITUDE, 59000.0)
p, q, time, uvw = simulation.baseline_tracks(positions, time, (1.2, 0.6))
observation = Observation(tuple(names), p, q, time, uvw, np.linspace(1.3e9, 1.5e9, 20), (1.2, 0.6), 1e6, 10.0)
sky = [Component(str(s), 1.2 + 0.001 * s, 0.6, (1.0, 0.1, 0, 0), major=1e-4 * (s % 2)) for s in range(8)]
maker = MeqMaker(context=observation, seed=3)
maker.add_sky_models(ComponentSky(sky))
maker.add_sky_jones("E", modules=AnalyticBeam(), pointing=PointingErrors(1e-4))
maker.add_uv_jones("G", modules=ComplexGains(0.1, 0.5))
maker.add_vis_proc_module("N", modules=ThermalNoise(sefd=400.0))
vis = maker.make_predict_tree().evaluate(next(observation.tiles())[1])[0]
print(hashlib.sha256(vis.tobytes()).hexdigest())
"""


def test_processes_and_threads_give_the_same_bytes():
    """Neither the hash seed nor the number of threads is seen."""
    found = set()
    for threads in ("1", "2"):
        env = os.environ | {"PYTHONHASHSEED": threads, "NUMBA_NUM_THREADS": threads, "OMP_NUM_THREADS": "1"}
        done = subprocess.run([sys.executable, "-c", SCRIPT], env=env, capture_output=True, text=True, check=True)
        found.add(done.stdout.split()[-1])
    assert len(found) == 1
    assert len(found.pop()) == len(hashlib.sha256().hexdigest())
