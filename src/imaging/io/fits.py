"""Images as FITS files that CARTA, DS9, CASA and astropy open, and back.

Axes on disk: RA, DEC, FREQ, STOKES (NAXIS1 to 4), the order of CASA's `exportfits` and of WSClean, so that
viewers and scripts written for their cubes (a plane is a channel) find the spectral axis third. 32-bit floats.
Two identical runs give identical bytes: nothing of the moment of writing is in the file.
"""

from __future__ import annotations

import math
import os
import re

import numpy as np

from imaging.errors import ImagingError
from imaging.image import Beam, Grid, Image
from imaging.io import fits_file
from imaging.io.fits_file import card

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
_OWN = re.compile(
    r"(SIMPLE|BITPIX|EXTEND|NAXIS\d*|WCSAXES|BSCALE|BZERO|BLANK|BUNIT|BMAJ|BMIN|BPA|CASAMBM"
    r"|(CTYPE|CRVAL|CRPIX|CDELT|CUNIT|CROTA)\d+|(PC|CD|PV)0*\d+_0*\d+|LONPOLE|LATPOLE|RADESYS"
    r"|EQUINOX|EPOCH|SPECSYS|RESTFRQ|RESTFREQ|VELREF|HISTORY|COMMENT|EXTNAME|XTENSION|PCOUNT|GCOUNT|Z[A-Z]+\d*|)"
)
_C = 299792458.0


def save(image: Image, path: str | os.PathLike) -> None:
    """Write `image`; pixels that are not `valid` become NaN (as CASA's exportfits does).

    Beams: BMAJ, BMIN, BPA in degrees where all channels share one, else the table BEAMS (CASA's and CARTA's
    convention). Channels that are not evenly spaced, or not as wide as their spacing, are listed in a table
    CHANNELS (CHAN, FREQ, WIDTH) beside the nearest linear axis. Angles have 15 digits, so that load and save
    give the same text again. Raises ImagingError for a Stokes list that a linear axis cannot hold.

    The file is written in place; `imaging.io.images.save_image` is the atomic form.
    """
    if image.data.shape != image.grid.cube_shape:
        raise ValueError(f"pixels {image.data.shape} on a grid {image.grid.cube_shape}")
    frequency = _frequency_axis(image.grid)
    several = len(set(image.beams)) > 1
    with open(path, "wb") as file:
        fits_file.write_header(file, _cards(image, frequency, several))
        for pol in range(image.data.shape[1]):
            for chan in range(image.data.shape[0]):
                plane = image.data[chan, pol].astype(">f4")
                if image.valid is not None:
                    plane[~image.valid[chan, pol]] = np.nan
                file.write(plane.data)
        fits_file.pad(file)
        if several:
            _write_beams(file, image)
        if not frequency[2]:
            fits_file.write_table(
                file,
                "CHANNELS",
                {
                    "CHAN": (np.arange(len(image.grid.freq), dtype=np.int32), ""),
                    "FREQ": (np.array(image.grid.freq, dtype=float), "Hz"),
                    "WIDTH": (np.array(image.grid.width, dtype=float), "Hz"),
                },
            )


def _cards(image: Image, frequency: tuple[float, float, bool], several_beams: bool) -> list[str]:
    grid = image.grid
    if grid.frame not in FRAMES:
        raise ImagingError(
            f"FITS has no name for the direction frame {grid.frame}.",
            got=grid.frame,
            expected=", ".join(FRAMES),
            next_step="give phasecenter in one of these frames",
        )
    xtype, ytype, radesys, equinox = FRAMES[grid.frame]
    stokes, step = _stokes_axis(grid.stokes)
    ra, dec = _degrees(grid.centre[0] % (2 * math.pi)), _degrees(grid.centre[1])
    ny, nx = grid.shape
    axes = [
        (xtype, ra, -_degrees(grid.cell[0]), nx // 2 + 1.0, "deg"),
        (ytype, dec, _degrees(grid.cell[1]), ny // 2 + 1.0, "deg"),
        ("FREQ", *frequency[:2], 1.0, "Hz"),
        ("STOKES", float(stokes), float(step), 1.0, ""),
    ]
    cards = [
        card("SIMPLE", True, "FITS standard 4.0"),
        card("BITPIX", -32, "32-bit floats"),
        card("NAXIS", 4),
    ]
    sizes = (nx, ny, len(grid.freq), len(grid.stokes))
    cards += [card(f"NAXIS{i}", n) for i, n in enumerate(sizes, 1)]
    cards += [card("EXTEND", True), card("BUNIT", image.unit, "unit of the pixels")]
    if several_beams:
        cards.append(card("CASAMBM", True, "a beam for each channel in table BEAMS"))
    elif image.beams:
        beam = image.beams[0]
        cards += [
            card("BMAJ", _degrees(beam.major), "[deg] FWHM"),
            card("BMIN", _degrees(beam.minor), "[deg] FWHM"),
            card("BPA", _degrees(beam.pa), "[deg] north through east"),
        ]
    cards.append(card("WCSAXES", 4))
    for i, (kind, value, delta, pixel, unit) in enumerate(axes, 1):
        cards += [
            card(f"CTYPE{i}", kind),
            card(f"CRVAL{i}", value),
            card(f"CDELT{i}", delta),
            card(f"CRPIX{i}", pixel),
            card(f"CUNIT{i}", unit),
        ]
    cards += [card("PV2_1", 0.0), card("PV2_2", 0.0), card("LONPOLE", 180.0), card("LATPOLE", dec)]
    if radesys:
        cards += [card("RADESYS", radesys), card("EQUINOX", equinox)]
    if grid.restfreq:
        cards.append(card("RESTFRQ", float(grid.restfreq), "[Hz] rest frequency"))
    if grid.specframe in SPECSYS:
        cards.append(card("SPECSYS", SPECSYS[grid.specframe], "frame of the frequencies"))
    return cards + _further_cards({"BTYPE": "Intensity"} | image.header)


def _further_cards(header: dict) -> list[str]:
    history = header.get("HISTORY", ())
    cards = []
    if "DATE-OBS" in header and "MJD-OBS" not in header:
        date = header["DATE-OBS"][0] if isinstance(header["DATE-OBS"], tuple) else header["DATE-OBS"]
        day = (np.datetime64(date) - np.datetime64("1858-11-17")) / np.timedelta64(1, "D")
        header = header | {"MJD-OBS": float(day), "TIMESYS": "UTC"}
    for key, entry in header.items():
        value, comment = entry if isinstance(entry, tuple) else (entry, COMMENTS.get(key, ""))
        if key != "HISTORY" and _OWN.fullmatch(key):
            raise ValueError(f"{key} is written from the grid, not from Image.header")
        if key != "HISTORY" and value is not None:
            cards.append(card(key, value, comment))
    return cards + [card("HISTORY", line) for line in ([history] if isinstance(history, str) else history)]


def _degrees(angle: float) -> float:
    """15 digits: the file's number survives the way to radians and back."""
    return float(f"{math.degrees(angle):.15g}")


def _stokes_axis(stokes: tuple[str, ...]) -> tuple[int, int]:
    codes = [STOKES.get(name) for name in stokes]
    steps = {b - a for a, b in zip(codes, codes[1:], strict=False)} if None not in codes else {}
    if None in codes or len(steps) > 1:
        raise ImagingError(
            f"A FITS axis cannot hold the Stokes parameters {', '.join(stokes)}.",
            got=",".join(stokes),
            expected=f"evenly spaced ones of {', '.join(STOKES)}: IQUV, IV, QU, XX YY …",
            next_step="set image.stokes to such a list (IQUV), or image_format to casa",
        )
    return codes[0], steps.pop() if steps else 1


def _frequency_axis(grid: Grid) -> tuple[float, float, bool]:
    """First frequency, increment, and whether these two say it all to a thousandth of a channel."""
    freq, width = np.array(grid.freq, dtype=float), np.array(grid.width, dtype=float)
    if len(freq) == 1:
        return float(freq[0]), float(width[0]) or 1.0, True
    step = round(float(freq[-1] - freq[0]) / (len(freq) - 1), 3) or float(width[0]) or 1.0
    linear = freq[0] + step * np.arange(len(freq))
    near = np.abs(linear - freq).max() <= 1e-3 * abs(step) and np.abs(width - abs(step)).max() <= 1e-3 * abs(step)
    return float(freq[0]), step, bool(near)


def _write_beams(file, image: Image) -> None:
    nchan, npol = image.data.shape[:2]
    beams = [image.beams[chan] for _ in range(npol) for chan in range(nchan)]
    fits_file.write_table(
        file,
        "BEAMS",
        {
            "BMAJ": (np.degrees([b.major for b in beams]).astype(np.float32) * np.float32(3600), "arcsec"),
            "BMIN": (np.degrees([b.minor for b in beams]).astype(np.float32) * np.float32(3600), "arcsec"),
            "BPA": (np.degrees([b.pa for b in beams]).astype(np.float32), "deg"),
            "CHAN": (np.tile(np.arange(nchan, dtype=np.int32), npol), ""),
            "POL": (np.repeat(np.arange(npol, dtype=np.int32), nchan), ""),
        },
        [card("EXTVER", 1), card("NCHAN", nchan), card("NPOL", npol)],
    )


def load(path: str | os.PathLike) -> Image:
    """Read a FITS image of two to four axes in any order, ours or anybody's.

    NaN pixels are not `valid` and come as 0; `valid` is None where there are none. Missing axes have length
    1. A grid's centre is the sky position of pixel (ny//2, nx//2), wherever the reference pixel is; without sky
    coordinates `cell` is (0, 0). `header` has plain values. Rotated or mirrored images, and files that are no
    FITS images, raise ImagingError.
    """
    header, history, pixels, tables = _read(path)
    axes = _axes(header, path)
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
    rest = {key: value for key, value in header.items() if not _OWN.fullmatch(key)}
    if history:
        rest["HISTORY"] = history
    grid = _grid(header, axes, data.shape, tables, path)
    return Image(data, grid, header.get("BUNIT", ""), _beams(header, tables, len(grid.freq)), valid, rest)


def _read(path: str | os.PathLike):
    try:
        return fits_file.read(path)
    except OSError as error:
        raise ImagingError(
            f"The image {path} cannot be read.",
            got=error.strerror,
            expected="a FITS image",
            next_step="check the path",
        ) from error
    except (fits_file.NotPlainError, KeyError, ValueError, TypeError):
        return _read_with_astropy(path)


def _read_with_astropy(path: str | os.PathLike):
    from astropy.io import fits

    try:
        with fits.open(path, memmap=False) as hdus:
            images = [h for h in hdus if h.is_image and h.data is not None and h.data.ndim >= 2]
            header, pixels = images[0].header, images[0].data
            tables = {}
            for hdu in hdus:
                if hdu.name in ("BEAMS", "CHANNELS") and not hdu.is_image:
                    tables[hdu.name] = (np.array(hdu.data), {c.name: c.unit or "" for c in hdu.columns})
    except (OSError, IndexError, KeyError, ValueError, TypeError) as error:
        got = str(error).splitlines()[0] if not isinstance(error, IndexError) else "no image in the file"
        raise ImagingError(
            f"The image {path} cannot be read.",
            got=got,
            expected="a FITS image",
            next_step="check that it is complete (`fitsheader` or `fverify` say more)",
        ) from error
    history = [str(line) for line in header.get("HISTORY", [])]
    plain = {
        key: value for key, value in header.items() if len(key) <= 8 and isinstance(value, (str, bool, int, float))
    }
    return plain, history, pixels, tables


def _axes(header: dict, path) -> list[str]:
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
    extra = [header[f"NAXIS{len(axes) - i}"] for i, kind in enumerate(axes) if not kind]
    if set(axes) - {""} < {"x", "y"} or len(set(axes) - {""}) + len(extra) < len(axes) or any(n > 1 for n in extra):
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
        frame = {"FK5": "J2000", "FK4": "B1950"}.get(str(system).strip(), str(system).strip())
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
        speed = values / _C * {"km/s": 1e3}.get(str(header.get(f"CUNIT{i}", "m/s")).strip(), 1.0)
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
