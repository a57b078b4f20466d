"""World coordinates by astropy, for the files and regions that need more than our own SIN grid."""

from __future__ import annotations

import warnings

from imaging.image import Grid


def celestial_wcs(header: dict):
    """astropy's celestial WCS of FITS keywords (it warns of every harmless repair; that is kept quiet)."""
    from astropy.io.fits import Header
    from astropy.wcs import WCS, FITSFixedWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)
        return WCS(Header({k: v for k, v in header.items() if k not in ("HISTORY", "COMMENT", "")})).celestial


def grid_wcs(grid: Grid):
    """astropy's celestial WCS of a Grid."""
    import numpy as np

    from imaging.io.header import FRAMES

    xtype, ytype, radesys, equinox = FRAMES[grid.frame]
    ny, nx = grid.shape
    ra, dec = np.degrees(grid.centre).tolist()
    dx, dy = np.degrees(grid.cell).tolist()
    header = {
        "NAXIS": 2,
        "CTYPE1": xtype,
        "CTYPE2": ytype,
        "CRVAL1": ra,
        "CRVAL2": dec,
        "CDELT1": -dx,
        "CDELT2": dy,
        "CRPIX1": nx // 2 + 1.0,
        "CRPIX2": ny // 2 + 1.0,
        "CUNIT1": "deg",
        "CUNIT2": "deg",
        "LONPOLE": 180.0,
        "LATPOLE": dec,
    }
    return celestial_wcs(header | ({"RADESYS": radesys, "EQUINOX": equinox} if radesys else {}))
