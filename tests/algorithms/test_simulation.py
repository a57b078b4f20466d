"""The simulated observation against geometry, closed forms and a real array."""

import numpy as np
import pytest

from imaging.algorithms import simulation as sim
from imaging.algorithms.components import Component
from imaging.image import lm_to_radec, radec_to_lmn

CENTRE = (3.2, 0.6)
ARCSEC = np.radians(1 / 3600)
FREQ = np.array([1.3e9, 1.5e9])


@pytest.fixture(scope="module")
def tracks():
    positions, _ = sim.vla_antennas("c", 7)
    hours = np.array([-3.0, -0.5, 2.0])
    time = sim.time_of_hour_angle(hours * np.pi / 12, CENTRE[0], sim.VLA_LONGITUDE, 59000.0)
    return positions, *sim.baseline_tracks(positions, time, CENTRE)


@pytest.mark.parametrize(("configuration", "longest_arm"), [("a", 21e3), ("b", 6.4e3), ("c", 1.95e3), ("d", 590)])
def test_the_array_is_a_y_of_the_size_of_the_vla(configuration, longest_arm):
    positions, names = sim.vla_antennas(configuration)
    assert len(set(names)) == 27
    enu = (positions - sim.VLA_CENTRE) @ sim.enu_axes(sim.VLA_LONGITUDE, sim.VLA_LATITUDE).T
    radius = np.hypot(enu[:, 0], enu[:, 1])
    assert abs(radius.max() / longest_arm - 1) < 0.1
    np.testing.assert_allclose(enu[:, 2], 0, atol=1e-6)
    # distances along an arm grow with the station number to the power 1.716
    np.testing.assert_allclose(radius[3:6] / radius[:3], 2**1.716)


def test_uvw_is_a_rotation_and_closes(tracks):
    positions, p, q, time, uvw = tracks
    np.testing.assert_allclose(np.linalg.norm(uvw, axis=1), np.linalg.norm(positions[p] - positions[q], axis=1))
    at = {(a, b, t): x for a, b, t, x in zip(p, q, time, uvw, strict=True)}
    for t in np.unique(time):
        np.testing.assert_allclose(at[0, 1, t] + at[1, 4, t] - at[0, 4, t], 0, atol=1e-9)


def test_at_transit_u_is_east_and_w_points_at_the_source():
    positions = sim.VLA_CENTRE + np.array([[0.0, 0, 0], [100, 0, 0], [0, 100, 0], [0, 0, 100]]) @ sim.enu_axes(
        sim.VLA_LONGITUDE, sim.VLA_LATITUDE
    )
    centre = (1.0, sim.VLA_LATITUDE)  # passes the zenith
    time = sim.time_of_hour_angle([0.0], centre[0], sim.VLA_LONGITUDE, 59000.0)
    p, q, _, uvw = sim.baseline_tracks(positions, time, centre)
    from_first = -uvw[p == 0]  # antennas east, north and above of antenna 0: minus (position 0 - position q)
    np.testing.assert_allclose(from_first, 100 * np.eye(3), atol=1e-6)


def test_tracks_agree_with_a_real_vla_observation(unpacked):
    """Within the precession, aberration and clock offset that the simulation leaves out (0.3 %)."""
    tables = pytest.importorskip("casacore.tables")
    path = str(unpacked("vla_3c286_L"))
    with tables.table(path, ack=False) as t, tables.table(f"{path}::ANTENNA", ack=False) as antenna:
        rows = t.query("ANTENNA1 != ANTENNA2", limit=400)
        real, time, a, b = (rows.getcol(c) for c in ("UVW", "TIME", "ANTENNA1", "ANTENNA2"))
        positions = antenna.getcol("POSITION")
    with tables.table(f"{path}::FIELD", ack=False) as t:
        centre = t.getcell("PHASE_DIR", 0)[0]
    p, q, times, uvw = sim.baseline_tracks(positions, np.unique(time), centre)
    at = {key: k for k, key in enumerate(zip(p, q, times, strict=True))}
    ours = uvw[[at[key] for key in zip(a, b, time, strict=True)]]
    assert np.abs(ours - real).max() < 3e-3 * np.abs(real).max()


def test_a_point_at_the_phase_centre_is_flat(tracks):
    uvw = tracks[-1]
    vis = sim.predict_components(uvw, FREQ, [Component("a", *CENTRE, (2, 0, 0, 0))], CENTRE, ("RR", "LL"))
    np.testing.assert_allclose(vis, 2.0, atol=1e-12)


@pytest.mark.parametrize(
    ("corr_type", "expected"),
    [
        (("RR", "RL", "LR", "LL"), [1.4, 0.1 + 0.2j, 0.1 - 0.2j, 0.6]),
        (("XX", "XY", "YX", "YY"), [1.1, 0.2 + 0.4j, 0.2 - 0.4j, 0.9]),
        (("I", "Q", "U", "V"), [1.0, 0.1, 0.2, 0.4]),
    ],
)
def test_correlations_of_a_polarised_source(corr_type, expected):
    source = Component("a", *CENTRE, (1.0, 0.1, 0.2, 0.4))
    vis = sim.predict_components(np.ones((1, 3)), FREQ, [source], CENTRE, corr_type)
    np.testing.assert_allclose(vis[0, 0], expected, atol=1e-15)


def test_fringes_of_an_offset_point_are_the_measurement_equation(tracks):
    uvw = tracks[-1]
    l, m = 0.01, -0.02
    ra, dec = lm_to_radec(l, m, CENTRE)
    source = Component("a", ra, dec, (1.5, 0, 0, 0), spectral_index=-0.7, reffreq=1.4e9)
    vis = sim.predict_components(uvw, FREQ, [source], CENTRE, ("I",), attenuation=lambda r, nu: 0.5 + 0 * nu)
    n = np.sqrt(1 - l**2 - m**2)
    path = uvw @ [l, m, n - 1]
    expected = 0.75 * (FREQ / 1.4e9) ** -0.7 * np.exp(2j * np.pi * path[:, None] * FREQ / 299792458.0)
    np.testing.assert_allclose(vis[..., 0], expected, atol=1e-9)


def airy_like(radius, freq):
    """A radial pattern of 30' half-power width at 1.4 GHz that is no Gaussian."""
    return np.cos(0.5 * np.pi * np.asarray(radius) * freq / 1.4e9 / 0.0087) ** 2


@pytest.mark.parametrize(("dl", "dm"), [(0.0, 0.0), (300.0, -400.0)])
def test_a_gaussian_in_a_primary_beam_is_the_sum_over_its_pixels(tracks, dl, dm):
    uvw = tracks[-1] * 0.3
    major, minor, pa = 120 * ARCSEC, 60 * ARCSEC, np.radians(50)
    ra, dec = lm_to_radec(dl * ARCSEC, dm * ARCSEC, CENTRE)
    source = Component("g", float(ra), float(dec), (1, 0, 0, 0), major=major, minor=minor, pa=pa)
    vis = sim.predict_components(uvw, FREQ, [source], CENTRE, ("I",), airy_like)[..., 0]
    x = np.linspace(-300, 300, 121) * ARCSEC
    l, m = np.meshgrid(x, x)
    along, across = l * np.sin(pa) + m * np.cos(pa), l * np.cos(pa) - m * np.sin(pa)
    image = np.exp(-4 * np.log(2) * ((along / major) ** 2 + (across / minor) ** 2))
    image /= image.sum()
    l, m = l + dl * ARCSEC, m + dm * ARCSEC
    n = np.sqrt(1 - l**2 - m**2)
    for row in (0, 20, 41):
        for chan, nu in enumerate(FREQ):
            u, v, w = uvw[row] * nu / 299792458.0
            sky = image * airy_like(np.hypot(l, m), nu)
            expected = np.sum(sky * np.exp(2j * np.pi * (u * l + v * m + w * (n - 1))))
            assert vis[row, chan] == pytest.approx(expected, abs=3e-4)


def test_a_gaussian_is_the_fourier_transform_of_its_image(tracks):
    uvw = tracks[-1] * 0.1
    major, minor, pa = 300 * ARCSEC, 120 * ARCSEC, np.radians(30)
    source = Component("g", *CENTRE, (2.0, 0, 0, 0), major=major, minor=minor, pa=pa)
    vis = sim.predict_components(uvw, FREQ, [source], CENTRE, ("I",))[..., 0]
    x = np.linspace(-1000, 1000, 201) * ARCSEC
    l, m = np.meshgrid(x, x)
    along, across = l * np.sin(pa) + m * np.cos(pa), l * np.cos(pa) - m * np.sin(pa)
    image = np.exp(-4 * np.log(2) * ((along / major) ** 2 + (across / minor) ** 2))
    image *= 2.0 / image.sum()
    for row in (0, 20, 41):
        for chan, nu in enumerate(FREQ):
            u, v = uvw[row, :2] * nu / 299792458.0
            expected = np.sum(image * np.exp(2j * np.pi * (u * l + v * m)))
            assert vis[row, chan] == pytest.approx(expected, abs=1e-6)


def test_lm_and_radec_are_inverses():
    l, m = np.array([0.0, 0.1, -0.3, 0.2]), np.array([0.0, -0.2, 0.1, 0.5])
    for centre in [CENTRE, (0.0, -1.5), (6.28, np.pi / 2)]:
        back = radec_to_lmn(*lm_to_radec(l, m, centre), centre)
        np.testing.assert_allclose(back, [l, m, np.sqrt(1 - l**2 - m**2)], atol=1e-12)


def test_hour_angle_and_elevation():
    time = sim.time_of_hour_angle(np.array([0.0, 0.5]), 2.0, sim.VLA_LONGITUDE, 59000.0)
    assert 59000 * 86400 <= time[0] < 59001 * 86400
    hour_angle = sim.earth_rotation_angle(time) + sim.VLA_LONGITUDE - 2.0
    np.testing.assert_allclose(np.angle(np.exp(1j * hour_angle)), [0.0, 0.5], atol=1e-9)
    assert sim.elevation(0.0, sim.VLA_LATITUDE, sim.VLA_LATITUDE) == pytest.approx(np.pi / 2)
    assert sim.elevation(np.pi, 0.0, sim.VLA_LATITUDE) < 0


def test_noise_has_the_rms_of_the_radiometer_equation_and_is_seeded():
    rms = sim.visibility_rms(sefd=400.0, width=2e6, integration=10.0, efficiency=0.8)
    assert rms == pytest.approx(400 / (0.8 * np.sqrt(4e7)))
    noise = sim.thermal_noise((20000,), rms, np.random.default_rng(3))
    assert noise.real.std() == pytest.approx(rms, rel=0.02)
    assert noise.imag.std() == pytest.approx(rms, rel=0.02)
    np.testing.assert_array_equal(noise, sim.thermal_noise((20000,), rms, np.random.default_rng(3)))


def test_a_gaussian_where_the_beam_is_zero_is_gone(tracks):
    ra, dec = lm_to_radec(0.02, 0.0, CENTRE)
    source = Component("g", float(ra), float(dec), (1, 0, 0, 0), major=60 * ARCSEC, minor=60 * ARCSEC)
    cut = sim.predict_components(tracks[-1], FREQ, [source], CENTRE, ("I",), lambda r, nu: np.where(r < 0.01, 1.0, 0.0))
    np.testing.assert_array_equal(cut, 0)
