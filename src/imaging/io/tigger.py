"""Tigger's sky models: .lsm.html, and text with a `#format:` line."""

from __future__ import annotations

import ast
import math
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

from imaging.algorithms.components import Component
from imaging.errors import ImagingError

UNITS = {"rad": 1.0, "d": math.pi / 180, "m": math.pi / 10800, "s": math.pi / 648000, "h": math.pi / 12}
DEFAULT = "name ra_h ra_m ra_s dec_d dec_m dec_s i q u v spi rm emaj_s emin_s pa_d freq0 tags..."
TYPES = {"bool": lambda text: text == "True", "int": int, "float": float, "complex": complex, "str": str}


def load_tigger(path: str) -> list[tuple[Component, dict]]:
    """Components and their attributes (tags; `rm`, rad/m^2, of rotation measures).

    Spectra are I (nu/freq0)^(a + b ln(nu/freq0) + …). Raises ImagingError for what cannot be understood.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ImagingError(f"There is no sky model {path}.", next_step="check the path") from None
    except (UnicodeDecodeError, IsADirectoryError):
        raise _mistake(path, "no text", "an .lsm.html file, or columns of text") from None
    found = _load_html(path, text) if text.lstrip()[:5].lower() == "<html" else _load_text(path, text)
    if not found:
        raise _mistake(path, "no sources", "one or more")
    return found


@dataclass
class _Item:
    """An object of the model: its class, its arguments in order, its attributes."""

    kind: str
    args: list = field(default_factory=list)
    attrs: dict = field(default_factory=dict)


class _Parser(HTMLParser):
    """Tags with `mdltype` are objects: values where there is `mdlval`, else made of the objects inside."""

    def __init__(self):
        super().__init__()
        self.root, self.open = _Item("file"), []

    def handle_starttag(self, tag, attrs):
        attrs, item = dict(attrs), None
        if "mdltype" in attrs:
            value = attrs.get("mdlval")
            item = _Item(attrs["mdltype"]) if value is None else None
            self._add(attrs.get("mdlattr"), item if value is None else ast.literal_eval(value))
        self.open.append((tag, item))

    def handle_endtag(self, tag):
        if any(name == tag for name, _ in self.open):
            while self.open.pop()[0] != tag:
                pass

    def _add(self, attribute, value):
        parent = next((item for _, item in reversed(self.open) if item is not None), self.root)
        if attribute:
            parent.attrs[attribute] = value
        else:
            parent.args.append(value)


def _load_html(path, text: str) -> list:
    parser = _Parser()
    try:
        parser.feed(text)
    except (ValueError, SyntaxError) as error:
        raise _mistake(path, f"a value that is none: {error}", "literals as mdlval") from None
    models = [item for item in parser.root.args if isinstance(item, _Item) and item.kind == "SkyModel"]
    if not models:
        raise _mistake(path, "no SkyModel", "a page that Tigger wrote")
    sources = [item for item in models[0].args if isinstance(item, _Item) and item.kind == "Source"]
    return [_source(path, item) for item in sources]


def _source(path, item: _Item) -> tuple[Component, dict]:
    attrs = dict(item.attrs)
    try:
        name, position, flux, *more = item.args
        kinds = {one.kind: one for one in (*more, *(attrs.pop(key, None) for key in ("shape", "spectrum"))) if one}
        spectrum, shape = kinds.pop("SpectralIndex", None), kinds.pop("Gaussian", None)
        if kinds:
            raise _mistake(path, f"{name}: {', '.join(kinds)}", "points and Gaussians, spectral indices")
        terms, freq0 = (), 0.0
        if spectrum:
            spi, freq0 = spectrum.args
            terms = spi.args if isinstance(spi, _Item) else spi if isinstance(spi, (list, tuple)) else (spi,)
        stokes = [*flux.args[:4], 0.0, 0.0, 0.0][:4]
        if len(flux.args) > 5:
            attrs["rm"], freq0 = flux.args[4], flux.args[5] or freq0
        axes = shape.args[:3] if shape else (0.0, 0.0, 0.0)
        ra, dec = position.args[:2]
        return _component(path, str(name), ra, dec, stokes, terms, freq0, *axes), attrs
    except (AttributeError, ValueError, TypeError) as error:
        raise _mistake(path, f"a source that lacks something: {error}", "name, position, flux") from None


def _component(path, name, ra, dec, stokes, terms, freq0, major, minor, pa) -> Component:
    if any(terms) and not freq0:
        raise _mistake(path, f"{name}: a spectral index and no frequency", "freq0 where there is a spectral index")
    if minor > major:
        major, minor, pa = minor, major, pa + math.pi / 2
    numbers = [float(x) for x in (ra, dec, *stokes, *terms, freq0, major, minor, pa)]
    if not all(map(math.isfinite, numbers)):
        raise _mistake(path, f"{name}: {numbers}", "finite numbers")
    terms = tuple(a * math.log(10) ** k for k, a in enumerate(terms))  # of ln to those of log10
    return Component(name, float(ra) % (2 * math.pi), float(dec), tuple(map(float, stokes)), terms,
                     float(freq0) or 1.4e9, float(major), float(minor), float(pa))  # fmt: skip


def _load_text(path, text: str) -> list:
    lines = text.splitlines()
    header = re.match(r"#\s*format:\s*(.*)", lines[0]) if lines else None
    names = (header[1] if header else DEFAULT).split()
    freq0, found = 0.0, []
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or line.lstrip().startswith("#"):
            continue
        row = dict(zip(names, words, strict=False))
        if names[-1].endswith("..."):
            row[names[-1].removesuffix("...")] = " ".join(words[len(names) - 1 :])
        row.setdefault("name", str(len(found) + 1))
        try:
            freq0 = float(row.get("freq0") or 0) or freq0
            found.append(_row(path, row, freq0))
        except (KeyError, ValueError) as error:
            raise _mistake(f"{path}, line {number},", f"{error}", f"columns {' '.join(names)}") from None
    return found


def _row(path, row: dict, freq0: float) -> tuple[Component, dict]:
    def angle(name, *parts):
        unit = next(u for u in parts or UNITS if f"{name}_{u}" in row)
        return float(row[f"{name}_{unit}"]), UNITS[unit]

    for name, units in (("ra", ("h", "d", "rad")), ("dec", ("d", "rad"))):
        if not any(f"{name}_{unit}" in row for unit in units):
            raise ValueError(f"no {name}")
    (ra, hours), (dec, degrees) = angle("ra", "h", "d", "rad"), angle("dec", "d", "rad")
    ra += float(row.get("ra_m", 0)) / 60 + float(row.get("ra_s", 0)) / 3600
    negative = row.get("dec_sign", row.get("dec_d", row.get("dec_rad"))).startswith("-")
    dec = abs(dec) + float(row.get("dec_m", 0)) / 60 + float(row.get("dec_s", 0)) / 3600
    stokes = [float(row["i"]), *(float(row.get(name, 0)) for name in "quv")]
    if "pol_frac" in row:
        part = row["pol_frac"]
        part = float(part[:-1]) / 100 if part.endswith("%") else float(part)
        at = next((float(row[f"pol_pa_{unit}"]) * UNITS[unit] for unit in ("d", "rad") if f"pol_pa_{unit}" in row), 0.0)
        stokes[1:] = [stokes[0] * part * math.cos(2 * at), stokes[0] * part * math.sin(2 * at), 0.0]
    terms = [float(row.get("spi" if k == 1 else f"spi{k}", 0)) for k in range(1, 10)]
    while terms and not terms[-1]:
        terms.pop()
    extents = [math.prod(angle(name)) if any(f"{name}_{u}" in row for u in UNITS) else 0.0
               for name in ("emaj", "emin", "pa")]  # fmt: skip
    attrs = _tags(row.get("tags", ""))
    for column, value in row.items():
        custom = re.fullmatch(r":(\w+):(\w+)", column)
        if custom and custom[1] in TYPES:
            attrs[custom[2]] = TYPES[custom[1]](value)
    if float(row.get("rm", 0)):
        attrs["rm"] = float(row["rm"])
    place = ra * hours, (-dec if negative else dec) * degrees
    return _component(path, row["name"], *place, stokes, terms, freq0, *extents), attrs


def _tags(text: str) -> dict:
    """`+tag`, `tag`, `-tag`, `tag=1.5`, `tag="text"`, between commas or blanks."""
    found = {}
    for tag in filter(None, re.split(r"[,\s]+", text)):
        name, equals, value = tag.partition("=")
        if not equals:
            found[tag.lstrip("+-")] = not tag.startswith("-")
        elif value[:1] in "'\"":
            found[name] = value.strip("'\"")
        else:
            found[name] = float(value)
    return found


def _mistake(path, got, expected) -> ImagingError:
    return ImagingError(f"{path} is no sky model of Tigger's.", got=got, expected=expected,
                        next_step="mend it, or convert it with tigger-convert")  # fmt: skip
