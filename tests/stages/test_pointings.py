"""Where the image's centre is."""

from types import SimpleNamespace

import numpy as np
import pytest

from imaging.stages.pointings import image_centre

TEXT = "13h31m08.3 +30d30m33"
MAS = np.radians(1 / 3.6e6)


def reader(frame: str):
    meta = SimpleNamespace(fields=["a"], frames=[frame], directions=np.array([[3.5, 0.5]]), path="my.ms")
    return SimpleNamespace(meta=meta, survey=SimpleNamespace(first_field=0))


@pytest.mark.parametrize(("given", "frame"), [("J2000", "ICRS"), ("ICRS", "J2000"), ("B1950", "ICRS")])
def test_a_direction_in_another_frame_is_converted(given, frame):
    from astropy.coordinates import SkyCoord

    names = {"J2000": "fk5", "ICRS": "icrs", "B1950": "fk4"}
    here = SkyCoord(TEXT.replace(" ", "s ") + "s", frame=names[given])
    expected = here.transform_to(names[frame])
    (ra, dec), found = image_centre(reader(frame), f"{given} {TEXT}")
    assert found == {"ICRS": "ICRS", "J2000": "FK5"}[frame]
    np.testing.assert_allclose([ra, dec], [expected.ra.rad, expected.dec.rad], atol=1e-3 * MAS)
    assert np.hypot((ra - here.ra.rad) * np.cos(dec), dec - here.dec.rad) > 5 * MAS


@pytest.mark.parametrize("given", ["J2000 ", "FK5 ", ""])
def test_a_direction_in_the_data_s_own_frame_stays(given):
    assert image_centre(reader("J2000"), given + TEXT) == image_centre(reader("ICRS"), TEXT)[:1] + ("FK5",)
