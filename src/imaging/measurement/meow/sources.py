"""Sources as nodes: what they are, where they are, and their visibilities."""

from __future__ import annotations

from imaging.measurement.expressions import Meq
from imaging.measurement.meow import context
from imaging.measurement.meow.parameters import Parameterization, is_number

__all__ = ["CorruptComponent", "FITSImageComponent", "GaussianSource", "Patch", "PointSource", "SkyComponent"]


class SkyComponent(Parameterization):
    """Something in a direction, with attributes, that has visibilities."""

    def __init__(self, ns, name, direction):
        super().__init__(ns, name)
        self.direction, self.attrs = direction, {}

    def __str__(self):
        return self.name

    def set_attr(self, name, value):
        self.attrs[name] = value

    def get_attr(self, name, default=None):
        return self.attrs.get(name, default)

    def radec(self):
        return self.direction.radec()

    def lmn(self, dir0=None):
        return self.direction.lmn(dir0)

    def get_solvables(self):
        return super().get_solvables() + self.direction.get_solvables()

    def is_polarized(self):
        return True

    def coherency(self, array=None, observation=None, nodes=None, **_):
        """What gives the visibility at the phase centre of a baseline: coherency(p, q)."""
        raise TypeError(f"{type(self).__name__} has no coherency")

    def visibilities(self, array=None, observation=None, nodes=None, **_):
        """vis(p, q) = K_p B_pq K_q^H."""
        array = context.get_array(array)
        nodes = self.ns.vis if nodes is None else nodes
        coherency = self.coherency(array, observation)
        if self.direction.is_phase_centre():
            for p, q in array.ifrs():
                nodes(p, q) << Meq.Identity(coherency(p, q))
            return nodes
        return self.direction.make_phase_shift(nodes, coherency, array)

    def corrupt(self, jones, per_station=True, label=None):
        """This component seen through a Station Jones, or through one Jones for all stations."""
        return CorruptComponent(self.ns0, self, label or getattr(jones, "name", "J"), jones, per_station)


class CorruptComponent(SkyComponent):
    """A component seen through Jones terms, of which the last is the outermost."""

    def __init__(self, ns, component, label, jones, per_station=True):
        super().__init__(ns, f"{component.name}:{label}", component.direction)
        self.component, self._jones = component, jones if per_station else lambda p: jones

    def visibilities(self, array=None, observation=None, nodes=None, **_):
        array = context.get_array(array)
        nodes = self.ns.vis if nodes is None else nodes
        inner = self.component.visibilities(array, observation)
        for p, q in array.ifrs():
            nodes(p, q) << Meq.MatrixMultiply(self._jones(p), inner(p, q), Meq.ConjTranspose(self._jones(q)))
        return nodes


class Patch(SkyComponent):
    """The sum of several components."""

    def __init__(self, ns, name, direction, components=()):
        super().__init__(ns, name, direction)
        self.components = list(components)

    def add(self, *components):
        self.components.extend(components)

    def visibilities(self, array=None, observation=None, nodes=None, **_):
        array = context.get_array(array)
        nodes = self.ns.vis if nodes is None else nodes
        inner = [component.visibilities(array, observation) for component in self.components]
        for p, q in array.ifrs():
            nodes(p, q) << (Meq.Add(*(vis(p, q) for vis in inner)) if inner else Meq.Constant(0))
        return nodes


class _Everywhere:
    """The same node for each baseline."""

    def __init__(self, node):
        self.node = node

    def __call__(self, p, q):
        return self.node

    def search(self, **criteria):
        return self.node.search(**criteria)


class PointSource(SkyComponent):
    """Stokes parameters in Jy, a spectral index or coefficients of one, and a rotation measure.

    I (nu/nu_0)^(a + b ln(nu/nu_0) + ...) and so Q, U, V; Q + iU turn by 2 RM (lambda^2 - lambda_0^2). freq0 in Hz.
    """

    def __init__(self, ns, name, direction, I=0.0, Q=None, U=None, V=None, spi=None, freq0=None, RM=None):
        super().__init__(ns, name, direction)
        self._polarized = any(not (x is None or (is_number(x) and x == 0)) for x in (Q, U, V))
        for letter, value in zip("IQUV", (I, Q, U, V), strict=True):
            self._add_parm(letter, 0.0 if value is None else value, tags=["flux"] if letter == "I" else ["flux", "pol"])
        self._indices = [] if spi is None else list(spi) if isinstance(spi, (list, tuple)) else [spi]
        for i, index in enumerate(self._indices):
            self._add_parm(f"spi{i or ''}", index, tags="spectrum")
        self._turned = RM is not None
        self._add_parm("RM", RM, tags="pol")
        self._freq0 = freq0

    def is_polarized(self):
        return self._polarized

    def _reference(self):
        freq0 = context.get_observation().freq0() if self._freq0 is None else self._freq0
        if is_number(freq0):
            return Meq.Constant(float(freq0))
        return freq0

    def norm_spectrum(self):
        """The spectrum, one at the reference frequency; None where there is none."""
        if not self._indices:
            return None
        ratio = self.ns.freqratio ** (Meq.Freq() / self._reference())
        exponent = self._parm("spi")
        for i in range(1, len(self._indices)):
            exponent = exponent + self._parm(f"spi{i}") * (Meq.Log(ratio) if i == 1 else Meq.Pow(Meq.Log(ratio), i))
        return self.ns.spectrum ** Meq.Pow(ratio, exponent)

    def stokes(self, letter):
        """A Stokes parameter, turned and with its spectrum."""
        spectrum = self.norm_spectrum()
        value = self._parm(letter)
        if letter in "QU" and self._turned:
            q, u = self._parm("Q"), self._parm("U")
            squares = Meq.Invert(Meq.Sqr(Meq.Freq())) - Meq.Invert(Meq.Sqr(self._reference()))
            turn = self.ns.turn ** (self._parm("RM") * squares * (2 * 299792458.0**2))
            cos, sin = Meq.Cos(turn), Meq.Sin(turn)
            value = q * cos - u * sin if letter == "Q" else q * sin + u * cos
        return value if spectrum is None else value * spectrum

    def brightness(self, observation=None, nodes=None, always_matrix=False):
        """I, or XX = I+Q, XY = U+iV ..., or RR = I+V, RL = Q+iU ..."""
        circular = context.get_observation(observation).circular()
        node = self.ns.brightness if nodes is None else nodes(self.name)
        if node.initialized():
            return node
        if not self._polarized and not always_matrix:
            return node << Meq.Identity(self.stokes("I"))
        i, q, u, v = (self.stokes(letter) for letter in "IQUV")
        a, b, c = (v, q, u) if circular else (q, u, v)
        return node << Meq.Matrix22(i + a, Meq.ToComplex(b, c), Meq.ToComplex(b, -c), i - a)

    def coherency(self, array=None, observation=None, nodes=None, **_):
        return _Everywhere(self.brightness(observation))


class GaussianSource(PointSource):
    """A Gaussian: FWHM of the major axis as its parts along l and m, ratio minor/major; or size and position angle."""

    def __init__(self, ns, name, direction, I=0.0, Q=None, U=None, V=None, spi=None, freq0=None, RM=None, lproj=None,
                 mproj=None, ratio=None, size=None, phi=0):  # fmt: skip
        super().__init__(ns, name, direction, I, Q, U, V, spi, freq0, RM)
        if lproj is None:
            major, minor = size if isinstance(size, (list, tuple)) else (size, size)
            lproj, mproj, ratio = major * Meq.Sin(phi), major * Meq.Cos(phi), minor / major
        for part, value in zip(("lproj", "mproj", "ratio"), (lproj, mproj, ratio), strict=True):
            self._add_parm(part, value, tags="shape")

    def shape(self):
        return [self._parm(part) for part in ("lproj", "mproj", "ratio")]

    def shape_static(self):
        """Numbers, or None where they are not."""
        numbers = [self._get_constant(part) for part in ("lproj", "mproj", "ratio")]
        return None if None in numbers else numbers

    def coherency(self, array=None, observation=None, nodes=None, **_):
        array = context.get_array(array)
        nodes = self.ns.coherency if nodes is None else nodes
        uvw, brightness = array.uvw_ifr(), self.brightness(observation)
        centre, shape = Meq.Constant([[0.0, 0.0, 1.0]]), Meq.Composer(*self.shape(), dims=[1, 3])
        for p, q in array.ifrs():
            nodes(p, q) ** Meq.PSVTensor(centre, brightness, uvw(p, q), shape)
        return nodes


class FITSImageComponent(SkyComponent):
    """A FITS image in Jy/pixel, where its header says; fluxscale multiplies it. It is degridded, not made of nodes."""

    def __init__(self, ns, name, filename, direction=None, cutoff=1.0, fluxscale=None):
        super().__init__(ns, name, direction or context.get_dir0())
        self.filename, self.fluxscale, self.options = filename, fluxscale, {}

    def set_options(self, **options):
        """Those of upstream's transform, such as fft_pad_factor, which degridding does not need."""
        self.options |= options

    def array_source(self):
        """This component for arrays: it makes its own visibilities."""
        from imaging.measurement.sky.image import FitsImageSky

        (facet,) = FitsImageSky(str(self.filename)).source_list()
        facet.name, facet.attrs = self.name, self.attrs
        if self.fluxscale is not None:
            facet.pixels = facet.pixels * self.fluxscale
        return facet

    def coherency(self, array=None, observation=None, nodes=None, **_):
        raise TypeError(f"{self.name} is an image, which is degridded by MeqMaker and has no nodes of visibilities")
