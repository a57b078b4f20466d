"""Values as people write them (`60arcsec`, `0.5mJy`, `13h31m08.3 +30d30m33`) to SI numbers, and back."""

from __future__ import annotations

import math
import re

ANGLE = {
    "rad": 1.0,
    "deg": math.pi / 180,
    "arcmin": math.pi / 10800,
    "'": math.pi / 10800,
    "arcsec": math.pi / 648000,
    '"': math.pi / 648000,
    "asec": math.pi / 648000,
    "mas": math.pi / 648000e3,
    "uas": math.pi / 648000e6,
}
FLUX = {
    f"{prefix}Jy{per}": scale
    for prefix, scale in {"": 1.0, "k": 1e3, "m": 1e-3, "u": 1e-6, "n": 1e-9}.items()
    for per in ("", "/beam")
}
FREQUENCY = {"Hz": 1.0, "kHz": 1e3, "MHz": 1e6, "GHz": 1e9, "THz": 1e12}
LENGTH = {"m": 1.0, "cm": 1e-2, "mm": 1e-3, "km": 1e3}
TIME = {"ps": 1e-12, "ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
MEMORY = {
    "B": 1.0,
    "KiB": 2.0**10,
    "MiB": 2.0**20,
    "GiB": 2.0**30,
    "TiB": 2.0**40,
    "kB": 1e3,
    "MB": 1e6,
    "GB": 1e9,
    "TB": 1e12,
}
SPEED_OF_LIGHT = 299792458.0
"""m/s."""
TAPER = {**ANGLE, "lambda": 1.0, "klambda": 1e3, "Mlambda": 1e6}

_NUMBER = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(\S.*)?$")


def parse_quantity(value: object, units: dict[str, float], default: str) -> float:
    """A number with a unit of `units` as a float in the SI unit; a bare number is in `default`.

    Raises ValueError with the units that would have been right.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(f"a number with a unit ({', '.join(units)}), such as 1{default}")
    match = _NUMBER.match(str(value))
    unit = (match.group(2) or default).strip() if match else None
    if unit not in units or not math.isfinite(float(match.group(1))):
        raise ValueError(f"a number with a unit ({', '.join(units)}), such as 1{default}")
    return float(match.group(1)) * units[unit]


def _sexagesimal(text: str, hours: bool) -> float:
    """`13h31m08.3`, `13:31:08.3`, `+30d30m33`, `+30.30.33.0` or `202.8deg` in rad."""
    with_unit = _NUMBER.match(text)
    if with_unit and with_unit.group(2) in ("deg", "rad"):
        return float(with_unit.group(1)) * ANGLE[with_unit.group(2)]
    match = re.fullmatch(r"([-+]?)(\d+)[hd:.](\d+)[m:.'](\d+(?:\.\d*)?)[s\"]?", text)
    if not match:
        raise ValueError(text)
    sign, whole, minutes, seconds = match.groups()
    if float(minutes) >= 60 or float(seconds) >= 60:
        raise ValueError(text)
    # In right ascension a plain or colon-separated number is in hours; `d` says degrees.
    scale = 15.0 if hours and "d" not in text else 1.0
    degrees = (float(whole) + float(minutes) / 60 + float(seconds) / 3600) * scale
    return math.radians(-degrees if sign == "-" else degrees)


def parse_direction(value: str) -> tuple[float, float]:
    """A direction such as `J2000 13h31m08.3 +30d30m33` as (ra, dec) in rad, in `direction_frame`.

    B1950 is converted with astropy. Raises ValueError where the text is no direction.
    """
    words = str(value).replace(",", " ").split()
    frame = words.pop(0).upper() if len(words) == 3 else "J2000"
    if len(words) != 2 or frame not in ("J2000", "ICRS", "FK5", "B1950", "FK4"):
        raise ValueError("a direction such as 'J2000 13h31m08.3 +30d30m33'")
    try:
        ra, dec = _sexagesimal(words[0], hours=True), _sexagesimal(words[1], hours=False)
    except ValueError:
        raise ValueError("a direction such as 'J2000 13h31m08.3 +30d30m33'") from None
    if abs(ra) >= 2 * math.pi:  # below zero is what some programs write near 0h
        raise ValueError("a right ascension below 24 h (360deg)")
    if abs(dec) > math.pi / 2:
        raise ValueError("a declination between -90 and +90 degrees")
    if frame in ("B1950", "FK4"):
        from astropy.coordinates import FK5, SkyCoord

        moved = SkyCoord(ra, dec, unit="rad", frame="fk4").transform_to(FK5(equinox="J2000"))
        ra, dec = float(moved.ra.rad), float(moved.dec.rad)
    return ra % (2 * math.pi), dec


def direction_frame(value: str) -> str:
    """The frame that `parse_direction` gives a direction in: ICRS, FK5 (J2000), or "" where the text names none."""
    words = str(value).replace(",", " ").split()
    return "" if len(words) < 3 else "ICRS" if words[0].upper() == "ICRS" else "FK5"


def parse_stokes(text: str) -> tuple[str, ...]:
    """`IQUV` → ('I', 'Q', 'U', 'V'); `XXYY` → ('XX', 'YY'). Raises ValueError otherwise."""
    text = text.upper().replace(",", "").replace(" ", "")
    for alphabet in (("I", "Q", "U", "V"), ("XX", "XY", "YX", "YY"), ("RR", "RL", "LR", "LL")):
        size = len(alphabet[0])
        planes = tuple(text[i : i + size] for i in range(0, len(text), size))
        order = [alphabet.index(p) for p in planes if p in alphabet]
        if planes and len(order) == len(planes) and order == sorted(set(order)):
            return planes
    raise ValueError("I, Q, U, V or some of them in that order, or correlations such as XX, XXYY, RR, RRLL")


def parse_beam(values: list[str]) -> tuple[float, float, float]:
    """Beam axes as people write them, `[bmaj, bmin, bpa]`, as (bmaj, bmin, bpa) in rad."""
    major = parse_quantity(values[0], ANGLE, "arcsec")
    minor = parse_quantity(values[1], ANGLE, "arcsec") if len(values) > 1 else major
    pa = parse_quantity(values[2], ANGLE, "deg") if len(values) > 2 else 0.0
    return major, minor, math.remainder(pa, math.pi)


def format_angle(rad: float) -> str:
    """An angle in the unit that makes it easiest to read, for messages."""
    for unit in ("deg", "arcmin", "arcsec", "mas"):
        if abs(rad) >= ANGLE[unit]:
            return f"{rad / ANGLE[unit]:.4g}{unit}"
    return f"{rad / ANGLE['uas']:.4g}uas"


def format_flux(jy: float) -> str:
    """A flux density in the unit that makes it easiest to read."""
    for unit, scale in (("Jy", 1.0), ("mJy", 1e-3), ("uJy", 1e-6)):
        if abs(jy) >= scale:
            return f"{jy / scale:.4g} {unit}"
    return f"{jy / 1e-9:.4g} nJy"
