"""Directions as nodes: right ascension and declination, direction cosines, azimuth and elevation, phases.

All are J2000 in rad; l east, m north, SIN projection about the phase centre of the context or another direction.
"""

from __future__ import annotations

import math

from imaging.measurement.expressions import Meq
from imaging.measurement.meow import context
from imaging.measurement.meow.parameters import Parameterization

__all__ = ["AzElDirection", "Direction", "LMDirection", "lm_to_radec", "radec_to_lmn"]


def radec_to_lmn(ra, dec, ra0, dec0):
    """Numbers (l, m, n) of a direction about (ra0, dec0)."""
    step = ra - ra0
    return (
        math.cos(dec) * math.sin(step),
        math.sin(dec) * math.cos(dec0) - math.cos(dec) * math.sin(dec0) * math.cos(step),
        math.sin(dec) * math.sin(dec0) + math.cos(dec) * math.cos(dec0) * math.cos(step),
    )


def lm_to_radec(l, m, ra0, dec0):
    """The inverse of `radec_to_lmn`."""
    n = math.sqrt(1 - l * l - m * m)
    dec = math.asin(m * math.cos(dec0) + n * math.sin(dec0))
    return ra0 + math.atan2(l, n * math.cos(dec0) - m * math.sin(dec0)), dec


class Direction(Parameterization):
    """A direction of right ascension and declination (numbers, parameters or nodes)."""

    def __init__(self, ns, name, ra, dec, static=False, quals=(), kwquals=None):
        super().__init__(ns, name, quals, kwquals)
        self._add_parm("ra", ra, tags="direction")
        self._add_parm("dec", dec, tags="direction")

    def radec(self):
        if not self.ns.radec.initialized():
            static = self.radec_static()
            self.ns.radec << (Meq.Constant(static) if static else Meq.Composer(self._parm("ra"), self._parm("dec")))
        return self.ns.radec

    def ra(self):
        return self.ns.ra ** Meq.Selector(self.radec(), index=0)

    def dec(self):
        return self.ns.dec ** Meq.Selector(self.radec(), index=1)

    def radec_static(self):
        """Numbers, or None where the direction is not one of numbers."""
        pair = self._get_constant("ra"), self._get_constant("dec")
        return None if None in pair else pair

    def is_phase_centre(self) -> bool:
        return self is context.get_observation().phase_centre

    # direction cosines

    def lmn_static(self, dir0=None):
        """Numbers (l, m, n), or None where they are not known without a tile."""
        dir0 = context.get_dir0(dir0)
        if self is dir0:
            return 0.0, 0.0, 1.0
        mine, centre = self.radec_static(), dir0.radec_static()
        return radec_to_lmn(*mine, *centre) if mine and centre else None

    def _about(self, name, dir0):
        """The node of something about a direction; about the phase centre without a qualifier."""
        dir0 = context.get_dir0(dir0)
        return self.ns[name] if dir0.is_phase_centre() else self.ns[name](dir0.name)

    def lmn(self, dir0=None):
        node = self._about("lmn", dir0)
        if not node.initialized():
            static = self.lmn_static(dir0)
            node << (Meq.Constant(static) if static else self._lmn(context.get_dir0(dir0)))
        return node

    def _lmn(self, dir0):
        return Meq.LMN(radec_0=dir0.radec(), radec=self.radec())

    def lm(self, dir0=None):
        static = self.lmn_static(dir0)
        meaning = Meq.Constant(static[:2]) if static else Meq.Selector(self.lmn(dir0), index=[0, 1], multi=True)
        return self._about("lm", dir0) ** meaning

    def _component(self, name, index, dir0):
        static = self.lmn_static(dir0)
        return self._about(name, dir0) ** (static[index] if static else Meq.Selector(self.lmn(dir0), index=index))

    def l(self, dir0=None):  # noqa: E743
        return self._component("l", 0, dir0)

    def m(self, dir0=None):
        return self._component("m", 1, dir0)

    def n(self, dir0=None):
        return self._component("n", 2, dir0)

    def lmn_1(self, dir0=None):
        """(l, m, n - 1)."""
        node = self._about("lmn_minus1", dir0)
        if not node.initialized():
            static = self.lmn_static(dir0)
            if static:
                l, m, n = static
                node << Meq.Constant([l, m, -(l * l + m * m) / (1 + n)])  # n - 1 without cancellation
            else:
                node << Meq.Paster(self.lmn(dir0), self.n(dir0) - 1, index=2)
        return node

    # the horizon of a station, by default the first one's

    def _seen(self, name, xyz):
        """The node of something as seen from a station."""
        return (self.ns[name], context.get_array().xyz0()) if xyz is None else (self.ns[name].qadd(xyz), xyz)

    def azel(self, xyz=None):
        node, place = self._seen("azel", xyz)
        return node ** Meq.AzEl(radec=self.radec(), xyz=place)

    def az(self, xyz=None):
        return self._seen("az", xyz)[0] ** Meq.Selector(self.azel(xyz), index=0)

    def el(self, xyz=None):
        return self._seen("el", xyz)[0] ** Meq.Selector(self.azel(xyz), index=1)

    def pa(self, xyz=None):
        """The parallactic angle: of the zenith, north through east."""
        node, place = self._seen("pa", xyz)
        return node ** Meq.ParAngle(radec=self.radec(), xyz=place)

    def pa_rot(self, xyz=None):
        """The matrix that turns (l, m) by the parallactic angle."""
        pa = self.pa(xyz)
        sin, cos = pa("sin") ** Meq.Sin(pa), pa("cos") ** Meq.Cos(pa)
        return pa("rot") ** Meq.Matrix22(cos, -sin, sin, cos)

    def pa_invrot(self, xyz=None):
        return self.pa_rot(xyz)("T") ** Meq.Transpose(self.pa_rot(xyz))

    # phases

    def KJones(self, array=None, dir0=None):
        """K(p) = exp(-2 pi i (u l + v m + w (n - 1)) nu/c) of each station."""
        array, phase = context.get_array(array), self._about("K", dir0)
        for p in array.stations():
            phase(p) ** Meq.VisPhaseShift(lmn=self.lmn_1(dir0), uvw=array.uvw(dir0)(p))
        return phase

    def make_phase_shift(self, vis, vis0, array=None, dir0=None):
        """vis(p, q) becomes vis0(p, q), which is at the phase centre, in this direction."""
        array, dir0 = context.get_array(array), context.get_dir0(dir0)
        phase = None if self is dir0 else self.KJones(array, dir0)
        for p, q in array.ifrs():
            if phase is None:
                vis(p, q) << Meq.Identity(vis0(p, q))
            else:
                vis(p, q) << Meq.MatrixMultiply(phase(p), vis0(p, q), phase(q)("conj") ** Meq.Conj(phase(q)))
        return vis


class LMDirection(Direction):
    """A direction of direction cosines about `dir0` (None: the phase centre)."""

    def __init__(self, ns, name, l, m, dir0=None, static=True, quals=(), kwquals=None):
        Parameterization.__init__(self, ns, name, quals, kwquals)
        self.dir0 = dir0
        self._add_parm("l", l, tags="direction")
        self._add_parm("m", m, tags="direction")

    def _given(self):
        """(l, m) as numbers, or None."""
        pair = self._get_constant("l"), self._get_constant("m")
        return None if None in pair else pair

    def radec_static(self):
        lm, centre = self._given(), context.get_dir0(self.dir0).radec_static()
        return lm_to_radec(*lm, *centre) if lm and centre else None

    def radec(self):
        centre = context.get_dir0(self.dir0)
        return self.ns.radec ** Meq.LMRaDec(radec_0=centre.radec(), lm=self.lm(centre))

    def lmn_static(self, dir0=None):
        lm = self._given()
        if lm and context.get_dir0(dir0) is context.get_dir0(self.dir0):
            return *lm, math.sqrt(1 - lm[0] ** 2 - lm[1] ** 2)
        return super().lmn_static(dir0)

    def _lmn(self, dir0):
        if dir0 is not context.get_dir0(self.dir0):
            return super()._lmn(dir0)
        l, m = self._parm("l", nodename="l0"), self._parm("m", nodename="m0")
        return Meq.Composer(l, m, Meq.Sqrt(1 - Meq.Sqr(l) - Meq.Sqr(m)))


class AzElDirection(Direction):
    """A direction that stays at an azimuth and elevation, as seen from `xyz` (None: the first station)."""

    def __init__(self, ns, name, az, el, xyz=None, quals=(), kwquals=None):
        Parameterization.__init__(self, ns, name, quals, kwquals)
        self._xyz = xyz
        self._add_parm("az", az, tags="direction")
        self._add_parm("el", el, tags="direction")

    def _fixed(self):
        return self.ns.azel_fixed ** Meq.Composer(
            self._parm("az", nodename="az0"), self._parm("el", nodename="el0")
        )  # fmt: skip

    def radec_static(self):
        return None

    def radec(self):
        place = context.get_array().xyz0() if self._xyz is None else self._xyz
        return self.ns.radec ** Meq.RADec(azel=self._fixed(), xyz=place)

    def azel(self, xyz=None):
        return self._fixed() if xyz is self._xyz else super().azel(xyz)
