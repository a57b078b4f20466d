"""Catalogues: tables that astropy reads (FITS, VOTable, ECSV, CSV and others), a source a row."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping

import numpy as np

from imaging.algorithms.components import Component
from imaging.errors import ImagingError

# What columns mostly are called, in lower case: the first that is there is taken. PyBDSF's deconvolved axes first.
KNOWN = {
    "name": ("name", "source_name", "component_name", "source_id", "id"),
    "ra": ("ra", "raj2000", "_raj2000", "ra_deg", "ra_j2000", "right_ascension"),
    "dec": ("dec", "dej2000", "decj2000", "_dej2000", "dec_deg", "dec_j2000", "declination"),
    "i": ("i", "stokes_i", "total_flux", "int_flux", "flux_integrated", "sint", "flux"),
    "q": ("q", "stokes_q"), "u": ("u", "stokes_u"), "v": ("v", "stokes_v"),
    "spectral_index": ("spectral_index", "spi", "spec_indx", "alpha", "si"),
    "reffreq": ("reffreq", "ref_freq", "freq0", "reference_frequency", "freq", "frequency"),
    "major": ("dc_maj", "deconv_maj", "major", "maj", "majoraxis", "bmaj"),
    "minor": ("dc_min", "deconv_min", "minor", "min", "minoraxis", "bmin"),
    "pa": ("dc_pa", "deconv_pa", "pa", "position_angle", "orientation", "bpa"),
}  # fmt: skip
UNITS = {"ra": ("deg", "rad"), "dec": ("deg", "rad"), "i": ("Jy", "Jy"), "q": ("Jy", "Jy"), "u": ("Jy", "Jy"),
         "v": ("Jy", "Jy"), "spectral_index": ("", ""), "reffreq": ("Hz", "Hz"), "major": ("arcsec", "rad"),
         "minor": ("arcsec", "rad"), "pa": ("deg", "rad")}  # fmt: skip
NEEDED = ("ra", "dec", "i")


def load_catalogue(
    path: str, columns: Mapping[str, str] | None = None, reffreq: float = 1.4e9, format: str = ""
) -> list[tuple[Component, dict]]:
    """Components, and what the table says else about each.

    `columns` names those of KNOWN that are called otherwise. Units are the table's; where it has none, degrees (or
    text: hours of right ascension, degrees), Jy, Hz, and arcsec for axes. `reffreq` (Hz) is for tables without such a
    column; `format` as astropy calls it, found by itself from most files. Raises ImagingError.
    """
    table = _read(path, format)
    found = _found(path, table.colnames, columns or {})
    values = {what: _values(path, table, name, what) for what, name in found.items() if what != "name"}
    zero = np.zeros(len(table))
    get = {what: values.get(what, zero) for what in UNITS} | {"reffreq": values.get("reffreq", zero + reffreq)}
    rest = [name for name in table.colnames if name not in found.values() and table[name].ndim == 1]
    made = []
    for row in range(len(table)):
        name = str(table[found["name"]][row]).strip() if "name" in found else f"s{row}"
        axes, pa = (float(get["major"][row]), float(get["minor"][row])), float(get["pa"][row])
        if axes[1] > axes[0]:
            axes, pa = axes[::-1], pa + math.pi / 2
        terms = (float(get["spectral_index"][row]),) if "spectral_index" in values else ()
        component = Component(name, float(get["ra"][row]), float(get["dec"][row]),
                              tuple(float(get[s][row]) for s in "iquv"), terms, float(get["reffreq"][row]) or reffreq,
                              *axes, pa)  # fmt: skip
        made.append((component, {key: _plain(table[key][row]) for key in rest if table[key][row] is not np.ma.masked}))
    return made


def _found(path, there: list[str], columns: Mapping[str, str]) -> dict[str, str]:
    """Which column holds what."""
    by_name, found = {name.lower(): name for name in reversed(there)}, {}
    for what, usual in KNOWN.items():
        asked = columns.get(what, "")
        name = next((by_name[name] for name in ([asked.lower()] if asked else usual) if name in by_name), None)
        if name is None and (asked or what in NEEDED):
            raise _mistake(path, f"the columns {', '.join(there)}", f"{what}: {asked or ' or '.join(usual)}")
        if name is not None:
            found[what] = name
    return found


def _read(path, format: str):
    from astropy.table import Table

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of units and of VOTables' small sins
            table = Table.read(path, **({"format": format} if format else {}))
    except Exception as error:  # every format has its own
        raise _mistake(path, " ".join(str(error).split())[:200], "a table that astropy reads",
                       "give its format as astropy calls it") from None  # fmt: skip
    if not len(table):
        raise _mistake(path, "no rows", "a source a row")
    return table


def _values(path, table, name: str, what: str) -> np.ndarray:
    """(row,) in SI units; what is masked or not finite is 0 where the column is not needed."""
    from astropy import units
    from astropy.coordinates import Angle

    column, (default, wanted) = table[name], UNITS[what]
    try:
        if column.dtype.kind in "USO":
            if what not in ("ra", "dec"):
                raise ValueError("text")
            values = Angle(np.asarray(column, str), unit="hourangle" if what == "ra" else "deg").to_value("rad")
        else:
            unit = units.Unit(column.unit or default)
            per_beam = unit.bases and any(str(base) == "beam" for base in unit.bases)
            unit = unit * units.beam if per_beam else unit
            values = np.ma.filled(np.ma.asarray(column, float), np.nan) * unit.to(wanted)
    except (ValueError, TypeError, units.UnitsError) as error:
        raise _mistake(path, f"{name} for {what}: {' '.join(str(error).split())}", f"numbers in {default or 'no unit'}"
                       ) from None  # fmt: skip
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad) and what in NEEDED:
        raise _mistake(path, f"no {name} in row {bad[0] + 1}, and {len(bad) - 1} more", f"{name} in every row")
    return np.where(np.isfinite(values), values, 0.0)


def _plain(value):
    return value.item() if hasattr(value, "item") else value


def _mistake(
    path, got, expected, step: str = "mend it, or name the columns in the sky model's options"
) -> ImagingError:
    return ImagingError(f"{path} is no catalogue of sources.", got=got, expected=expected, next_step=step)
