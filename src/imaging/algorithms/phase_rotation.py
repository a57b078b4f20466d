"""Another phase centre: uvw in the new frame, and the phases that go with it, exactly.

With b the baseline and s0, s1 the old and new centres, V' = V exp(2 pi i b.(s0 - s1) nu/c), and b.s is the w
towards s (Thompson, Moran & Swenson 2017, eqs 3.7 and 4.3). So the phase is that of (w_old - w_new).
"""

from __future__ import annotations

import numpy as np

from imaging.errors import ImagingError
from imaging.units import SPEED_OF_LIGHT


def basis(ra: float, dec: float, twist: float = 0.0) -> np.ndarray:
    """Unit vectors east (l), north (m) and towards (ra, dec), as rows of a (3, 3) matrix.

    `twist` (rad) turns north towards east by that angle.
    """
    sa, ca, sd, cd = np.sin(ra), np.cos(ra), np.sin(dec), np.cos(dec)
    east, north = np.array([-sa, ca, 0.0]), np.array([-sd * ca, -sd * sa, cd])
    st, ct = np.sin(twist), np.cos(twist)
    return np.array([ct * east - st * north, ct * north + st * east, [cd * ca, cd * sa, sd]])


def turn(old: tuple[float, float], new: tuple[float, float], twist: float = 0.0) -> np.ndarray:
    """The (3, 3) matrix that takes uvw from centre `old` to `new`, as `rotate` has them; ImagingError beyond 90 deg."""
    matrix = basis(*new) @ basis(*old, twist).T
    if matrix[2, 2] <= 0:
        raise ImagingError("image.phasecenter is more than 90 degrees from the field.",
                           got=f"ra {np.degrees(new[0]):.4f}, dec {np.degrees(new[1]):+.4f} deg",
                           expected=f"a place near ra {np.degrees(old[0]):.4f}, dec {np.degrees(old[1]):+.4f} deg",
                           next_step="correct image.phasecenter, or leave it empty")  # fmt: skip
    return matrix


def rotate(
    uvw: np.ndarray,
    vis: np.ndarray,
    freq: np.ndarray,
    old: tuple[float, float],
    new: tuple[float, float],
    twist: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """uvw (row, 3) m and vis (pol, row, chan) with phase centre `new` instead of `old` ((ra, dec) rad).

    `twist` is the angle by which the north of the old uvw is turned towards east in the new equatorial frame
    (0 unless the frame changes). The arrays come back as they are where nothing changes.
    """
    if tuple(old) == tuple(new) and twist == 0.0:
        return uvw, vis
    turned = uvw @ turn(old, new, twist).T
    cycles = (uvw[:, 2] - turned[:, 2])[:, None] * (np.asarray(freq) / SPEED_OF_LIGHT)
    cycles -= np.rint(cycles)
    return turned, vis * np.exp(2j * np.pi * cycles).astype(np.complex64)


_FRAMES = {"J2000": "fk5", "FK5": "fk5", "ICRS": "icrs", "B1950": "fk4", "B1950_VLA": "fk4", "FK4": "fk4",
           "GALACTIC": "galactic"}  # fmt: skip
EQUATORIAL = {"J2000": "FK5", "FK5": "FK5", "ICRS": "ICRS"}
"""Frames an image may be in, as FITS calls them."""


def to_frame(direction: tuple[float, float], frame: str, target: str) -> tuple[tuple[float, float], float]:
    """A direction (rad) of `frame` (casacore's names) in `target` (FK5 or ICRS), and how far its north turns there.

    The angle is what `rotate` calls `twist`: from the target's north to the frame's, through east.
    """
    frame = frame.upper()
    if frame not in _FRAMES:
        raise ImagingError(f"Phase centres in the frame {frame} are not supported.", got=frame,
                           expected=", ".join(_FRAMES), next_step="give the phase centres in J2000: `fixvis` or"
                           " `chgcentre` do that")  # fmt: skip
    if EQUATORIAL.get(frame) == target:
        return (float(direction[0]), float(direction[1])), 0.0
    from astropy import units
    from astropy.coordinates import SkyCoord

    here = SkyCoord(*direction, unit="rad", frame=_FRAMES[frame])
    northwards = here.directional_offset_by(0 * units.deg, 1 * units.arcmin)
    moved, north = here.transform_to(target.lower()), northwards.transform_to(target.lower())
    twist = moved.position_angle(north).wrap_at(180 * units.deg)
    return (float(moved.ra.rad), float(moved.dec.rad)), float(twist.rad)


def predict_back(uvw, freq, old, new, twist: float, predicted) -> np.ndarray:
    """`predicted(uvw)` (plane, row, chan) for the phase centre `new`, with the phases of `old`: `rotate` undone."""
    finite = np.where(np.isfinite(uvw), uvw, 0.0)
    turned, phases = rotate(finite, np.ones((1, len(uvw), len(freq)), np.complex64), freq, old, new, twist)
    return predicted(turned) * phases.conj()
