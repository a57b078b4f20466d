"""Layers above the stations: geometry, ionosphere and troposphere."""

import numpy as np
import pytest
from astropy import constants

from imaging.algorithms import simulation
from imaging.errors import ImagingError
from imaging.measurement import contracts, horizon, layers
from imaging.measurement.jones.ionosphere import TECU_PHASE, IonosphereScreen, IonosphereWave
from imaging.measurement.jones.troposphere import Troposphere
from imaging.measurement.meqmaker import MeqMaker


def sphere(longitude, latitude, radius=6.371e6):
    cos = np.cos(latitude)
    return radius * np.stack([cos * np.cos(longitude), cos * np.sin(longitude), np.sin(latitude)], -1)


def test_pierce_points_are_those_of_spherical_triangles():
    """psi = pi/2 - el - asin(R cos el/(R + h)) and the latitude and longitude that follow (Klobuchar 1987)."""
    longitude, latitude, height = np.array([0.4, 0.42]), np.array([0.7, 0.69]), 350e3
    positions = sphere(longitude, latitude)
    rng = np.random.default_rng(1)
    azimuth, elevation = rng.uniform(0, 2 * np.pi, (6, 2, 3)), rng.uniform(0.2, 1.5, (6, 2, 3))
    # elevations about the geocentric vertical, which `pierce_points` is to be given about the geodetic one
    east, north, up = (axis[:, None] for axis in np.moveaxis(
        np.array([simulation.enu_axes(*place) for place in zip(longitude, latitude, strict=True)]), 1, 0))  # fmt: skip
    line = (np.sin(azimuth) * np.cos(elevation))[..., None] * east + np.sin(elevation)[..., None] * up
    line = line + (np.cos(azimuth) * np.cos(elevation))[..., None] * north
    places = zip(*horizon.geodetic(positions), strict=True)
    e, n, u = (axis[:, None] for axis in np.moveaxis(np.array([simulation.enu_axes(*p) for p in places]), 1, 0))
    seen = [(line * axis).sum(-1) for axis in (e, n, u)]
    x, y, slant = layers.pierce_points(positions, np.arctan2(seen[0], seen[1]), np.arcsin(seen[2]), height)
    ratio = 6.371e6 / (6.371e6 + height)
    np.testing.assert_allclose(slant, 1 / np.sqrt(1 - (ratio * np.cos(elevation)) ** 2), rtol=1e-9)
    psi = np.pi / 2 - elevation - np.arcsin(ratio * np.cos(elevation))
    lat, lon = latitude[:, None], longitude[:, None]
    there = np.arcsin(np.sin(lat) * np.cos(psi) + np.cos(lat) * np.sin(psi) * np.cos(azimuth))
    at = lon + np.arcsin(np.sin(psi) * np.sin(azimuth) / np.cos(there))
    centre = positions.mean(0)
    lon0, lat0 = np.arctan2(centre[1], centre[0]), np.arctan2(centre[2], np.hypot(*centre[:2]))
    distance = np.arccos(np.sin(lat0) * np.sin(there) + np.cos(lat0) * np.cos(there) * np.cos(at - lon0))
    np.testing.assert_allclose(np.hypot(x, y), (6.371e6 + height) * distance, rtol=1e-5, atol=1)
    bearing = np.arctan2(np.sin(at - lon0) * np.cos(there),
                         np.cos(lat0) * np.sin(there) - np.sin(lat0) * np.cos(there) * np.cos(at - lon0))  # fmt: skip
    np.testing.assert_allclose(np.exp(1j * np.arctan2(x, y)), np.exp(1j * bearing), atol=1e-5)


@pytest.fixture
def term(observe, sky):
    """term(module, sky=True, **observation): its array, the tile, and its inspectors."""

    def make(module, of_sky=True, seed=0, **more):
        maker = MeqMaker(context=observe(**more), seed=seed)
        maker.add_sky_models(sky)
        tile = next(maker.context.tiles())[1].with_sources(sky.source_list())
        if of_sky:
            maker.add_sky_jones("Z", modules=module)
            array = contracts.sky_array(maker.get_skyjones_nodes("Z"), tile)[0]
        else:
            maker.add_uv_jones("Z", modules=module)
            array = contracts.station_array(maker.get_uvjones_nodes("Z"), tile)
        return array, tile, dict(maker.get_inspectors())

    return make


def test_the_constant_of_the_ionosphere():
    """-e^2 / (4 pi eps0 m c) for each electron a square metre."""
    c = constants
    expected = -(c.e.si**2 / (4 * np.pi * c.eps0 * c.m_e * c.c)).to_value("m2 Hz") * 1e16
    assert pytest.approx(expected, rel=1e-7) == TECU_PHASE


@pytest.mark.parametrize("module", [IonosphereWave(0.5, tec=10.0), IonosphereScreen(size=256, tec=10.0)])
def test_phases_go_as_the_wavelength_and_close(term, module):
    array, tile, inspectors = term(module)
    assert array.shape == (3, 5, 3, 6)
    np.testing.assert_allclose(np.abs(array), 1, rtol=1e-13)
    tec = inspectors["Z:TEC"](tile)
    assert list(inspectors) == ["Z:TEC", "Z:phase"]
    np.testing.assert_allclose(array, np.exp(1j * TECU_PHASE * tec[..., None] / tile.nu), atol=1e-9)
    np.testing.assert_allclose(inspectors["Z:phase"](tile), TECU_PHASE * tec / tile.nu.mean(), rtol=1e-13)
    triangle = array[:, 0] * array[:, 1].conj() * array[:, 1] * array[:, 2].conj() * array[:, 2] * array[:, 0].conj()
    np.testing.assert_allclose(triangle, 1, atol=1e-13)
    along = term(module, of_sky=False)[0]
    assert along.shape == (1, 5, 3, 6)
    np.testing.assert_allclose(along[0], array[0], atol=1e-8)  # the first source is at the phase centre


def test_background_is_slant_and_differences_are_from_the_phase_centre(term):
    _, tile, inspectors = term(IonosphereWave(0.0, tec=10.0, height=300e3))
    elevation = horizon.azimuth_elevation(tile.time, tile.positions, [1.2], [0.6])[1]
    ratio = 6.371e6 / 6.671e6
    expected = 10 / np.sqrt(1 - (ratio * np.cos(elevation)) ** 2)
    np.testing.assert_allclose(inspectors["Z:TEC"](tile)[:1], expected, rtol=2e-3)
    differences = term(IonosphereWave(0.1, tec=10.0, differential=True))[2]["Z:TEC"](tile)
    np.testing.assert_allclose(differences[0], 0, atol=1e-9)
    assert np.abs(differences[1:]).max() > 1e-4
    plain = term(IonosphereWave(0.1, tec=10.0))[2]["Z:TEC"](tile)
    np.testing.assert_allclose(plain - plain[:1], differences, atol=1e-9)


def test_the_wave_travels_at_its_speed(term):
    """A wave that came back to where it was after a period is the same; after half of one the opposite."""
    wave = {"amplitude": 1.0, "wavelength": 360e3, "direction": 0.5, "phase": 0.7}
    still, tile, _ = term(IonosphereWave(speed=0.0, **wave))
    seconds = tile.time[1] - tile.time[0]

    def at(speed):
        tec = term(IonosphereWave(speed=speed, **wave))[2]["Z:TEC"](tile)
        return tec

    np.testing.assert_allclose(at(360e3 / seconds), at(0.0), atol=1e-7)
    np.testing.assert_allclose(at(180e3 / seconds)[:, :, 1], -at(0.0)[:, :, 1], atol=1e-7)
    x, y, slant, _ = layers.lines_of_sight(tile, tile.sources, 300e3)
    along = x * np.sin(0.5) + y * np.cos(0.5)
    expected = slant * np.sin(2 * np.pi * (along - 100 * (tile.time - tile.time[0])) / 360e3 + 0.7)
    np.testing.assert_allclose(at(100.0), expected, atol=1e-12)


def test_the_screen_has_the_structure_function_of_its_scale(observe, sky):
    """Two stations 8 km apart look at a screen that passes: D = (r/s)^(5/3), less what the outer scale takes."""
    centre = simulation.VLA_CENTRE
    axes = simulation.enu_axes(simulation.VLA_LONGITUDE, simulation.VLA_LATITUDE)
    positions = centre + np.array([[0, 0, 0], [8e3, 0, 0], [0, 8e3, 0]]) @ axes
    observation = observe(stations=3, times=2, positions=positions)
    values, slants = [], []
    for seed in range(60):
        maker = MeqMaker(context=observation, seed=seed)
        maker.add_sky_models(sky)
        maker.add_sky_jones("Z", modules=IonosphereScreen(4e3, outer_scale=100e3, size=256, pixel=500.0))
        maker.get_skyjones_nodes("Z")
        tile = next(observation.tiles())[1].with_sources(sky.source_list()[:1])
        slants = layers.lines_of_sight(tile, tile.sources, 300e3)[2]
        values.append(TECU_PHASE * dict(maker.get_inspectors())["Z:TEC"](tile) / 150e6 / slants)
    values = np.array(values)
    measured = np.mean([(values[:, :, 1] - values[:, :, 0]) ** 2, (values[:, :, 2] - values[:, :, 0]) ** 2])
    x = 8e3 / 100e3
    expected = 2 ** (5 / 3) * (1 - 1.485 * x ** (1 / 3) + 5.383 * x**2)
    assert measured == pytest.approx(expected, rel=0.25)


def test_layers_that_cannot_be(term):
    with pytest.raises(ImagingError, match="IonosphereScreen is no layer"):
        IonosphereScreen(size=1)
    with pytest.raises(ImagingError, match="no such troposphere"):
        Troposphere(rms=-1.0)
    with pytest.raises(ImagingError, match="positions"):
        term(IonosphereWave(), positions=None)


def test_the_troposphere_delays_and_absorbs(term):
    clear, tile, inspectors = term(Troposphere(0.01, size=256), of_sky=False)
    assert clear.shape == (1, 5, 3, 6)
    delay = inspectors["Z:delay"](tile)
    np.testing.assert_allclose(clear[0], np.exp(2j * np.pi * tile.nu * delay[..., None]), atol=1e-12)
    dark, _, inspectors = term(Troposphere(0.01, size=256, opacity=0.2), of_sky=False)
    elevation = horizon.azimuth_elevation(tile.time, tile.positions, [1.2], [0.6])[1]
    np.testing.assert_allclose(
        np.abs(dark) ** 2, np.exp(-0.2 / np.sin(elevation))[..., None] + 0 * dark.real, rtol=1e-12
    )
    np.testing.assert_allclose(inspectors["Z:absorption"](tile), np.exp(-0.1 / np.sin(elevation[0])), rtol=1e-12)
    toward_sources = term(Troposphere(0.01, size=256))[0]
    np.testing.assert_allclose(toward_sources[0], clear[0], atol=1e-7)
    assert np.abs(toward_sources[1] - toward_sources[0]).max() > 1e-6


def test_the_path_s_length_has_its_deviation(term):
    lengths = [
        term(Troposphere(0.01, outer_scale=300.0, size=128), of_sky=False, seed=seed)[2]["Z:delay"]
        for seed in range(40)
    ]
    _, tile, _ = term(Troposphere(0.01, size=16), of_sky=False)
    slant = layers.lines_of_sight(tile, None, 1e3)[2][0]
    paths = np.array([fn(tile) for fn in lengths]) * 299792458 / slant
    assert paths.std() == pytest.approx(0.01, rel=0.15)
