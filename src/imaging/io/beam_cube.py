"""Voltage beams from FITS files: one a part of each element (`beam_$(xy)_$(reim).fits`), or one of all."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from imaging.algorithms.beam_cube import BeamCube
from imaging.errors import ImagingError

ELEMENTS = {"linear": ("xx", "xy", "yx", "yy"), "circular": ("rr", "rl", "lr", "ll")}
CODES = {"linear": (-5, -7, -8, -6), "circular": (-1, -3, -4, -2)}  # of the FITS STOKES axis
L_AXES, M_AXES = ("L", "X", "TARGETX", "RA"), ("M", "Y", "TARGETY", "DEC")


def load_beam(pattern: str, feeds: str = "linear", station: str = "", l_axis: str = "", m_axis: str = "") -> BeamCube:
    """The beam of files named by a pattern.

    $(xy) or $(corr) stands for the element (xx to yy, rr to ll), $(reim) for re or im, $(realimag) for real or imag, in
    capitals where the variable is; $(station) for `station`. Without $(xy) the beam is a scalar, unless a file
    has a STOKES axis; with it, it is diagonal where the files xy and yx are not there. Imaginary parts that are not
    there are 0. Without $(reim) files are of real voltages, unless they have an axis COMPLEX. An l or m axis is named
    by its CTYPE, "-L" where it points the other way (l is to the east, m to the north); angles are in degrees unless
    CUNIT says otherwise, and are direction cosines in these units. Frequencies are an axis FREQ, or keywords GFREQi.
    Raises ImagingError for files that are not there, cannot be understood or differ in their axes.
    """
    variables = set(re.findall(r"\$\(?(\w+)\)?", pattern.replace("$$", "")))
    by_element, by_part = (
        any(v.lower() in names for v in variables) for names in (("xy", "corr"), ("reim", "realimag"))
    )
    found = {}
    for element in ELEMENTS[feeds] if by_element else ("",):
        for part in ("re", "im") if by_part else ("re",):
            path = Path(_named(pattern, element, part, station))
            if path.exists():
                found[element, part] = _load(path, l_axis, m_axis)
            elif part == "re" and (not by_element or element in ELEMENTS[feeds][::3]):
                raise ImagingError(f"There is no beam {path}.", got="no such file",
                                   expected="FITS files of the pattern",
                                   next_step=f"correct the pattern {pattern}")  # fmt: skip
    axes = next(iter(found.values()))[1]
    for (element, part), (_, other) in found.items():
        if not all(np.array_equal(a, b) for a, b in zip(axes, other, strict=True)):
            raise _mistake(
                _named(pattern, element, part, station), "axes unlike the others'", "the same axes in all files"
            )
    values = {element: sum(found[e, p][0] * (1j if p == "im" else 1) for e, p in found if e == element)
              for element, _ in found}  # fmt: skip
    if by_element:
        full = any(name in values for name in ELEMENTS[feeds][1:3])
        names = ELEMENTS[feeds] if full else ELEMENTS[feeds][::3]
        data = np.stack([values[name][0] if name in values else 0 * values[names[0]][0] for name in names])
    else:
        data = _elements(values[""], axes[-1], feeds, pattern)
    freq, l0, dl, m0, dm = axes[:5]
    order = np.argsort(freq, kind="stable")
    return BeamCube(data[:, order] if len(freq) else data, freq[order], l0, dl, m0, dm)


def _named(pattern: str, element: str, part: str, station: str) -> str:
    whole = {"re": "real", "im": "imag"}[part]
    words = {"xy": element, "corr": element, "reim": part, "realimag": whole}
    known = {**words, **{k.upper(): v.upper() for k, v in words.items()}, "ReIm": part.title(),
             "RealImag": whole.title(), "station": station}  # fmt: skip

    def word(match):
        if match[0] == "$$":
            return "$"
        if match[1] not in known:
            raise ImagingError(f"The beam's pattern {pattern} has an unknown variable.", got=match[0],
                               expected=", ".join(f"$({name})" for name in known),
                               next_step="write $$ where a dollar is meant")  # fmt: skip
        return known[match[1]]

    return re.sub(r"\$\$|\$\(?(\w+)\)?", word, pattern)


def _elements(data, codes, feeds: str, pattern: str) -> np.ndarray:
    """Elements by rows of an array (stokes, chan, y, x) with a STOKES axis of `codes`, or of one without."""
    if not len(codes):
        return data
    wanted = CODES[feeds] if len(codes) == 4 else CODES[feeds][::3]
    if sorted(codes) != sorted(wanted):
        raise _mistake(pattern, f"STOKES {sorted(codes)}", f"{sorted(CODES[feeds])} of {feeds} feeds, or the first two")
    return data[[list(codes).index(code) for code in wanted]]


def _load(path: Path, l_axis: str, m_axis: str) -> tuple[np.ndarray, tuple]:
    """Voltages (stokes | 1, chan | 1, y, x), and (freq, l0, dl, m0, dm, STOKES codes)."""
    from astropy.io import fits

    try:
        with fits.open(path, memmap=False) as hdus:
            data, header = np.asarray(hdus[0].data), hdus[0].header
    except OSError as error:
        raise _mistake(path, str(error), "a FITS file") from None
    if data.ndim < 2:
        raise _mistake(path, "no image", "an image of l and m")
    names = [str(header.get(f"CTYPE{i}", "")).strip().upper() for i in range(1, data.ndim + 1)]
    places = {kind: _axis(path, names, known, asked) for kind, known, asked in
              (("l", L_AXES, l_axis), ("m", M_AXES, m_axis), ("freq", ("FREQ",), ""), ("stokes", ("STOKES",), ""),
               ("complex", ("COMPLEX",), ""))}  # fmt: skip
    for kind in ("l", "m"):
        if places[kind] is None:
            raise _mistake(path, f"axes {', '.join(names)}", f"one of {kind}: {L_AXES if kind == 'l' else M_AXES}")
    for i, name in enumerate(names):
        if i not in places.values() and data.shape[-1 - i] > 1:
            raise _mistake(path, f"an axis {name or i + 1} of {data.shape[-1 - i]}", "l, m, FREQ, STOKES and COMPLEX")
    order = [places[kind] for kind in ("complex", "stokes", "freq", "m", "l") if places[kind] is not None]
    rest = [i for i in range(data.ndim) if i not in order]
    data = data.transpose([data.ndim - 1 - i for i in (*rest, *order)]).astype(float)
    data = data.reshape(data.shape[len(rest) :])
    for axis, kind in enumerate(("complex", "stokes", "freq")):
        if places[kind] is None:
            data = np.expand_dims(data, axis)
    voltages = data[0] + 1j * data[1] if len(data) > 1 else data[0] + 0j
    if not np.isfinite(voltages).all():
        raise _mistake(path, "values that are not finite", "finite voltages, 0 where there is no beam")
    freq = np.array([header[f"GFREQ{i + 1}"] for i in range(voltages.shape[1])]) if "GFREQ1" in header else (
        np.array([]) if places["freq"] is None else _values(header, places["freq"], voltages.shape[1]))  # fmt: skip
    codes = [] if places["stokes"] is None else _values(header, places["stokes"], len(voltages)).round().astype(int)
    l0, dl = _linear(header, places["l"], l_axis.startswith("-"))
    m0, dm = _linear(header, places["m"], m_axis.startswith("-"))
    return voltages, (freq, l0, dl, m0, dm, np.array(codes))


def _axis(path, names, known, asked: str) -> int | None:
    """Which axis has the name that was `asked` for, or one of those `known`."""
    known = (asked.removeprefix("-").upper(),) if asked.removeprefix("-") else known
    found = [i for i, name in enumerate(names) if name.split("-")[0] in known]
    if asked and not found:
        raise _mistake(path, f"axes {', '.join(names)}", f"an axis {asked}")
    return found[0] if found else None


def _values(header, axis: int, number: int) -> np.ndarray:
    i = axis + 1
    return header.get(f"CRVAL{i}", 0.0) + (np.arange(1, number + 1) - header.get(f"CRPIX{i}", 1.0)) * header.get(
        f"CDELT{i}", 1.0
    )


def _linear(header, axis: int, reversed_: bool) -> tuple[float, float]:
    """Value at the first pixel and step, rad; right ascensions and declinations count from the reference pixel."""
    i, sign = axis + 1, -1 if reversed_ else 1
    unit = 1.0 if str(header.get(f"CUNIT{i}", "deg")).strip().lower().startswith("rad") else np.pi / 180
    of_sky = str(header[f"CTYPE{i}"]).strip().upper().split("-")[0] in ("RA", "DEC")
    middle, step = 0.0 if of_sky else header.get(f"CRVAL{i}", 0.0), header.get(f"CDELT{i}", 1.0)
    return sign * unit * (middle + (1 - header.get(f"CRPIX{i}", 1.0)) * step), sign * unit * step


def _mistake(path, got, expected) -> ImagingError:
    return ImagingError(f"{path} is no voltage beam.", got=got, expected=expected,
                        next_step="docs/measurement.md says what FITS beams are like")  # fmt: skip
