"""Images as CASA images (casacore table directories), and back.

Axes in CASA: RA, DEC, Stokes, frequency; `valid` is the pixel mask `mask0`. python-casacore writes the pixels and
the coordinate system; unit, beams and headers are table keywords that CASA reads back.
"""

from __future__ import annotations

import math
import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from imaging.errors import ImagingError
from imaging.image import Beam, Image
from imaging.io.header import FRAMES, SPECSYS, axes_of, frequency_axis, image_from, mjd

NO_BEAM = 1e-12
"""arcsec: stands for the beam of a channel without data, because casacore refuses beams of no size."""
_INFO = {"OBJECT", "BTYPE", "TELESCOP", "OBSERVER", "DATE-OBS", "MJD-OBS", "TIMESYS", "HISTORY"}


def save(image: Image, path: str | os.PathLike) -> None:
    """Write `image` as a casacore table directory; masked pixels keep their values, under `mask0`.

    Beams: one restoring beam, or one a plane. Further header entries go to `miscinfo`, HISTORY to the log table.
    Written in place; `imaging.io.images.save_image` is the atomic form.
    """
    from casacore.images import image as CasaImage
    from casacore.images.coordinates import coordinatesystem
    from casacore.tables import table

    if image.data.shape != image.grid.cube_shape:
        raise ValueError(f"pixels {image.data.shape} on a grid {image.grid.cube_shape}")
    header = {k: v[0] if isinstance(v, tuple) else v for k, v in image.header.items()}
    step = frequency_axis(image.grid)
    pixels = np.ascontiguousarray(image.data, dtype=np.float32)
    mask = () if image.valid is None else ~image.valid
    try:
        CasaImage(str(path), values=pixels, coordsys=coordinatesystem(_coordinates(image, header, step)), mask=mask)
        with table(str(path), readonly=False, ack=False) as keywords:
            keywords.putkeyword("units", image.unit)
            keywords.putkeyword("imageinfo", _image_info(image, header))
            misc = {k: v for k, v in header.items() if k not in _INFO}
            if not step[2]:
                misc |= {"channel_frequencies": np.array(image.grid.freq), "channel_widths": np.array(image.grid.width)}
            keywords.putkeyword("miscinfo", misc)
        _write_history(Path(path) / "logtable", header.get("HISTORY", []))
    except RuntimeError as error:
        # casacore's errors carry no errno; without room or permission no file can be written beside it either.
        _probe(Path(path))
        raise ImagingError(
            f"casacore cannot write the image {Path(path).name}.",
            got=" ".join(str(error).split()),
            expected="a CASA image",
            next_step="use image_format: fits",
        ) from error


def _probe(path: Path) -> None:
    """Raise OSError where this directory cannot be written to (a disk without room, no permission)."""
    probe = path.with_name(f"{path.name}.probe")
    try:
        with open(probe, "wb") as file:
            file.write(bytes(1 << 20))
            os.fsync(file.fileno())
    finally:
        probe.unlink(missing_ok=True)


def _coordinates(image: Image, header: dict, step: tuple[float, float, bool]) -> dict:
    grid = image.grid
    ny, nx = grid.shape
    system = {"FK5": "J2000", "FK4": "B1950"}.get(grid.frame, grid.frame)
    names = ["Longitude", "Latitude"] if system == "GALACTIC" else ["Right Ascension", "Declination"]
    record = {
        "direction0": {
            "system": system,
            "conversionSystem": system,
            "projection": "SIN",
            "projection_parameters": np.zeros(2),
            "crval": np.array([grid.centre[0] % (2 * math.pi), grid.centre[1]]),
            "crpix": np.array([nx // 2, ny // 2], dtype=float),
            "cdelt": np.array([-grid.cell[0], grid.cell[1]]),
            "pc": np.eye(2),
            "axes": names,
            "units": ["rad", "rad"],
            "longpole": 180.0,
            "latpole": math.degrees(grid.centre[1]),
        },
        "stokes1": {
            "axes": ["Stokes"],
            "stokes": list(grid.stokes),
            "crval": np.ones(1),
            "crpix": np.zeros(1),
            "cdelt": np.ones(1),
            "pc": np.eye(1),
        },
        "spectral2": {
            "version": 2,
            "system": grid.specframe if grid.specframe in SPECSYS else "Undefined",
            "name": "Frequency",
            "unit": "Hz",
            "restfreq": float(grid.restfreq),
            "restfreqs": np.array([float(grid.restfreq)]),
            "velType": 0,
            "nativeType": 0,
            "velUnit": "km/s",
            "waveUnit": "mm",
            "formatUnit": "",
            "wcs": {"ctype": "FREQ", "crval": step[0], "cdelt": step[1], "crpix": 0.0, "pc": 1.0},
        },
        "telescope": str(header.get("TELESCOP", "UNKNOWN")),
        "observer": str(header.get("OBSERVER", "UNKNOWN")),
        "obsdate": {
            "type": "epoch",
            "refer": "UTC",
            "m0": {"unit": "d", "value": float(header.get("MJD-OBS", mjd(header.get("DATE-OBS"))))},
        },
        "pointingcenter": {"value": np.array(grid.centre), "initial": True},
    }
    for i, axes in enumerate(([0, 1], [2], [3])):
        for kind in ("worldmap", "pixelmap"):
            record[f"{kind}{i}"] = np.array(axes, dtype=np.int32)
        for kind in ("worldreplace", "pixelreplace"):
            record[f"{kind}{i}"] = np.zeros(len(axes))
    return record


def _image_info(image: Image, header: dict) -> dict:
    info: dict = {"imagetype": str(header.get("BTYPE", "Intensity")), "objectname": str(header.get("OBJECT", ""))}
    if len(set(image.beams)) == 1:
        info["restoringbeam"] = _beam_record(image.beams[0])
    elif image.beams:
        nchan, npol = image.data.shape[:2]
        beams = {
            f"*{pol * nchan + chan}": _beam_record(image.beams[chan]) for pol in range(npol) for chan in range(nchan)
        }
        info["perplanebeams"] = {"nChannels": nchan, "nStokes": npol, **beams}
    return info


def _beam_record(beam: Beam) -> dict:
    return {
        "major": {"value": max(math.degrees(beam.major) * 3600, NO_BEAM), "unit": "arcsec"},
        "minor": {"value": max(math.degrees(beam.minor) * 3600, NO_BEAM), "unit": "arcsec"},
        "positionangle": {"value": math.degrees(beam.pa), "unit": "deg"},
    }


def _write_history(path: Path, history: list[str] | str) -> None:
    from casacore.tables import table

    lines = [history] if isinstance(history, str) else list(history)
    if not lines:
        return
    with table(str(path), readonly=False, ack=False) as log:
        log.addrows(len(lines))
        log.putcol("TIME", np.zeros(len(lines)))  # a time of writing would make equal runs differ
        log.putcol("PRIORITY", ["INFO"] * len(lines))
        log.putcol("MESSAGE", [str(line) for line in lines])


def load(path: str | os.PathLike) -> Image:
    """Read a CASA image of two to four axes in any order; what `imaging.io.fits.load` says holds here too."""
    from casacore.images import image as CasaImage
    from casacore.tables import table

    try:
        with table(str(path), ack=False) as keywords:
            record, info, misc, unit = (
                keywords.getkeyword(k) if k in keywords.keywordnames() else {}
                for k in ("coords", "imageinfo", "miscinfo", "units")
            )
            masked = "Image_defaultmask" in keywords.keywordnames()
        opened = CasaImage(str(path))
        pixels = opened.getdata()
        if masked:
            pixels = np.where(opened.getmask(), np.float32(np.nan), pixels)
        history = list(opened.history())
    except RuntimeError as error:
        raise ImagingError(
            f"The image {path} cannot be read.",
            got=" ".join(str(error).split()),
            expected="a CASA image (or a FITS file, whose name ends in .fits)",
            next_step="check the path",
        ) from error
    header, stokes = _keywords(record, pixels.shape)
    header |= {"BUNIT": unit or "", "BTYPE": info.get("imagetype", "Intensity")}
    header |= {"OBJECT": info["objectname"]} if info.get("objectname") else {}
    tables = {}
    if "channel_frequencies" in misc:
        freq, width = misc.pop("channel_frequencies"), misc.pop("channel_widths")
        tables["CHANNELS"] = (np.rec.fromarrays([freq, width], names="FREQ,WIDTH"), {})
    header |= {k: v for k, v in misc.items() if isinstance(v, (str, bool, int, float))}
    image = image_from(header, history, pixels, tables, path)
    grid = replace(image.grid, stokes=stokes) if len(stokes) == image.data.shape[1] else image.grid
    return replace(image, grid=grid, beams=_beams(info, len(grid.freq)))


def _keywords(coords: dict, shape: tuple[int, ...]) -> tuple[dict, tuple[str, ...]]:
    """A coordinate record as FITS keywords, and the names of its Stokes axis (that may be irregular)."""
    header: dict = {"NAXIS": len(shape)} | {f"NAXIS{len(shape) - i}": n for i, n in enumerate(shape)}
    stokes: tuple[str, ...] = ()
    for key, record in coords.items():
        kind = key.rstrip("0123456789")
        if kind not in ("direction", "stokes", "spectral", "linear", "tabular"):
            continue
        numbers = [int(axis) + 1 for axis in coords[f"pixelmap{key[len(kind) :]}"]]
        if kind == "direction":
            header |= _direction_keywords(record, numbers)
        elif kind == "spectral":
            wcs = record["wcs"]
            header |= {"SPECSYS": SPECSYS.get(record["system"], ""), "RESTFRQ": float(record.get("restfreq", 0.0))}
            header |= _axis_keywords(numbers[0], "FREQ", wcs["crval"], wcs["cdelt"], wcs["crpix"], record["unit"])
        elif kind == "stokes":
            stokes = tuple(record["stokes"])
            header[f"CTYPE{numbers[0]}"] = "STOKES"
        else:
            header |= {f"CTYPE{number}": "LINEAR" for number in numbers}
    observed = coords.get("obsdate", {}).get("m0", {}).get("value", 0.0)
    for name, key in (("telescope", "TELESCOP"), ("observer", "OBSERVER")):
        if coords.get(name, "UNKNOWN") not in ("UNKNOWN", ""):
            header[key] = coords[name]
    if observed:
        moment = np.datetime64("1858-11-17") + np.timedelta64(round(observed * 86400e6), "us")
        header |= {"DATE-OBS": re.sub(r"\.?0+$", "", str(moment)), "MJD-OBS": observed, "TIMESYS": "UTC"}
    return header, stokes


def _axis_keywords(i: int, ctype: str, value: float, delta: float, pixel: float, unit: str) -> dict:
    numbers = {f"CRVAL{i}": float(value), f"CDELT{i}": float(delta), f"CRPIX{i}": float(pixel) + 1}
    return {f"CTYPE{i}": ctype, f"CUNIT{i}": unit, **numbers}


def _direction_keywords(record: dict, numbers: list[int]) -> dict:
    frame = record["system"]
    names = ("GLON", "GLAT") if frame == "GALACTIC" else ("RA--", "DEC-")
    header: dict = {"LONPOLE": float(record["longpole"]), "LATPOLE": float(record["latpole"])}
    if frame in FRAMES and FRAMES[frame][2]:
        header |= {"RADESYS": FRAMES[frame][2], "EQUINOX": FRAMES[frame][3]}
    for k, i in enumerate(numbers):
        scale = math.degrees(1) if record["units"][k] == "rad" else {"deg": 1.0, "arcsec": 1 / 3600}[record["units"][k]]
        value, delta = record["crval"][k] * scale, record["cdelt"][k] * scale
        header |= _axis_keywords(i, f"{names[k]}-{record['projection']}", value, delta, record["crpix"][k], "deg")
        for j, value in enumerate(record["pc"][k]):
            if value != (j == k):
                header[f"PC{i}_{numbers[j]}"] = float(value)
    parameters = record.get("projection_parameters", [])
    return header | {f"PV{numbers[1]}_{k}": float(value) for k, value in enumerate(parameters, 1) if value}


def _beams(info: dict, nchan: int) -> tuple[Beam, ...]:
    def beam(record: dict) -> Beam:
        scale = {"arcsec": math.pi / 648000, "arcmin": math.pi / 10800, "deg": math.pi / 180, "rad": 1.0}
        sizes = [record[k]["value"] * scale[record[k]["unit"]] for k in ("major", "minor", "positionangle")]
        return Beam(*sizes) if sizes[0] > 1.5 * NO_BEAM * scale["arcsec"] else Beam(0.0, 0.0)

    if "restoringbeam" in info:
        return (beam(info["restoringbeam"]),) * nchan
    planes = info.get("perplanebeams", {})
    if planes.get("nChannels") == nchan:
        return tuple(beam(planes[f"*{chan}"]) for chan in range(nchan))
    return ()


def read_plane(path: str | os.PathLike, chan: int, pol: int) -> np.ndarray:
    """One plane (y, x) float32 as it is on disk, whatever the mask."""
    from casacore.images import image as CasaImage

    opened = CasaImage(str(path))
    kinds, corner, end = _plane(path, opened.shape(), chan, pol)
    pixels = opened.getdata(corner, end)[tuple(slice(None) if kind in ("x", "y") else 0 for kind in kinds)]
    turned = kinds.index("x") < kinds.index("y")
    return np.ascontiguousarray(pixels.T if turned else pixels, dtype=np.float32)


def write_plane(path: str | os.PathLike, data: np.ndarray, chan: int, pol: int) -> None:
    """Put one plane (y, x) in its place; mask, beams, coordinates and other planes stay as they are."""
    from casacore.images import image as CasaImage

    opened = CasaImage(str(path))
    kinds, corner, end = _plane(path, opened.shape(), chan, pol)
    shape = [last - first + 1 for first, last in zip(corner, end, strict=True)]
    ny, nx = shape[kinds.index("y")], shape[kinds.index("x")]
    if data.shape != (ny, nx):
        raise ImagingError(f"{path} has planes of another size.", got=f"{data.shape[::-1]} pixels",
                           expected=f"{(nx, ny)}", next_step="check the image's axes")  # fmt: skip
    pixels = data.T if kinds.index("x") < kinds.index("y") else data
    opened.putdata(np.ascontiguousarray(pixels, dtype=np.float32).reshape(shape), corner)


def _plane(path, shape: list[int], chan: int, pol: int) -> tuple[list[str], list[int], list[int]]:
    """The axes of the image's pixels (x, y, freq, stokes), and on them the first and the last pixel of a plane."""
    from casacore.tables import table

    with table(str(path), ack=False) as keywords:
        header, _ = _keywords(keywords.getkeyword("coords"), tuple(shape))
    kinds = axes_of(header, path)
    wanted = {"freq": chan, "stokes": pol}
    corner = [wanted.get(kind, 0) for kind in kinds]
    end = [n - 1 if kind in ("x", "y") else k for kind, n, k in zip(kinds, shape, corner, strict=True)]
    if any(not 0 <= k < n for k, n in zip(corner, shape, strict=True)):
        raise ImagingError(f"{path} has no such plane.", got=f"channel {chan}, polarisation {pol}",
                           expected=", ".join(f"{n} {kind}" for n, kind in zip(shape, kinds, strict=True)),
                           next_step="check the image's axes")  # fmt: skip
    return kinds, corner, end
