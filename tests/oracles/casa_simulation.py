"""A small simulated MeasurementSet for the CASA goldens: VLA D array, 1.4 GHz, an elongated, rotated beam.

Needs casatools (run with CASA's python); never imported by the tests. The spectral window is labelled LSRK so that
CASA converts no frequencies. The sky is written as apparent flux, without a primary beam and without the w-term.
"""

from __future__ import annotations

import numpy as np
from casatools import ctsys, measures, simulator, table

CELL = np.pi / 180 / 3600
#: offset east and north (arcsec), flux (Jy), FWHM major and minor (arcsec), PA (deg); size 0 is a point.
SKY = [
    (180.0, -132.0, 1.0, 0, 0, 0),
    (-227.0, 301.0, 0.35, 0, 0, 0),
    (-396.0, -318.0, 0.12, 0, 0, 0),
    (48.0, 264.0, 0.06, 0, 0, 0),
    (-60.0, -72.0, 1.5, 210, 120, 40),
    (330.0, 250.0, 0.5, 150, 60, -60),
]
NEGATIVE = (-360.0, 60.0, -0.4, 0, 0, 0)
#: the same with a spectral index of its own for each, 1.4 GHz being the lowest of several channels
WIDEBAND = [
    (120.0, -96.0, 1.0, 0, 0, 0, -0.8),
    (-180.0, 204.0, 0.35, 0, 0, 0, 0.6),
    (-240.0, -216.0, 0.12, 0, 0, 0, -2.0),
    (-36.0, 12.0, 1.5, 150, 90, 40, -0.3),
]


def visibilities(uvw, freq, sky, index=-0.7):
    """V(u, v) = sum of S exp(+2 pi i (u l + v m)) times the Gaussian's transform, shape (row, chan)."""
    u, v = (uvw[:, i, None] * freq / 299792458.0 for i in (0, 1))
    vis = np.zeros(u.shape, complex)
    for east, north, flux, major, minor, pa, *own in sky:
        pa = np.radians(pa)
        along = np.sin(pa) * u + np.cos(pa) * v
        across = np.cos(pa) * u - np.sin(pa) * v
        taper = np.exp(-(np.pi**2) / (4 * np.log(2)) * CELL**2 * ((major * along) ** 2 + (minor * across) ** 2))
        phase = 2j * np.pi * CELL * (u * east + v * north)
        vis += flux * (freq / freq.mean()) ** (own[0] if own else index) * taper * np.exp(phase)
    return vis


def observe(path, channels=3, width_mhz=20.0, integration=300, start=1.5, stop=4.5):
    """An empty MS of the VLA's D array; declination +10 deg, hour angles in hours."""
    antennas = np.loadtxt(ctsys.resolve("alma/simmos/vla.d.cfg"), usecols=(0, 1, 2, 3))
    me, sm = measures(), simulator()
    sm.open(path)
    sm.setconfig(
        telescopename="VLA",
        x=antennas[:, 0],
        y=antennas[:, 1],
        z=antennas[:, 2],
        dishdiameter=antennas[:, 3],
        mount=["alt-az"],
        antname=[f"A{i:02d}" for i in range(len(antennas))],
        coordsystem="global",
        referencelocation=me.observatory("VLA"),
    )
    sm.setspwindow(
        spwname="L",
        freq="1.4GHz",
        deltafreq=f"{width_mhz}MHz",
        freqresolution=f"{width_mhz}MHz",
        nchannels=channels,
        stokes="RR LL",
    )
    sm.setfeed("perfect R L")
    sm.setfield(sourcename="sim", sourcedirection=me.direction("J2000", "6h0m0s", "10d0m0s"))
    epoch = me.epoch("utc", "2024/03/01/00:00:00")
    sm.settimes(integrationtime=f"{integration}s", usehourangle=True, referencetime=epoch)
    sm.setlimits(shadowlimit=0.01, elevationlimit="8deg")
    sm.setauto(0.0)
    sm.observe("sim", "L", starttime=f"{start}h", stoptime=f"{stop}h")
    sm.done()
    tb = table()
    tb.open(f"{path}/SPECTRAL_WINDOW", nomodify=False)
    tb.putcol("MEAS_FREQ_REF", np.array([1], np.int32))
    tb.close()


def fill(path, sky, noise=0.5, seed=1, unequal_weights=False):
    """Write the sky and Gaussian noise (Jy, per hand and channel) into DATA; WEIGHT is 1, or drawn per row and hand."""
    rng = np.random.default_rng(seed)
    tb = table()
    tb.open(f"{path}/SPECTRAL_WINDOW")
    freq = tb.getcol("CHAN_FREQ")[:, 0]
    tb.close()
    tb.open(path, nomodify=False)
    vis = visibilities(tb.getcol("UVW").T, freq, sky).T[None].repeat(2, 0)
    vis += noise * (rng.standard_normal(vis.shape) + 1j * rng.standard_normal(vis.shape))
    tb.putcol("DATA", vis)
    weight = np.ones((2, vis.shape[2]))
    if unequal_weights:
        weight = np.round(rng.uniform(0.25, 2.0, weight.shape) * np.array([[1.0], [1.5]]), 3)
    tb.putcol("WEIGHT", weight)
    tb.putcol("SIGMA", 1 / np.sqrt(weight))
    tb.close()
    return freq


def make_ms(path, negative=False, sky=SKY, **how):
    """Observe, fill, and return the path; `how` goes to `observe` and `fill`."""
    to_fill = {k: how.pop(k) for k in ("noise", "seed", "unequal_weights") if k in how}
    observe(path, **how)
    fill(path, sky + [NEGATIVE] * negative, **to_fill)
    return path
