"""The stations of an observation and its phase centre, as nodes."""

from __future__ import annotations

import numpy as np

from imaging.errors import ImagingError
from imaging.measurement.expressions import Meq
from imaging.measurement.meow import context
from imaging.measurement.meow.directions import Direction

__all__ = ["IfrArray", "Observation", "Position"]


class Position:
    """A place on the Earth, ITRF in m."""

    def __init__(self, ns, name, x, y, z):
        self.node = ns.xyz(name)
        self._values = x, y, z

    def xyz(self):
        return self.node ** Meq.Composer(*self._values)


class IfrArray:
    """Stations, by name, and their baselines.

    station_list: names, or (number, name) pairs; a number is the station's place in the data. positions (station, 3)
    ITRF m, of the list or by number. ms_uvw: uvw are read from the tile's column UVW (default where it is not said);
    otherwise computed of positions. mirror_uvw changes their sign.
    """

    def __init__(self, ns, station_list, station_index=None, uvw_table=None, observatory=None, ms_uvw=None,
                 mirror_uvw=None, include_uvw_deriv=False, prefer_baseline_uvw=None, resamplers=False, positions=None,
                 full_station_names=None):  # fmt: skip
        self.ns, self.observatory = ns, observatory
        self.ms_uvw, self.mirror_uvw, self.derivatives = ms_uvw is not False, bool(mirror_uvw), include_uvw_deriv
        given = list(station_list) if not isinstance(station_list, int) else range(station_list)
        pairs = [item if isinstance(item, (tuple, list)) else (i, str(item)) for i, item in enumerate(given)]
        if station_index is not None:
            pairs = [(index, name) for index, (_, name) in zip(station_index, pairs, strict=True)]
        self._numbers = {name: number for number, name in pairs}
        self._full = dict(zip(self._numbers, full_station_names or self._numbers, strict=True))
        self._positions = None
        if positions is not None:
            positions = np.asarray(positions, float)
            places = range(len(pairs)) if len(positions) == len(pairs) else self._numbers.values()
            self._positions = dict(zip(self._numbers, positions[list(places)], strict=True))

    def stations(self):
        return list(self._numbers)

    def num_stations(self):
        return len(self._numbers)

    def station_index(self):
        return [(number, name) for name, number in self._numbers.items()]

    def station_numbers(self):
        return list(self._numbers.values())

    def number_of_station(self, p):
        return self._numbers[str(p)]

    def full_station_name(self, p):
        return self._full[str(p)]

    def ifrs(self):
        names = self.stations()
        return [(p, q) for i, p in enumerate(names) for q in names[i + 1 :]]

    def num_ifrs(self):
        return len(self.ifrs())

    def ifr_index(self):
        """((number, name), (number, name)) of each baseline."""
        return [((self._numbers[p], p), (self._numbers[q], q)) for p, q in self.ifrs()]

    def enable_uvw_derivatives(self, enable=True):
        self.derivatives = enable

    def spigots(self, node=None, corr=(0, 1, 2, 3), column="DATA", **options):
        """spigot(p, q): visibilities of a column."""
        node = self.ns.spigot if node is None else node
        for p, q in self.ifrs():
            node(p, q) << self._spigot(p, q, input_col=column, corr_index=list(corr), **options)
        return node

    def _spigot(self, p, q, **options):
        return Meq.Spigot(station_1_index=self._numbers[p], station_2_index=self._numbers[q], **options)

    def xyz0(self):
        """The position of the first station."""
        return self.xyz(self.stations()[0])

    def xyz(self, station=None):
        """The position of a station, or what gives those of all: xyz()(p)."""
        if self._positions is None:
            raise ImagingError("The positions of the stations are not known.", expected="IfrArray(..., positions=...)")
        for p in self.stations() if station is None else [station]:
            self.ns.xyz(p) ** Meq.Composer(*(Meq.Constant(float(x)) for x in self._positions[str(p)]))
        return self.ns.xyz if station is None else self.ns.xyz(station)

    def _axis(self, name, index, p):
        return self.ns[name](p) ** Meq.Selector(self.xyz(p), index=index)

    def x_station(self, p):
        return self._axis("stx", 0, p)

    def y_station(self, p):
        return self._axis("sty", 1, p)

    def z_station(self, p):
        return self._axis("stz", 2, p)

    def uvw(self, dir0=None, *quals):
        """uvw(p) of a station about the first one, m; of a baseline (p, q) they are uvw(q) - uvw(p)."""
        dir0 = context.get_dir0(dir0)
        measured = self.ms_uvw and dir0.is_phase_centre()
        node = self.ns.uvw if dir0.is_phase_centre() else self.ns.uvw(dir0.name)
        first = self.stations()[0]
        for p in self.stations():
            if node(p).initialized():
                continue
            if not measured:
                value = Meq.UVW(radec=dir0.radec(), xyz_0=self.xyz0(), xyz=self.xyz(p))
            elif p == first:
                value = Meq.Constant(np.zeros(6 if self.derivatives else 3))
            else:
                value = self._spigot(first, p, input_col="UVW", include_deriv=self.derivatives)
            node(p) << (-value if self.mirror_uvw else value)
        return node(*quals)

    def uvw_ifr(self, dir0=None, *quals):
        """uvw_ifr(p, q) of a baseline, m."""
        dir0 = context.get_dir0(dir0)
        node = self.ns.uvw_ifr if dir0.is_phase_centre() else self.ns.uvw_ifr(dir0.name)
        uvw = self.uvw(dir0)
        for p, q in self.ifrs():
            node(p, q) ** (uvw(q) - uvw(p))
        return node(*quals)

    def uv_ifr(self, dir0=None, *quals):
        uvw = self.uvw_ifr(dir0)
        for p, q in self.ifrs():
            uvw(p, q)("uv") ** Meq.Selector(uvw(p, q), index=[0, 1], multi=True)
        return lambda p, q: uvw(p, q)("uv")


class Observation:
    """The phase centre (ra, dec) rad and the feeds; ends of time (MJD s) and frequency (Hz) as far as known."""

    def __init__(self, ns, circular=False, linear=False, phase_centre=None, quals=(), kwquals=None, *,
                 time=(0, 1), freq=(59e6, 60e6)):  # fmt: skip
        self.ns, self._circular, self._ends = ns, bool(circular) and not linear, {}
        for name, value in zip(("time0", "time1", "freq0", "freq1"), (*time, *freq), strict=True):
            self._ends[name] = value
        ra, dec = (0.0, 0.0) if phase_centre is None else (float(angle) for angle in phase_centre)
        self.phase_centre = self.phase_center = Direction(ns, None, ra, dec, quals=quals, kwquals=kwquals)

    def circular(self):
        return self._circular

    def radec0(self):
        return self.phase_centre.radec()

    def _end(self, name):
        return self.ns[name] ** Meq.Constant(self._ends[name])

    def freq0(self):
        return self._end("freq0")

    def freq1(self):
        return self._end("freq1")

    def time0(self):
        return self._end("time0")

    def time1(self):
        return self._end("time1")
