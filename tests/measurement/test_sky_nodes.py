import numpy as np
import pytest

from imaging.measurement.expressions import Meq, NodeScope, Tile, evaluate
from imaging.measurement.expressions.errors import ExpressionError

C = 299792458.0
START = 59000.25 * 86400
TILE = Tile(START + np.arange(4) * 600.0, np.array([1.0e9, 1.2e9]))
VLA = np.array([-1601185.4, -5041977.5, 3554875.9])


def test_direction_cosines_and_back():
    ns = NodeScope()
    centre, target = [1.0, 0.6], [1.02, 0.59]
    ns.lmn << Meq.LMN(radec_0=Meq.Constant(centre), radec=Meq.Constant(target))
    ns.back << Meq.LMRaDec(radec_0=Meq.Constant(centre), lm=Meq.Selector(ns.lmn, index=[0, 1], multi=True))
    lmn, back = evaluate([ns.lmn, ns.back], TILE)
    assert lmn[0, 0, 0] == pytest.approx(np.cos(0.59) * np.sin(0.02), abs=1e-15)
    assert np.sum(lmn**2) == pytest.approx(1, abs=1e-15)
    np.testing.assert_allclose(back[:, 0, 0], target, atol=1e-14)


def test_the_phase_of_two_stations_is_that_of_their_baseline():
    ns = NodeScope()
    uvw = {q: np.array([100.0 * q, -50.0 * q, 20.0])[:, None] * np.ones(4) for q in (1, 2)}
    tile = Tile(TILE.time, TILE.frequency, columns={"UVW": {(0, q): value for q, value in uvw.items()}})
    l, m = 0.01, -0.02
    n = np.sqrt(1 - l**2 - m**2)
    for q in (0, 1, 2):
        ns.uvw(q) << Meq.Spigot(input_col="UVW", station_1_index=0, station_2_index=q)
        ns.k(q) << Meq.VisPhaseShift(lmn=Meq.Constant([l, m, n - 1]), uvw=ns.uvw(q))
    ns.vis << Meq.MatrixMultiply(ns.k(1), 3, Meq.ConjTranspose(ns.k(2)))
    u, v, w = uvw[2] - uvw[1]
    expected = 3 * np.exp(2j * np.pi * (u * l + v * m + w * (n - 1))[:, None] * tile.frequency / C)
    np.testing.assert_allclose(evaluate(ns.vis, tile), expected, atol=1e-12)


def test_a_column_the_tile_lacks():
    ns = NodeScope()
    ns.data << Meq.Spigot(station_1_index=0, station_2_index=1)
    with pytest.raises(ExpressionError, match=r"(?s)data reads.*column DATA of the stations 0 and 1"):
        evaluate(ns.data, TILE)


def test_horizon_coordinates_against_astropy():
    from astropy import units
    from astropy.coordinates import AltAz, EarthLocation, SkyCoord
    from astropy.time import Time
    from astropy.utils import iers

    ns = NodeScope()
    radec = [2.0, 0.5]
    ns.azel << Meq.AzEl(radec=Meq.Constant(radec), xyz=Meq.Constant(VLA))
    ns.back << Meq.RADec(azel=ns.azel, xyz=Meq.Constant(VLA))
    (az, el), back = evaluate([ns.azel, ns.back], TILE)
    with iers.conf.set_temp("auto_download", False):
        here = EarthLocation.from_geocentric(*VLA, unit="m")
        frame = AltAz(obstime=Time(TILE.time / 86400, format="mjd"), location=here)
        there = SkyCoord(*radec, unit="rad").transform_to(frame)
    arcsec = units.arcsec.to("rad")
    np.testing.assert_allclose(el[:, 0], there.alt.rad, atol=2 * arcsec)
    np.testing.assert_allclose((az[:, 0] - there.az.rad) * np.cos(el[:, 0]), 0, atol=2 * arcsec)
    np.testing.assert_allclose(back[:, :, 0], np.outer(radec, np.ones(4)), atol=1e-9)


def test_the_parallactic_angle_against_its_textbook_form():
    ns = NodeScope()
    radec = [2.0, 0.5]
    ns.angle << Meq.ParAngle(radec=Meq.Constant(radec), xyz=Meq.Constant(VLA))
    ns.lst << Meq.LST(xyz=Meq.Constant(VLA))
    angle, lst = evaluate([ns.angle, ns.lst], TILE)
    latitude, hour_angle = np.deg2rad(34.0789), lst[:, 0] - radec[0]
    textbook = np.arctan2(
        np.sin(hour_angle), np.cos(radec[1]) * np.tan(latitude) - np.sin(radec[1]) * np.cos(hour_angle)
    )
    np.testing.assert_allclose(angle[:, 0], textbook, atol=0.01)  # mean place and precession are not in the textbook's


def test_station_uvw_is_a_turned_baseline():
    ns = NodeScope()
    ns.uvw << Meq.UVW(
        radec=Meq.Constant([2.0, 0.5]),
        xyz_0=Meq.Constant(VLA),
        xyz=Meq.Constant(VLA + np.array([300.0, -200.0, 100.0])),
    )
    uvw = evaluate(ns.uvw, TILE)
    np.testing.assert_allclose(np.sqrt(np.sum(uvw**2, axis=0)), np.sqrt(140000.0), rtol=1e-12)
    ns.lst << Meq.LST(xyz=Meq.Constant([6378137.0, 0.0, 0.0]))
    hour = evaluate(ns.lst, TILE)[:, 0] - 2.0  # Greenwich hour angle
    u = 300 * np.sin(hour) - 200 * np.cos(hour)
    np.testing.assert_allclose(uvw[0, :, 0], u, atol=2.0)  # precession since J2000: 0.3 degrees


def test_smearing_is_the_mean_over_a_cell():
    ns = NodeScope()
    lmn = np.array([0.01, -0.02, -0.00025])
    time, speed = np.arange(5) * 100.0, np.array([0.04, -0.02, 0.03])
    uvw = np.array([[300.0], [100.0], [50.0]]) + speed[:, None] * time
    ns.uvw << Meq.Spigot(input_col="UVW", station_1_index=0, station_2_index=1, include_deriv=True)
    ns.factor << Meq.TFSmearFactor(Meq.MatrixMultiply(ns.uvw, Meq.Constant(lmn)))
    tile = Tile(time, [1e9], np.full(5, 100.0), [2e6], columns={"UVW": {(0, 1): uvw}})
    inside = (np.arange(400) + 0.5) / 400 - 0.5
    fine = 2 * np.pi * 1e9 / C * (lmn @ speed) * 100.0 * inside
    mean = np.mean(np.exp(1j * fine)) * np.ones(5)
    mean *= [np.mean(np.exp(2j * np.pi / C * (lmn @ here) * 2e6 * inside)) for here in uvw.T]
    assert mean.real.max() < 0.99
    np.testing.assert_allclose(evaluate(ns.factor, tile)[:, 0], mean.real, rtol=1e-4)


def test_a_cos3_beam_and_its_pointing():
    ns = NodeScope()
    lm, offset = np.array([0.01, 0.002]), np.array([0.003, -0.001])
    ns.beam << Meq.WSRTCos3Beam(65e-9, Meq.Constant(lm), Meq.Constant(offset))
    radius = np.hypot(*(lm - offset))
    np.testing.assert_allclose(evaluate(ns.beam, TILE)[0], np.cos(65e-9 * TILE.frequency * radius) ** 3)


def test_a_gaussian_away_from_the_centre():
    ns = NodeScope()
    l, m, fwhm, angle, ratio = 0.004, -0.002, 2e-4, 0.4, 0.5
    n = np.sqrt(1 - l * l - m * m)
    uvw = np.array([[300.0], [-500.0], [50.0]]) * np.ones(4)
    ns.uvw << Meq.Spigot(input_col="UVW", station_1_index=0, station_2_index=1)
    ns.vis << Meq.PSVTensor(
        Meq.Constant([l, m, n]), Meq.Constant(np.array([[1.0, 0.5j], [-0.5j, 2.0]])), ns.uvw,
        Meq.Constant([fwhm * np.sin(angle), fwhm * np.cos(angle), ratio]),
    )  # fmt: skip
    value = evaluate(ns.vis, Tile(TILE.time, TILE.frequency, columns={"UVW": {(0, 1): uvw}}))
    u, v, w = (uvw[:, 0, None] * TILE.frequency) / C
    major, minor = u * np.sin(angle) + v * np.cos(angle), u * np.cos(angle) - v * np.sin(angle)
    size = fwhm / np.sqrt(8 * np.log(2))
    expected = np.exp(-2 * np.pi**2 * size**2 * (major**2 + ratio**2 * minor**2))
    assert expected.max() < 0.8
    expected = expected * np.exp(2j * np.pi * (u * l + v * m + w * (n - 1)))
    np.testing.assert_allclose(value[0, 1, 0], 0.5j * expected, rtol=1e-10)
    np.testing.assert_allclose(value[1, 1, 3], 2 * expected, rtol=1e-10)
