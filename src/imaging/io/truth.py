"""The table of a simulated sky: what was put in, to compare with what comes out."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Sequence

from imaging.algorithms.components import Component
from imaging.errors import ImagingError
from imaging.io.atomic import atomic_path

COLUMNS = (
    "name", "group", "ra_deg", "dec_deg", "i_jy", "q_jy", "u_jy", "v_jy", "spectral_index", "logarithmic",
    "reffreq_hz", "major_arcsec", "minor_arcsec", "pa_deg",
)  # fmt: skip


def save_truth(components: Sequence[Component], path: str | os.PathLike) -> None:
    """Write one line a component, not attenuated by any primary beam; numbers have all their digits."""
    with atomic_path(path) as partial, open(partial, "w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        for c in components:
            axes = math.degrees(c.major) * 3600, math.degrees(c.minor) * 3600, math.degrees(c.pa)
            position = math.degrees(c.ra), math.degrees(c.dec)
            spectrum = " ".join(repr(a) for a in c.spectral_index), str(c.logarithmic).lower()
            row = c.name, c.group, *position, *c.stokes, *spectrum, c.reffreq, *axes
            table.writerow([x if isinstance(x, str) else repr(float(x)) for x in row])


def load_truth(path: str | os.PathLike) -> list[Component]:
    """The inverse of save_truth. Raises ImagingError where the file is not such a table."""
    try:
        with open(path, newline="") as file:
            return [_component(row) for row in csv.DictReader(file)]
    except FileNotFoundError:
        raise ImagingError(f"There is no table of sources {path}.", next_step="check the path") from None
    except (KeyError, ValueError, TypeError) as error:
        raise ImagingError(
            f"{path} is no table of a simulated sky.",
            got=f"{type(error).__name__}: {error}",
            expected=f"the columns {', '.join(COLUMNS)}",
            next_step="take the table that the simulation wrote beside its MeasurementSet",
        ) from None


def _component(row: dict) -> Component:
    number = {key: float(row[key]) for key in COLUMNS[2:] if key not in ("spectral_index", "logarithmic")}
    return Component(
        name=row["name"],
        group=row["group"],
        ra=math.radians(number["ra_deg"]),
        dec=math.radians(number["dec_deg"]),
        stokes=(number["i_jy"], number["q_jy"], number["u_jy"], number["v_jy"]),
        spectral_index=tuple(float(a) for a in row["spectral_index"].split()),
        logarithmic={"true": True, "false": False}[row["logarithmic"]],
        reffreq=number["reffreq_hz"],
        major=math.radians(number["major_arcsec"] / 3600),
        minor=math.radians(number["minor_arcsec"] / 3600),
        pa=math.radians(number["pa_deg"]),
    )
