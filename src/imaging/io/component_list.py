"""Component lists in the text format that BBS, DP3 and WSClean share: a `Format =` line, then one component a line."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from pathlib import Path

from imaging.algorithms.components import Component
from imaging.errors import ImagingError
from imaging.io.atomic import atomic_path
from imaging.units import ANGLE, FREQUENCY, parse_direction, parse_quantity

DEFAULTS = {"q": "0", "u": "0", "v": "0", "spectralindex": "[]", "logarithmicsi": "true", "referencefrequency": "",
            "majoraxis": "0", "minoraxis": "0", "orientation": "0", "patch": ""}  # fmt: skip
ARCSEC = math.pi / 648000
EXAMPLE = "Format = Name, Type, Ra, Dec, I, SpectralIndex, LogarithmicSI, ReferenceFrequency='1.4e9', MajorAxis, ..."


def is_component_list(path: str | os.PathLike) -> bool:
    """Whether a file is such a list by its first lines, and no image."""
    if not Path(path).is_file():
        return False
    with open(path, "rb") as file:
        start = file.read(2000).decode(errors="replace").lower()
    return not start.startswith("simple  =") and (
        "format" in start or Path(path).suffix in (".txt", ".skymodel", ".bbs")
    )


def save_components(components: Sequence[Component], path: str | os.PathLike) -> None:
    """Write a list; Q, U and V only where some component has any. Numbers have the digits that matter.

    Every group is a patch, at the mean position of its components.
    """
    reffreq = components[0].reffreq if components else 1.4e9
    polarised = any(any(c.stokes[1:]) for c in components)
    groups = {c.group: [d for d in components if d.group == c.group] for c in components if c.group}
    columns = ["Name", "Type", *(["Patch"] if groups else []), "Ra", "Dec", *("IQUV" if polarised else "I"),
               "SpectralIndex", "LogarithmicSI", f"ReferenceFrequency='{reffreq!r}'", "MajorAxis", "MinorAxis",
               "Orientation"]  # fmt: skip
    with atomic_path(path) as partial, open(partial, "w") as file:
        file.write(f"Format = {', '.join(columns)}\n")
        for group, members in groups.items():
            ra, dec = _mean_direction(members)
            file.write(f", , {group}, {_sexagesimal(ra, True)}, {_sexagesimal(dec, False)}\n")
        for c in components:
            axes = [_number(value) for value in (c.major / ARCSEC, c.minor / ARCSEC, math.degrees(c.pa))]
            values = [c.name, "GAUSSIAN" if c.major else "POINT", *([c.group] if groups else []),
                      _sexagesimal(c.ra, True), _sexagesimal(c.dec, False),
                      *(_number(x) for x in (c.stokes if polarised else c.stokes[:1])),
                      f"[{','.join(map(_number, c.spectral_index))}]", str(c.logarithmic).lower(), _number(c.reffreq),
                      *(axes if c.major else ("", "", ""))]  # fmt: skip
            file.write(",".join(values) + "\n")


def load_components(path: str | os.PathLike) -> list[Component]:
    """Read such a list: columns in any order and with defaults as its format line says; patches become groups.

    Raises ImagingError, with the number of the line, for whatever cannot be understood.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise ImagingError(f"There is no component list {path}.", next_step="check the path") from None
    except (UnicodeDecodeError, IsADirectoryError):
        raise _mistake(path, 1, "no text", EXAMPLE) from None
    columns, components = None, []
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        header = re.match(r"#?\s*format\s*=\s*(.*)", text, re.IGNORECASE) or re.match(
            r"#?\s*\((.*)\)\s*=\s*format", text, re.IGNORECASE
        )
        if header:
            columns = _columns(path, number, header[1])
        elif text and not text.startswith("#"):
            if columns is None:
                raise _mistake(path, number, "components before any format line", EXAMPLE)
            component = _component(path, number, text, columns)
            components += [component] if component else []
    if not components:
        raise _mistake(path, len(lines) or 1, "no component to the end of the file", "components, one a line")
    return components


def _columns(path, number: int, text: str) -> list[tuple[str, str]]:
    """Names, in lower case, and defaults of the columns."""
    columns = []
    for word in _split(text):
        name, _, default = word.partition("=")
        columns.append((name.strip().lower().removesuffix("_"), _unquoted(default)))
    names = [name for name, _ in columns]
    missing = [name for name in ("name", "type", "ra", "dec", "i") if name not in names]
    if missing or len(set(names)) < len(names):
        raise _mistake(path, number, "columns " + ", ".join(names), "each of Name, Type, Ra, Dec and I, once")
    return columns


def _component(path, number: int, text: str, columns) -> Component | None:
    words = _split(text)
    if len(words) > len(columns):
        raise _mistake(path, number, f"{len(words)} values", f"at most the {len(columns)} of the format line")
    words += [""] * (len(columns) - len(words))
    row = dict(DEFAULTS)
    row |= {name: _unquoted(word) or default or DEFAULTS.get(name, "") for (name, default), word in
            zip(columns, words, strict=True)}  # fmt: skip
    if not row["name"]:  # the place of a patch
        return None
    kind = row["type"].upper()
    if kind not in ("POINT", "GAUSSIAN"):
        raise _mistake(path, number, f"Type {row['type'] or 'not given'}", "POINT or GAUSSIAN")
    if kind == "GAUSSIAN" and _truth(row.get("orientationisabsolute", "")):
        raise _mistake(
            path, number, "OrientationIsAbsolute true", "position angles from the north of the field's centre"
        )
    column = "RotationMeasure, PolarizedFraction"
    try:
        if any(_finite(row.get(name) or "0") for name in ("rotationmeasure", "polarizedfraction")):
            raise ValueError("Q and U as fluxes, without rotation measures")
        column = "Ra, Dec"
        ra, dec = parse_direction(f"{row['ra']} {row['dec']}")
        column = "I, Q, U, V"
        stokes = tuple(_finite(row[name]) for name in "iquv")
        column = "SpectralIndex"
        terms = tuple(_finite(word) for word in row["spectralindex"].strip("[] ").split(",") if word.strip())
        column = "LogarithmicSI"
        logarithmic = _truth(row["logarithmicsi"])
        column = "ReferenceFrequency"
        if terms and not row["referencefrequency"]:
            raise ValueError("a reference frequency where there is a SpectralIndex")
        reffreq = parse_quantity(row["referencefrequency"] or "1.4e9", FREQUENCY, "Hz")
        if reffreq <= 0:
            raise ValueError("a frequency above zero")
        column = "MajorAxis, MinorAxis, Orientation"
        major, minor = (parse_quantity(row[name], ANGLE, "arcsec") for name in ("majoraxis", "minoraxis"))
        pa = parse_quantity(row["orientation"], ANGLE, "deg")
        if min(major, minor) < 0:
            raise ValueError("axes of zero or more arcsec")
    except ValueError as error:
        raise _mistake(path, number, f"{column}: {', '.join(_asked(row, column))}", str(error)) from None
    if kind == "POINT":
        major = minor = pa = 0.0
    elif minor > major:
        major, minor, pa = minor, major, pa + math.pi / 2
    return Component(row["name"], ra, dec, stokes, terms, reffreq, major, minor, pa, row["patch"], logarithmic)


def _asked(row: dict, column: str) -> list[str]:
    return [row.get(name.strip().lower(), "") for name in column.split(",")]


def _split(text: str) -> list[str]:
    """The values of a line: commas in brackets and quotes divide nothing."""
    words, word, depth, quote = [], "", 0, ""
    for character in text:
        if character == "," and not (depth or quote):
            words.append(word.strip())
            word = ""
            continue
        if quote or character in "'\"":
            quote = "" if character == quote else quote or character
        depth += (character == "[") - (character == "]")
        word += character
    return [*words, word.strip()]


def _unquoted(text: str) -> str:
    return text.strip().strip("'\"").strip()


def _truth(text: str) -> bool:
    if text.lower() not in ("true", "false", "t", "f", "1", "0", "yes", "no", ""):
        raise ValueError("true or false")
    return text.lower() in ("true", "t", "1", "yes")


def _finite(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError("finite numbers")
    return value


def _mistake(path, number: int, got: str, expected: str) -> ImagingError:
    return ImagingError(f"{path}, line {number}, is no part of a component list.", got=got, expected=expected,
                        next_step="mend the line; docs/conventions.md has the format")  # fmt: skip


def _number(value: float) -> str:
    """All digits, without an idle `.0`."""
    return repr(float(value)).removesuffix(".0")


def _sexagesimal(angle: float, hours: bool) -> str:
    """`12:34:56.123456789` or `+12.34.56.12345678`: to 1e-8 arcsec."""
    unit, digits = (15.0, 9) if hours else (1.0, 8)
    degrees = math.degrees(angle) % 360 if hours else math.degrees(angle)
    ticks = round(abs(degrees) / unit * 3600 * 10**digits)
    whole, fraction = divmod(ticks, 10**digits)
    minutes, seconds = divmod(whole, 60)
    first, minutes = divmod(minutes, 60)
    first %= 24 if hours else 1000
    mark, sign = (":", "") if hours else (".", "-" if degrees < 0 else "+")
    return f"{sign}{first:02d}{mark}{minutes:02d}{mark}{seconds:02d}.{fraction:0{digits}d}"


def _mean_direction(members: Sequence[Component]) -> tuple[float, float]:
    x = sum(math.cos(c.dec) * math.cos(c.ra) for c in members)
    y = sum(math.cos(c.dec) * math.sin(c.ra) for c in members)
    z = sum(math.sin(c.dec) for c in members)
    return math.atan2(y, x), math.atan2(z, math.hypot(x, y))
