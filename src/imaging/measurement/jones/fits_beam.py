"""Primary beams from FITS files of voltages: a Sky Jones module."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from imaging.measurement.contracts import ArrayJones, name_of, pointing_array
from imaging.measurement.horizon import parallactic_angle, positions_of


@dataclass
class FitsBeam:
    """E between the points of FITS cubes, which hold voltages in l, m and frequency: in l and m splines, in frequency
    the mean of the two nearest planes weighted by their distance.

    Pointing offsets move its middle to (dl, dm). Matrices are those of the dish's own feeds: where `parallactic`, put a
    Rotation before it.
    """

    pattern: str = "beam_$(xy)_$(reim).fits"
    """Names of the files: $(xy) is xx to yy or rr to ll, $(reim) re or im, $(station) the station. One file without
    variables is a scalar, or has the axes STOKES and COMPLEX."""
    interpolation: Literal["linear", "cubic"] = "cubic"
    """In l and m."""
    scaling: bool = True
    """Between the cube's frequencies the beam's width goes as the wavelength."""
    parallactic: bool = True
    """The sky turns in the beam by the parallactic angle, as in alt-azimuth mounts."""
    normalise: bool = False
    """Divide each plane by its largest gain."""
    l_axis: str = ""
    """CTYPE of the axis to the east, with a minus where it points west; found where it is L, X, TARGETX or RA."""
    m_axis: str = ""
    """CTYPE of the axis to the north, as for `l_axis`: M, Y, TARGETY or DEC."""
    solvable = False

    def compute_jones(self, Jones, sources, stations=None, pointing_offsets=None, context=None, **kw) -> ArrayJones:
        if self.parallactic:
            positions_of(context)
        groups = self._cubes(context)
        elements = max(len(cube.data) for cube, _ in groups)

        def beam(tile):
            offset = pointing_array(pointing_offsets, tile)
            l, m = tile.l - offset[..., 0], tile.m - offset[..., 1]
            if self.parallactic:
                q = parallactic_angle(tile.time, tile.positions, tile.phase_centre)[..., None]
                l, m = l * np.cos(q) - m * np.sin(q), l * np.sin(q) + m * np.cos(q)
            if len(groups) == 1:
                return self._matrices(groups[0][0], l, m, tile.nu, elements)
            l, m = (np.broadcast_to(x, (len(x), len(tile.stations), *x.shape[2:])) for x in (l, m))
            parts = [self._matrices(cube, l[:, who], m[:, who], tile.nu, elements) for cube, who in groups]
            out = np.empty((len(l), len(tile.stations), *parts[0].shape[2:]), complex)
            for (_, who), part in zip(groups, parts, strict=True):
                out[:, who] = part
            return out

        kind = {1: "scalar", 2: "diagonal", 4: "full"}[elements]
        return ArrayJones(beam, kind, sources=sources, name=Jones.name)

    def _cubes(self, context) -> list:
        """Cubes, and the stations (indices) that have them."""
        from imaging.io.beam_cube import load_beam

        names = [name_of(p) for p in context.stations]
        groups = [[p] for p in range(len(names))] if "$(station)" in self.pattern else [list(range(len(names)))]
        found = []
        for who in groups:
            cube = load_beam(self.pattern, context.feeds, names[who[0]], self.l_axis, self.m_axis)
            found.append((cube.normalised() if self.normalise else cube, who))
        return found

    def _matrices(self, cube, l, m, freq, elements: int) -> np.ndarray:
        values = np.moveaxis(cube.at(l, m, freq, {"linear": 1, "cubic": 3}[self.interpolation], self.scaling), 0, -1)
        if elements == 1:
            return values[..., 0]
        if elements == 2:
            return values if values.shape[-1] == 2 else np.repeat(values, 2, -1)
        if values.shape[-1] < 4:
            full = np.zeros((*values.shape[:-1], 4), complex)
            full[..., 0], full[..., 3] = values[..., 0], values[..., -1]
            values = full
        return values.reshape(*values.shape[:-1], 2, 2)
