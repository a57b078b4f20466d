"""Record what CASA's simulator predicts: python make_casa_simulator.py, of a Python with casatools 6.7.0.31.

Writes casa_simulator.npz: an observation of antennas on long baselines, so that w(n - 1) is many turns, and the
visibilities of each source (`sm.predict` of a component list, single precision) in four correlations of circular
and of linear feeds. Gaussians are at the phase centre: elsewhere CASA's lie in the plane tangent to the sphere at the
source, not in the plane of the image. CASA converts no frequencies: the spectral window is labelled LSRK.
"""

import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
from casatools import componentlist, measures, simulator, table

CENTRE = (1.2, 0.6)  # rad
FREQ, WIDTH, CHANNELS = 1.3e9, 3.0e7, 4
ARCSEC = np.pi / 648000
POSITIONS = np.array([  # ITRF m, up to 24 km apart, of all heights
    [-1601185.4, -5041977.5, 3554875.9], [-1604900.2, -5042135.1, 3552940.6], [-1597899.4, -5044068.2, 3554432.2],
    [-1601162.6, -5042003.0, 3554915.5], [-1614234.1, -5027541.0, 3561213.2], [-1590380.1, -5043582.7, 3545390.8],
])  # fmt: skip
#: l, m (rad, before the projection), I, Q, U, V (Jy), spectral index, FWHM major, minor (arcsec), PA (rad)
SOURCES = np.array([
    [0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    [0.02, 0.015, 0.8, 0.2, -0.1, 0.05, -0.7, 0.0, 0.0, 0.0],
    [-0.03, 0.01, 1.5, -0.3, 0.4, -0.2, 1.2, 0.0, 0.0, 0.0],
    [0.0, 0.0, 0.6, 0.0, 0.1, 0.0, 0.0, 2.0, 0.7, 0.5],
    [0.0, 0.0, 0.9, 0.1, 0.0, 0.03, -0.5, 3.0, 1.5, -1.1],
])  # fmt: skip
FEEDS = {"circular": ("perfect R L", "RR RL LR LL"), "linear": ("perfect X Y", "XX XY YX YY")}


def direction(l, m):
    """Right ascension and declination (rad) of direction cosines: SIN projection about CENTRE."""
    n, (ra, dec) = np.sqrt(1 - l**2 - m**2), CENTRE
    return ra + np.arctan2(l, n * np.cos(dec) - m * np.sin(dec)), np.arcsin(m * np.cos(dec) + n * np.sin(dec))


def observe(path, feeds):
    """An empty MS: four times, two hours apart."""
    me, sm = measures(), simulator()
    sm.open(path)
    sm.setconfig(
        telescopename="VLA", x=POSITIONS[:, 0], y=POSITIONS[:, 1], z=POSITIONS[:, 2],
        dishdiameter=[25.0] * len(POSITIONS), mount=["alt-az"], antname=[f"A{i}" for i in range(len(POSITIONS))],
        coordsystem="global", referencelocation=me.observatory("VLA"),
    )  # fmt: skip
    sm.setspwindow(
        spwname="L", freq=f"{FREQ}Hz", deltafreq=f"{WIDTH}Hz", freqresolution=f"{WIDTH}Hz", nchannels=CHANNELS,
        stokes=FEEDS[feeds][1],
    )  # fmt: skip
    sm.setfeed(FEEDS[feeds][0])
    sm.setfield(sourcename="sim", sourcedirection=me.direction("J2000", f"{CENTRE[0]}rad", f"{CENTRE[1]}rad"))
    epoch = me.epoch("utc", "2024/03/01/00:00:00")
    sm.settimes(integrationtime="7200s", usehourangle=True, referencetime=epoch)
    sm.setlimits(shadowlimit=0.01, elevationlimit="8deg")
    sm.setauto(0.0)
    sm.observe("sim", "L", starttime="-4h", stoptime="4h")
    sm.done()
    write(f"{path}/SPECTRAL_WINDOW", MEAS_FREQ_REF=np.array([1], np.int32))


def write(path, **columns):
    tb = table()
    tb.open(path, nomodify=False)
    for name, value in columns.items():
        tb.putcol(name, value)
    tb.close()


def read(path, *columns):
    tb = table()
    tb.open(path)
    found = [tb.getcol(name).T for name in columns]
    tb.close()
    return found if len(columns) > 1 else found[0]


def predict(path, sources):
    """DATA (row, chan, corr) of the sources, without a primary beam."""
    cl, me, sm = componentlist(), measures(), simulator()
    for l, m, i, q, u, v, index, major, minor, pa in sources:
        ra, dec = direction(l, m)
        shape = {"shape": "point"}
        if major:
            shape = {"shape": "Gaussian", "majoraxis": f"{major}arcsec", "minoraxis": f"{minor}arcsec",
                     "positionangle": f"{pa}rad"}  # fmt: skip
        cl.addcomponent(
            flux=[i, q, u, v], fluxunit="Jy", polarization="Stokes", freq=["LSRK", f"{FREQ}Hz"],
            dir=me.direction("J2000", f"{ra:.17g}rad", f"{dec:.17g}rad"), spectrumtype="spectral index", index=index,
            **shape,
        )  # fmt: skip
    listed = f"{path}.cl"
    cl.rename(listed)
    cl.done()
    sm.openfromms(path)
    sm.setvp(dovp=False)
    sm.predict(complist=listed)
    sm.done()
    shutil.rmtree(listed)
    return read(path, "DATA")


def predict_surely(path, sources, times=9):
    """The median of several predictions.

    Some predictions, and others on each machine, have cross hands that are NaN or belong to another brightness: this
    CASA reads memory that it never set. The rest agree to the last bit.
    """
    several = np.array([predict(path, sources) for _ in range(times)])
    median = np.nanmedian(several.real, 0) + 1j * np.nanmedian(several.imag, 0)
    assert (np.array([(one == median).all() for one in several]).sum()) > times / 2
    return median


def main():
    os.chdir(tempfile.mkdtemp())
    recorded = {"sources": SOURCES, "centre": CENTRE, "positions": POSITIONS}
    for feeds in FEEDS:
        observe(f"{feeds}.ms", feeds)
        vis = [predict_surely(f"{feeds}.ms", SOURCES[s : s + 1]) for s in range(len(SOURCES))]
        recorded[feeds] = np.array(vis, np.complex64)
    uvw, time, p, q = read("circular.ms", "UVW", "TIME", "ANTENNA1", "ANTENNA2")
    recorded |= {"uvw": uvw, "time": time, "antenna1": p, "antenna2": q}
    recorded["freq"] = read("circular.ms/SPECTRAL_WINDOW", "CHAN_FREQ")[0]
    return recorded


if __name__ == "__main__":
    path = Path(__file__).resolve().with_name("casa_simulator.npz")
    np.savez_compressed(path, **main())
