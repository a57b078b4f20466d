"""A new phase centre, against the measurement equation itself."""

import numpy as np
import pytest

from imaging.algorithms.phase_rotation import SPEED_OF_LIGHT, basis, rotate, to_frame
from imaging.errors import ImagingError


def observe(positions, centre, source, freq):
    """uvw and visibilities of a point source, from baselines in the equatorial frame: exp(2 pi i b.(s - s0))."""
    uvw = positions @ basis(*centre).T
    towards, origin = basis(*source)[2], basis(*centre)[2]
    return uvw, np.exp(2j * np.pi * (positions @ (towards - origin))[:, None] * freq / SPEED_OF_LIGHT)[None]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ((1.0, 0.5), (1.01, 0.52)),
        ((0.01, -1.2), (6.28, -1.19)),
        ((3.0, 1.56), (0.2, 1.5607)),
        ((2.0, 0.3), (2.0, -0.9)),
    ],
)
def test_the_visibilities_are_those_observed_there(old, new):
    rng = np.random.default_rng(3)
    positions, freq = rng.normal(size=(20, 3)) * 2e4, np.array([1.4e9, 1.5e9])
    source = (old[0] + 0.003, old[1] + 0.001)
    uvw, vis = observe(positions, old, source, freq)
    turned, moved = rotate(uvw, vis.astype(np.complex64), freq, old, new)
    expected_uvw, expected = observe(positions, new, source, freq)
    np.testing.assert_allclose(turned, expected_uvw, atol=1e-9)
    np.testing.assert_allclose(moved, expected, atol=1e-6)
    back_uvw, back = rotate(turned, moved, freq, new, old)
    np.testing.assert_allclose(back_uvw, uvw, atol=1e-9)
    np.testing.assert_allclose(back, vis, atol=1e-6)


def test_phases_stay_exact_on_the_longest_baselines():
    positions, freq = np.array([[9e6, 3e6, -5e6]]), np.array([86e9])
    old, new = (1.0, 0.5), (1.0 + 1e-6, 0.5)
    uvw, vis = observe(positions, old, new, freq)
    _, moved = rotate(uvw, vis, freq, old, new)
    np.testing.assert_allclose(moved, 1, atol=2e-6)


def test_nothing_is_touched_where_nothing_changes():
    uvw, vis = np.ones((2, 3)), np.ones((1, 2, 4), np.complex64)
    assert rotate(uvw, vis, np.ones(4), (1.0, 0.2), (1.0, 0.2)) == (uvw, vis)


def test_basis_is_right_handed_and_looks_east_and_north():
    east, north, towards = basis(0.3, 0.7)
    np.testing.assert_allclose(np.cross(east, north), towards, atol=1e-15)
    step = 1e-6
    np.testing.assert_allclose((basis(0.3, 0.7 + step)[2] - towards) / step, north, atol=1e-5)
    np.testing.assert_allclose((basis(0.3 + step, 0.7)[2] - towards) / step / np.cos(0.7), east, atol=1e-5)


def test_a_turned_north_shows_the_same_sky():
    # The same baselines and source, described in B1950 and in J2000.
    from astropy.coordinates import SkyCoord

    centre50, offset = (2.0, 0.6), (2.0004, 0.6003)
    centre, twist = to_frame(centre50, "B1950", "FK5")
    source = SkyCoord(*offset, unit="rad", frame="fk4").transform_to("fk5")
    freq = np.array([1.4e9])
    uvw = np.random.default_rng(0).normal(size=(30, 3)) * 3000
    uvw[:, 2] *= 0.01
    # In the old frame the source stands at l, m of the old basis.
    l, m, n = basis(*centre50) @ basis(*offset)[2]
    vis = np.exp(2j * np.pi * (uvw @ [l, m, n - 1])[:, None] * freq / SPEED_OF_LIGHT)[None]
    turned, moved = rotate(uvw, vis, freq, centre, (float(source.ra.rad), float(source.dec.rad)), twist)
    assert abs(twist) > 1e-4
    np.testing.assert_allclose(moved, 1, atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(turned, axis=1), np.linalg.norm(uvw, axis=1), rtol=1e-12)


def test_frames():
    assert to_frame((1.0, 0.5), "J2000", "FK5") == ((1.0, 0.5), 0.0)
    (ra, dec), twist = to_frame((1.0, 0.5), "ICRS", "FK5")
    assert 0 < np.hypot((ra - 1.0) * np.cos(0.5), dec - 0.5) < np.radians(0.05 / 3600)
    assert abs(twist) < 1e-6
    (ra, dec), _ = to_frame((0.0, 0.0), "GALACTIC", "ICRS")
    assert (np.degrees(ra), np.degrees(dec)) == pytest.approx((266.40499, -28.93617), abs=1e-4)
    with pytest.raises(ImagingError, match="AZEL"):
        to_frame((1.0, 0.5), "AZELGEO", "FK5")
