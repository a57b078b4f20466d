"""FITS keywords to an Image: the half of reading that FITS files and CASA images share."""

from __future__ import annotations

import math
import re

import numpy as np

from imaging.errors import ImagingError
from imaging.image import Beam, Grid, Image
from imaging.units import SPEED_OF_LIGHT

STOKES = {
    "I": 1,
    "Q": 2,
    "U": 3,
    "V": 4,
    "RR": -1,
    "LL": -2,
    "RL": -3,
    "LR": -4,
    "XX": -5,
    "YY": -6,
    "XY": -7,
    "YX": -8,
}
FRAMES = {
    "ICRS": ("RA---SIN", "DEC--SIN", "ICRS", 2000.0),
    "J2000": ("RA---SIN", "DEC--SIN", "FK5", 2000.0),
    "FK5": ("RA---SIN", "DEC--SIN", "FK5", 2000.0),
    "B1950": ("RA---SIN", "DEC--SIN", "FK4", 1950.0),
    "FK4": ("RA---SIN", "DEC--SIN", "FK4", 1950.0),
    "GALACTIC": ("GLON-SIN", "GLAT-SIN", None, None),
}
SPECSYS = {
    "TOPO": "TOPOCENT",
    "LSRK": "LSRK",
    "LSRD": "LSRD",
    "BARY": "BARYCENT",
    "GEO": "GEOCENTR",
    "GALACTO": "GALACTOC",
    "LGROUP": "LOCALGRP",
    "CMB": "CMBDIPOL",
    "REST": "SOURCE",
}
COMMENTS = {
    "OBJECT": "field name",
    "TELESCOP": "telescope",
    "OBSERVER": "observer",
    "DATE-OBS": "begin of the observation, UTC",
    "MJD-OBS": "[d] the same",
    "ORIGIN": "written by",
}
# Cards that describe grid, beam and pixels; the other ones are Image.header.
OWN = re.compile(
    r"(SIMPLE|BITPIX|EXTEND|NAXIS\d*|WCSAXES|BSCALE|BZERO|BLANK|BUNIT|BMAJ|BMIN|BPA|CASAMBM"
    r"|(CTYPE|CRVAL|CRPIX|CDELT|CUNIT|CROTA)\d+|(PC|CD|PV)0*\d+_0*\d+|LONPOLE|LATPOLE|RADESYS|RADECSYS"
    r"|EQUINOX|EPOCH|SPECSYS|RESTFRQ|RESTFREQ|VELREF|HISTORY|COMMENT|EXTNAME|XTENSION|PCOUNT|GCOUNT|Z[A-Z]+\d*|)"
)


def frequency_axis(grid: Grid) -> tuple[float, float, bool]:
    """First frequency, increment, and whether these two say it all to a thousandth of a channel."""
    freq, width = np.array(grid.freq, dtype=float), np.array(grid.width, dtype=float)
    if len(freq) == 1:
        return float(freq[0]), float(width[0]) or 1.0, True
    step = round(float(freq[-1] - freq[0]) / (len(freq) - 1), 3) or float(width[0]) or 1.0
    linear = freq[0] + step * np.arange(len(freq))
    near = np.abs(linear - freq).max() <= 1e-3 * abs(step) and np.abs(width - abs(step)).max() <= 1e-3 * abs(step)
    return float(freq[0]), step, bool(near)


def mjd(date: str | None) -> float:
    """A date as FITS writes it (2020-01-02T03:04:05.5) as modified Julian date; 0 for none."""
    if not date:
        return 0.0
    return float((np.datetime64(date) - np.datetime64("1858-11-17")) / np.timedelta64(1, "D"))


def image_from(header: dict, history: list[str], pixels: np.ndarray, tables: dict, path) -> Image:
    """The Image of FITS keywords, pixels in the axes these describe, and tables BEAMS and CHANNELS if any.

    A table is (rows, unit by column); `path` is for messages. `imaging.io.fits.load` says the rest.
    """
    axes = axes_of(header, path)
    moved = np.transpose(
        pixels,
        [axes.index(k) for k in ("freq", "stokes", "y", "x") if k in axes] + [i for i, k in enumerate(axes) if not k],
    )
    moved = moved.reshape(moved.shape[: len(axes) - axes.count("")])
    for position, kind in enumerate(("freq", "stokes")):
        if kind not in axes:
            moved = np.expand_dims(moved, position)
    data = np.empty(moved.shape, np.float32)
    valid = None
    for index in np.ndindex(*data.shape[:2]):
        data[index] = moved[index]
        blank = np.isnan(data[index])
        if blank.any():
            valid = np.ones(data.shape, bool) if valid is None else valid
            valid[index] = ~blank
            data[index][blank] = 0
    rest = {key: value for key, value in header.items() if not OWN.fullmatch(key)}
    if history:
        rest["HISTORY"] = history
    grid = _grid(header, axes, data.shape, tables, path)
    return Image(data, grid, header.get("BUNIT", ""), _beams(header, tables, len(grid.freq)), valid, rest)


def axes_of(header: dict, path) -> list[str]:
    """For each numpy axis of the pixels: x, y, freq, stokes, or "" for one to be dropped."""
    axes = []
    for i in range(1, header["NAXIS"] + 1):
        ctype = str(header.get(f"CTYPE{i}", "")).upper()
        if ctype == "STOKES":
            kind = "stokes"
        elif re.match("FREQ|VRAD|VOPT|VELO|FELO|WAVE|AWAV|ENER|WAVN|ZOPT|BETA", ctype):
            kind = "freq"
        elif i <= 2 or re.match("RA-|DEC|.LON|.LAT", ctype):
            kind = "y" if re.match("DEC|.LAT", ctype) or (i == 2 and not re.match("RA-|.LON", ctype)) else "x"
        else:
            kind = "" if header[f"NAXIS{i}"] == 1 or "freq" in axes else "freq"
        axes.insert(0, kind)
    named = [kind for kind in axes if kind]
    dropped = [header[f"NAXIS{len(axes) - i}"] for i, kind in enumerate(axes) if not kind]
    if not {"x", "y"} <= set(named) or len(set(named)) < len(named) or any(n > 1 for n in dropped):
        types = [header.get(f"CTYPE{i}", "?") for i in range(1, header["NAXIS"] + 1)]
        raise ImagingError(
            f"The axes of {path} are not understood.",
            got=", ".join(types),
            expected="right ascension, declination, and at most frequency and Stokes",
            next_step="reduce the image to these axes",
        )
    return axes


def _grid(header: dict, axes: list[str], shape: tuple[int, ...], tables: dict, path) -> Grid:
    number = {kind: len(axes) - i for i, kind in enumerate(axes)}
    nchan, npol, ny, nx = shape
    centre, cell = _celestial(header, number, ny, nx, path)
    freq, width = _frequencies(header, number.get("freq"), nchan, tables)
    codes = {code: name for name, code in STOKES.items()}
    stokes = tuple(codes.get(round(value), "I") for value in _linear(header, number.get("stokes"), npol, 1.0))
    if str(header.get(f"CTYPE{number['x']}", "")).startswith("GLON"):
        frame = "GALACTIC"
    else:
        equinox = header.get("EQUINOX", header.get("EPOCH"))
        system = header.get("RADESYS", header.get("RADECSYS", {None: "ICRS", 1950: "FK4"}.get(equinox, "FK5")))
        frame = str(system).strip()
    frames = {name: frame for frame, name in SPECSYS.items()}
    restfreq = float(header.get("RESTFRQ", header.get("RESTFREQ", 0.0)))
    return Grid(
        centre,
        cell,
        (ny, nx),
        freq,
        width,
        stokes,
        frame,
        frames.get(str(header.get("SPECSYS", "")).strip(), "Undefined"),
        restfreq,
    )


def _linear(header: dict, i: int | None, n: int, default: float) -> list[float]:
    value, delta = header.get(f"CRVAL{i}", default), header.get(f"CDELT{i}", header.get(f"CD{i}_{i}", 1.0))
    return [float(value + (k + 1 - header.get(f"CRPIX{i}", 1.0)) * delta) for k in range(n)]


def _frequencies(header: dict, i: int | None, nchan: int, tables: dict) -> tuple[tuple, tuple]:
    if "CHANNELS" in tables:
        rows = tables["CHANNELS"][0]
        return tuple(rows["FREQ"].tolist()), tuple(rows["WIDTH"].tolist())
    rest = float(header.get("RESTFRQ", header.get("RESTFREQ", 0.0)))
    ctype = str(header.get(f"CTYPE{i}", "")).upper()
    values = np.array(_linear(header, i, nchan, rest))
    step = abs(float(header.get(f"CDELT{i}", header.get(f"CD{i}_{i}", 1.0))))
    if ctype.startswith(("VRAD", "VELO", "VOPT", "FELO")):
        speed = values / SPEED_OF_LIGHT * {"km/s": 1e3}.get(str(header.get(f"CUNIT{i}", "m/s")).strip(), 1.0)
        values = rest * (1 - speed) if ctype.startswith(("VRAD", "VELO")) else rest / (1 + speed)
        step = abs(float(np.diff(values).mean())) if nchan > 1 else 0.0
    else:
        factor = {"kHz": 1e3, "MHz": 1e6, "GHz": 1e9}.get(str(header.get(f"CUNIT{i}", "Hz")).strip(), 1.0)
        values, step = values * factor, step * factor
    return tuple(values.tolist()), (step,) * nchan


def _celestial(header: dict, number: dict, ny: int, nx: int, path) -> tuple[tuple, tuple]:
    ix, iy = number["x"], number["y"]
    plain = (
        str(header.get(f"CTYPE{ix}", "")).endswith("-SIN")
        and not header.get("PV2_1")
        and not header.get("PV2_2")
        and (header.get(f"CRPIX{ix}"), header.get(f"CRPIX{iy}")) == (nx // 2 + 1, ny // 2 + 1)
        and not any(re.match(r"CD\d|CROTA|PC\d", key) for key in header)
        and header.get(f"CDELT{ix}", 0) < 0 < header.get(f"CDELT{iy}", 0)
    )
    if plain:
        return (
            (math.radians(header[f"CRVAL{ix}"]), math.radians(header[f"CRVAL{iy}"])),
            (math.radians(-header[f"CDELT{ix}"]), math.radians(header[f"CDELT{iy}"])),
        )
    if not re.match("RA-|DEC|.LON|.LAT", str(header.get(f"CTYPE{ix}", ""))):
        return (0.0, 0.0), (0.0, 0.0)
    from imaging.io.sky import celestial_wcs

    wcs = celestial_wcs(header)
    matrix = np.radians(wcs.pixel_scale_matrix)
    size = np.sqrt(abs(np.linalg.det(matrix)))
    if not (matrix[0, 0] < 0 < matrix[1, 1] and max(abs(matrix[0, 1]), abs(matrix[1, 0])) < 1e-3 * size):
        raise ImagingError(
            f"The image {path} is rotated or mirrored.",
            got=f"degrees a pixel {np.degrees(matrix).round(9).tolist()}",
            expected="right ascension growing to the left, declination growing upwards",
            next_step="regrid it onto the imaging grid",
        )
    centre = wcs.wcs_pix2world(nx // 2, ny // 2, 0)
    return (
        tuple(math.radians(float(angle)) for angle in centre),
        (-float(matrix[0, 0]), float(matrix[1, 1])),
    )


def _beams(header: dict, tables: dict, nchan: int) -> tuple[Beam, ...]:
    if "BEAMS" in tables:
        rows, units = tables["BEAMS"]
        radians = {"arcsec": math.pi / 648000, "arcmin": math.pi / 10800, "deg": math.pi / 180, "rad": 1.0}
        scale = {
            key: radians.get(units.get(key, ""), radians["deg" if key == "BPA" else "arcsec"])
            for key in ("BMAJ", "BMIN", "BPA")
        }
        by_chan = {}
        for row in rows[::-1]:  # the first polarisation's wins
            by_chan[int(row["CHAN"])] = Beam(*(float(row[k]) * scale[k] for k in ("BMAJ", "BMIN", "BPA")))
        return tuple(by_chan[c] for c in range(nchan)) if set(range(nchan)) <= set(by_chan) else ()
    if isinstance(header.get("BMAJ"), float | int) and header["BMAJ"] > 0:
        beam = Beam(
            *(
                math.radians(header.get(key, header["BMAJ"] if key == "BMIN" else 0.0))
                for key in ("BMAJ", "BMIN", "BPA")
            )
        )
        return (beam,) * nchan
    return ()
