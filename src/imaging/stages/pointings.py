"""Where the image and the dishes point, and what headers say of the data: what ingest learns from subtables."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np

from imaging import units
from imaging.algorithms import phase_rotation
from imaging.errors import ImagingError
from imaging.image import radec_to_lmn
from imaging.io.ms import Metadata
from imaging.io.ms_reader import Reader
from imaging.io.selection import EPOCH
from imaging.log import logger

SAME_POINTING = 1e-5
"""rad."""


def field_centre(meta: Metadata, field: int, frame: str) -> tuple[tuple[float, float], float]:
    """A field's phase centre in the image's frame, and the turn of its uvw's north there."""
    if not 0 <= field < len(meta.fields):
        raise ImagingError(f"FIELD of {meta.path} does not describe the data.", got=f"FIELD_ID {field}",
                           expected=f"0 to {len(meta.fields) - 1}", next_step="repair the MeasurementSet")  # fmt: skip
    (ra, dec), twist = phase_rotation.to_frame(tuple(meta.directions[field].tolist()), meta.frames[field], frame)
    return (ra % (2 * np.pi), dec), twist if meta.uvw_frame not in phase_rotation.EQUATORIAL else 0.0


def warn_of_other_pointings(readers: list[Reader], pointing: tuple[float, float], frame: str) -> None:
    """One primary beam cannot be right for dishes that point at several places."""
    chosen = {
        reader.meta.fields[field]: field_centre(reader.meta, field, frame)[0]
        for reader in readers for field in sorted(reader.survey.fields)
    }  # fmt: skip
    far = [name for name, centre in chosen.items() if np.hypot(*radec_to_lmn(*centre, pointing)[:2]) > SAME_POINTING]
    if far:
        logger.warning("fields of several pointings in one image (%s): the primary beam is that of the first alone; "
                       "choose with data.field", ", ".join(far))  # fmt: skip


def image_centre(reader: Reader, phasecenter: str | int) -> tuple[tuple[float, float], str]:
    """The image's (ra, dec) rad and frame: as given, that of a field, or that of the first selected row."""
    meta = reader.meta
    field = phasecenter if isinstance(phasecenter, int) else reader.survey.first_field
    if isinstance(phasecenter, int) and phasecenter >= len(meta.fields):
        raise ImagingError(f"image.phasecenter {phasecenter} is no field of {meta.path}.", got=phasecenter,
                           expected=", ".join(f"{i} ({name})" for i, name in enumerate(meta.fields)),
                           next_step="choose one of these, a direction, or '' for the first selected")  # fmt: skip
    frame = phase_rotation.EQUATORIAL.get(meta.frames[field], "FK5")
    if isinstance(phasecenter, str) and phasecenter:
        given = units.parse_direction(phasecenter)
        (ra, dec), _ = phase_rotation.to_frame(given, units.direction_frame(phasecenter) or frame, frame)
        return (ra % (2 * np.pi), dec), frame
    return field_centre(meta, field, frame)[0], frame


def describe_source(reader: Reader, column: str) -> dict:
    """What headers say of one MeasurementSet."""
    meta = reader.meta
    return {"name": Path(meta.path).resolve().name, "rows": meta.rows, "column": column,
            "telescope": meta.telescope, "fields": [meta.fields[f] for f in sorted(reader.survey.fields)]}  # fmt: skip


def summarise(readers: list[Reader], parts: list[dict]) -> dict:
    """What later stages and headers want to know of all the parts together."""
    meta, begin = readers[0].meta, min(r.survey.begin for r in readers)
    dishes = {round(float(r.meta.diameters[a]), 2) for r in readers for a in r.survey.antennas}
    telescopes = sorted({r.meta.telescope for r in readers})
    if len(telescopes) > 1:
        logger.warning("data of several telescopes: %s; taken as %s", ", ".join(telescopes), meta.telescope)
    low, high = (f(c for p in parts for c in p["freq"]) for f in (min, max))
    return {
        "object": meta.fields[readers[0].survey.first_field],
        "telescope": meta.telescope, "observer": meta.observer, "dish_diameters": sorted(d for d in dishes if d > 0),
        "date_obs": (EPOCH + timedelta(seconds=begin)).strftime("%Y-%m-%dT%H:%M:%S.%f"),
        "time_range": [begin, max(r.survey.end for r in readers)],
        "specframe": parts[0]["specframe"], "reference_frequency": (low + high) / 2,
        "frequency_range": [low, high], "max_uv": max(p["max_uv"] for p in parts),
        "max_w": max(p["max_w"] for p in parts), "sumwt": sum(p["sumwt"] for p in parts),
        "max_uv_wavelengths": max(p["max_uv"] * max(p["freq"]) for p in parts) / units.SPEED_OF_LIGHT,
    }  # fmt: skip
