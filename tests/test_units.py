"""Values as people write them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imaging import units


@pytest.mark.parametrize(
    ("text", "kind", "default", "value"),
    [
        ("60arcsec", units.ANGLE, "arcsec", math.radians(1 / 60)),
        (60, units.ANGLE, "arcsec", math.radians(1 / 60)),
        ("0.2 mas", units.ANGLE, "arcsec", math.radians(0.2e-3 / 3600)),
        ("0.5mJy", units.FLUX, "Jy", 5e-4),
        ("1e-3 Jy/beam", units.FLUX, "Jy", 1e-3),
        ("2GiB", units.MEMORY, "B", 2.0**31),
        ("1.42GHz", units.FREQUENCY, "Hz", 1.42e9),
    ],
)
def test_quantities(text, kind, default, value):
    assert units.parse_quantity(text, kind, default) == pytest.approx(value, rel=1e-14)


@pytest.mark.parametrize("text", ["", "arcsec", "1 parsec", "nan", "1e999arcsec", True, None, "1 2"])
def test_what_is_no_quantity(text):
    with pytest.raises(ValueError, match="number with a unit"):
        units.parse_quantity(text, units.ANGLE, "arcsec")


@given(st.floats(1e-12, 3.0))
def test_radians_survive_writing_and_parsing(value):
    assert units.parse_quantity(f"{value!r}rad", units.ANGLE, "arcsec") == value


@pytest.mark.parametrize(
    ("text", "ra", "dec"),
    [
        ("J2000 13h31m08.3 +30d30m33", 15 * (13 + 31 / 60 + 8.3 / 3600), 30 + 30 / 60 + 33 / 3600),
        ("13:31:08.3 -00.30.33.0", 15 * (13 + 31 / 60 + 8.3 / 3600), -(30 / 60 + 33 / 3600)),
        ("ICRS 202.5deg 30.5deg", 202.5, 30.5),
        ("-0:30:00 +1.0.0", 352.5, 1),
        ("3h22m41.7s -37d12m30s", 15 * (3 + 22 / 60 + 41.7 / 3600), -(37 + 12 / 60 + 30 / 3600)),
    ],
)
def test_directions(text, ra, dec):
    assert units.parse_direction(text) == pytest.approx((math.radians(ra), math.radians(dec)), rel=1e-13)


def test_b1950_is_precessed():
    ra, dec = units.parse_direction("B1950 13h28m49.66 +30d45m58.3")  # 3C286
    assert (math.degrees(ra), math.degrees(dec)) == pytest.approx((202.7845, 30.5092), abs=2e-3)


@pytest.mark.parametrize("text", ["", "north", "13h31m08.3", "13h61m0 +30d0m0", "0h0m0 +91d0m0", "GAL 1deg 2deg",
                                  "24h0m0 +1d0m0", "99:31:08 +1.0.0", "360deg 1deg"])  # fmt: skip
def test_what_is_no_direction(text):
    with pytest.raises(ValueError):
        units.parse_direction(text)


@pytest.mark.parametrize(
    ("text", "planes"),
    [("I", ("I",)), ("iquv", ("I", "Q", "U", "V")), ("IV", ("I", "V")), ("XXYY", ("XX", "YY")), ("RR", ("RR",))],
)
def test_stokes(text, planes):
    assert units.parse_stokes(text) == planes


@pytest.mark.parametrize("text", ["", "QI", "II", "IX", "XXRR", "XXX"])
def test_what_is_no_stokes(text):
    with pytest.raises(ValueError):
        units.parse_stokes(text)
