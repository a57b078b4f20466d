"""Images as FITS files that CARTA, DS9, CASA and astropy open, and back.

Axes on disk: RA, DEC, FREQ, STOKES (NAXIS1 to 4), the order of CASA's `exportfits` and of WSClean, so that
viewers and scripts written for their cubes (a plane is a channel) find the spectral axis third. 32-bit floats.
Two identical runs give identical bytes: nothing of the moment of writing is in the file.
"""

from __future__ import annotations

import math
import os
import warnings

import numpy as np

from imaging.errors import ImagingError
from imaging.image import Image
from imaging.io import fits_file
from imaging.io.fits_file import card
from imaging.io.header import COMMENTS, FRAMES, OWN, SPECSYS, STOKES, frequency_axis, image_from, mjd


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
    frequency = frequency_axis(image.grid)
    several = len(set(image.beams)) > 1
    with open(path, "wb") as file:
        fits_file.write_header(file, _cards(image, frequency, several))
        for pol in range(image.data.shape[1]):
            for chan in range(image.data.shape[0]):
                plane = image.data[chan, pol].astype(">f4", order="C")
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
    stokes, step = stokes_axis(grid.stokes)
    ra, dec = _degrees(grid.centre[0] % (2 * math.pi)), _degrees(grid.centre[1])
    ny, nx = grid.shape
    axes = [
        (xtype, ra, -_degrees(grid.cell[0]), nx // 2 + 1.0, "deg"),
        (ytype, dec, _degrees(grid.cell[1]), ny // 2 + 1.0, "deg"),
        ("TAYLOR", 0.0, 1.0, 1.0, "") if "NTERMS" in image.header else ("FREQ", *frequency[:2], 1.0, "Hz"),
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
        header = header | {"MJD-OBS": mjd(date), "TIMESYS": "UTC"}
    for key, entry in header.items():
        value, comment = entry if isinstance(entry, tuple) else (entry, COMMENTS.get(key, ""))
        if key != "HISTORY" and OWN.fullmatch(key):
            raise ValueError(f"{key} is written from the grid, not from Image.header")
        if key != "HISTORY" and value is not None:
            cards.append(card(key, value, comment))
    return cards + [card("HISTORY", line) for line in ([history] if isinstance(history, str) else history)]


def _degrees(angle: float) -> float:
    """15 digits: the file's number survives the way to radians and back."""
    return float(f"{math.degrees(angle):.15g}")


def stokes_axis(stokes: tuple[str, ...]) -> tuple[int, int]:
    """First value and increment of the axis; ImagingError where these planes are not evenly spaced on it."""
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
    return image_from(*_read(path), path)


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
        # Warnings are of irregularities that do no harm; the others raise.
        quiet = warnings.catch_warnings(action="ignore")
        with open(path, "rb") as file, quiet, fits.open(file, memmap=False) as hdus:
            images = [h for h in hdus if h.is_image and h.data is not None and h.data.ndim >= 2]
            header, pixels = images[0].header, images[0].data
            tables = {}
            for hdu in hdus:
                if hdu.name in ("BEAMS", "CHANNELS") and not hdu.is_image:
                    tables[hdu.name] = (np.array(hdu.data), {c.name: c.unit or "" for c in hdu.columns})
    except (OSError, IndexError, KeyError, ValueError, TypeError) as error:
        got = "no image in the file" if isinstance(error, IndexError) else " ".join(str(error).split())
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
