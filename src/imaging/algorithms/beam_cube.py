"""Voltage beams on grids of direction and frequency, and what they are between the grid's points."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

EDGE = 1e-6  # pixels: what is beyond the outermost points by less is at them


@dataclass(eq=False)
class BeamCube:
    """Voltages (element, chan, y, x) complex, elements being one (scalar), two (diagonal) or the four of a matrix by
    rows; at direction cosines l0 + x dl and m0 + y dm, and at `freq` (chan,) Hz, ascending, or empty where one plane
    is for all frequencies."""

    data: np.ndarray
    freq: np.ndarray
    l0: float
    dl: float
    m0: float
    dm: float
    _splines: dict = field(default_factory=dict)

    def normalised(self) -> BeamCube:
        """Each plane divided by the largest gain in it, sqrt(tr J J^H / 2)."""
        scale = 1 if len(self.data) == 1 else 2
        largest = np.sqrt((np.abs(self.data) ** 2).sum(0).max((1, 2)) / scale)
        return BeamCube(self.data / largest[:, None, None], self.freq, self.l0, self.dl, self.m0, self.dm)

    def at(self, l, m, freq, order: int = 3, scaling: bool = True) -> np.ndarray:
        """Voltages (element, …, chan) at l, m (…, chan | 1) and `freq` (chan,) Hz; 0 outside of the grid.

        In l and m splines of `order`, exact at the grid's points; in frequency the mean of the two nearest planes,
        weighted by their distance, each taken at l nu/nu_plane where there is `scaling`, as diffraction has it; beyond
        the first and last plane those alone.
        """
        l, m = np.broadcast_arrays(l, m)
        shape, freq = l.shape[:-1], np.asarray(freq, float)
        l, m = l.reshape(-1, l.shape[-1]), m.reshape(-1, l.shape[-1])
        out = np.zeros((len(self.data), len(l), len(freq)), complex)
        for f, nu in enumerate(freq):
            for chan, weight in self._planes(nu):
                scale = nu / self.freq[chan] if scaling and len(self.freq) else 1.0
                at = f if l.shape[-1] > 1 else 0
                x, y = (l[:, at] * scale - self.l0) / self.dl, (m[:, at] * scale - self.m0) / self.dm
                out[..., f] += weight * self._interpolated(chan, x, y, order)
        return out.reshape(len(self.data), *shape, len(freq))

    def _planes(self, nu: float) -> list[tuple[int, float]]:
        if len(self.freq) < 2:
            return [(0, 1.0)]
        place = np.interp(nu, self.freq, np.arange(len(self.freq)))
        low = min(int(place), len(self.freq) - 2)
        return [(low + i, w) for i, w in ((0, 1 - (place - low)), (1, place - low)) if w > 0]

    def _interpolated(self, chan: int, x, y, order: int) -> np.ndarray:
        from scipy.ndimage import map_coordinates, spline_filter

        key = (chan, order)
        if key not in self._splines:
            planes = self.data[:, chan]
            if order > 1:
                planes = np.stack([spline_filter(p.real, order) + 1j * spline_filter(p.imag, order) for p in planes])
            self._splines[key] = planes
        height, width = self.data.shape[2:]
        inside = (x > -EDGE) & (x < width - 1 + EDGE) & (y > -EDGE) & (y < height - 1 + EDGE)
        out = np.zeros((len(self.data), len(x)), complex)
        places = np.clip([y[inside], x[inside]], 0, [[height - 1], [width - 1]])
        for element, plane in enumerate(self._splines[key]):
            out[element][inside] = map_coordinates(plane, places, order=order, prefilter=False, mode="mirror")
        return out
