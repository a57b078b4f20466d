"""Sky models from tables."""

from __future__ import annotations

from dataclasses import dataclass

from imaging.config_base import Flux, Frequency
from imaging.measurement.sky.components import Source, SourceSky

COLUMNS = ("name", "ra", "dec", "i", "q", "u", "v", "spectral_index", "reffreq", "major", "minor", "pa")


@dataclass
class CatalogueSky(SourceSky):
    """Points and Gaussians of a FITS table, VOTable, ECSV, CSV or what else astropy reads, a source a row.

    Columns are found by their usual names (PyBDSF's among them), and are told otherwise; units are the table's. Further
    columns are tags of the sources.
    """

    path: str
    """The file."""
    name: str = ""
    """Column of names; without one they are s0, s1, …"""
    ra: str = ""
    """Column of right ascensions (degrees, or text in hours)."""
    dec: str = ""
    """Column of declinations (degrees, or text)."""
    i: str = ""
    """Column of integrated flux densities (Jy)."""
    q: str = ""
    """Column of Stokes Q."""
    u: str = ""
    """Column of Stokes U."""
    v: str = ""
    """Column of Stokes V."""
    spectral_index: str = ""
    """Column of spectral indices."""
    reffreq: str = ""
    """Column of frequencies (Hz) of the flux densities."""
    major: str = ""
    """Column of deconvolved major axes, FWHM (arcsec); 0 or nothing: a point."""
    minor: str = ""
    """Column of minor axes."""
    pa: str = ""
    """Column of position angles (degrees), north through east."""
    frequency: Frequency = 1.4e9
    """Of the flux densities where there is no such column."""
    above: Flux = 0.0
    """Leave out what is fainter."""
    format: str = ""
    """What astropy calls the table's format, where it cannot tell."""
    solvable = False

    def _load(self) -> list[Source]:
        from imaging.io.catalogue import load_catalogue

        columns = {what: getattr(self, what) for what in COLUMNS}
        found = load_catalogue(self.path, columns, self.frequency, self.format)
        return [Source(c, **{str(k): v for k, v in attrs.items()}) for c, attrs in found if c.stokes[0] >= self.above]
