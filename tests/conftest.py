"""Fixtures of all tests: the shared data where present, and small simulated MeasurementSets."""

import os
import tarfile
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
TINY_CENTRE = (np.radians(202.784), np.radians(30.509))
TINY_FREQ = 1.4e9 + 4e6 * np.arange(4)


@pytest.fixture(scope="session")
def data() -> Path:
    """Folder of real observations and their truth files."""
    path = Path(os.environ.get("FRINGEFLOW_DATA", ROOT.parent / "shared" / "data"))
    if not path.is_dir():
        pytest.skip(f"no data at {path}: point FRINGEFLOW_DATA at the folder that holds real/ and truth/")
    return path


@pytest.fixture(scope="session")
def unpacked(data, tmp_path_factory):
    """unpacked("vla_3c286_L") is the path of that MeasurementSet, unpacked once a session: do not write to it."""
    done = {}

    def unpack(name: str) -> Path:
        name = name.removesuffix(".ms")
        if name not in done:
            archives = sorted(data.glob(f"*/{name}.ms.tar.gz")) + sorted(data.glob(f"*/{name}.tgz"))
            if not archives:
                pytest.skip(f"no archive of {name} below {data}")
            folder = tmp_path_factory.mktemp(name)
            with tarfile.open(archives[0]) as tar:
                tar.extractall(folder, filter="data")
            done[name] = sorted(folder.glob("*.ms"))[0]
        return done[name]

    return unpack


@pytest.fixture(scope="session")
def tiny_sky():
    """Components in tiny_ms: 1 Jy at the centre, a polarised 0.5 Jy point and a Gaussian off it."""
    from imaging.algorithms.components import Component
    from imaging.image import lm_to_radec

    arcsec = np.radians(1 / 3600)
    ra, dec = lm_to_radec(np.array([0, 180, -240]) * arcsec, np.array([0, 120, 60]) * arcsec, TINY_CENTRE)
    return [
        Component("centre", ra[0], dec[0], (1.0, 0, 0, 0)),
        Component("polarised", ra[1], dec[1], (0.5, 0.1, -0.05, 0.02)),
        Component("extended", ra[2], dec[2], (0.8, 0, 0, 0), major=40 * arcsec, minor=20 * arcsec, pa=0.5),
    ]


@pytest.fixture(scope="session")
def make_ms(tiny_sky):
    """make_ms(path, edit=None, …): a simulated MeasurementSet of a few hundred rows, written in under 0.1 s.

    `edit(columns)` may change the arguments of write_ms (antenna1, vis (row, chan, corr), weight, flag, …) in
    place before they are written; `rms` is the noise (Jy) of each visibility's real and imaginary part. The
    centre is TINY_CENTRE, 13h31m08.2 +30d30m32; longest baseline about 1 km (D array).
    """
    from imaging.algorithms import simulation
    from imaging.io.ms_writer import write_ms

    def make(path, edit=None, *, nant=8, ntime=6, freq=TINY_FREQ, corr_type=("RR", "RL", "LR", "LL"), rms=0.0,
             components=None, seed=1) -> Path:  # fmt: skip
        positions, names = simulation.vla_antennas("d", nant)
        hours = np.linspace(-2.5, 2.5, ntime)
        time = simulation.time_of_hour_angle(hours * np.pi / 12, TINY_CENTRE[0], simulation.VLA_LONGITUDE, 59000.0)
        p, q, time, uvw = simulation.baseline_tracks(positions, time, TINY_CENTRE)
        vis = simulation.predict_components(
            uvw, freq, tiny_sky if components is None else components, TINY_CENTRE, corr_type
        )
        vis += simulation.thermal_noise(vis.shape, rms, np.random.default_rng(seed))
        columns = {
            "antenna_positions": positions, "antenna_names": names, "antenna1": p, "antenna2": q, "time": time,
            "uvw": uvw, "vis": vis, "freq": freq, "phase_centre": TINY_CENTRE, "corr_type": corr_type,
            "weight": np.ones((len(p), len(corr_type))), "flag": np.zeros(vis.shape, bool),
        }  # fmt: skip
        if edit is not None:
            edit(columns)
        return write_ms(path, **columns)

    return make


@pytest.fixture(scope="session")
def tiny_ms(make_ms, tmp_path_factory) -> Path:
    """A noiseless MeasurementSet of tiny_sky: 8 antennas, 6 times, 4 channels, RR RL LR LL. Do not write to it."""
    return make_ms(tmp_path_factory.mktemp("tiny") / "tiny.ms")


@pytest.fixture(scope="session")
def spoiled(tmp_path_factory):
    """27 antennas, noise, and gains of 10 % and 30 deg that change within hours: `ms`, `true_ms` of the same noise
    without them, `gains` (station, time, feed) and `times`. Do not write to the sets."""
    from types import SimpleNamespace

    from imaging.algorithms import simulation
    from imaging.algorithms.components import Component
    from imaging.image import lm_to_radec
    from imaging.io.ms_writer import write_ms
    from imaging.measurement import contracts
    from imaging.measurement.jones.gains import ComplexGains
    from imaging.measurement.meqmaker import MeqMaker
    from imaging.measurement.tiles import Observation

    folder, rms, freq, hands = tmp_path_factory.mktemp("spoiled"), 0.1, 1.4e9 + 8e6 * np.arange(2), ("RR", "LL")
    positions, names = simulation.vla_antennas("c", 27)
    hours = np.linspace(-3, 3, 12) * np.pi / 12
    time = simulation.time_of_hour_angle(hours, TINY_CENTRE[0], simulation.VLA_LONGITUDE, 59000.0)
    p, q, time, uvw = simulation.baseline_tracks(positions, time, TINY_CENTRE)
    l, m = np.radians([[60, -150, 130], [-40, 90, 170]]) / 3600
    ra, dec = lm_to_radec(l, m, TINY_CENTRE)
    sky = [Component(f"s{i}", ra[i], dec[i], (flux, 0, 0, 0)) for i, flux in enumerate((1.0, 0.4, 0.1))]
    vis = simulation.predict_components(uvw, freq, sky, TINY_CENTRE, ("RR", "RL", "LR", "LL"))[..., [0, 3]]
    noise = simulation.thermal_noise(vis.shape, rms, np.random.default_rng(3))
    observation = Observation(stations=tuple(names), antenna1=p, antenna2=q, time=time, uvw=uvw, freq=freq,
                              phase_centre=TINY_CENTRE, feeds="circular", positions=positions)  # fmt: skip
    maker = MeqMaker(context=observation, seed=5)
    ten_degrees = np.radians(10)
    maker.add_uv_jones("G", modules=ComplexGains(amplitude=0.1, phase=3 * ten_degrees, amplitude_wander=0.03,
                                                 wander=ten_degrees, period=(2e4, 6e4)))  # fmt: skip
    _, tile = next(observation.tiles())
    gains = contracts.station_array(maker.get_uvjones_nodes("G"), tile)[0][:, :, 0]
    t = np.unique(time, return_inverse=True)[1]
    columns = {
        "antenna_positions": positions, "antenna_names": names, "antenna1": p, "antenna2": q, "time": time,
        "uvw": uvw, "freq": freq, "phase_centre": TINY_CENTRE, "corr_type": hands,
        "weight": np.full((len(p), 2), rms**-2),
    }  # fmt: skip
    spoilt = (gains[p, t] * gains[q, t].conj())[:, None] * vis
    return SimpleNamespace(
        ms=write_ms(folder / "spoiled.ms", vis=spoilt + noise, **columns), gains=gains, times=np.unique(time),
        true_ms=write_ms(folder / "true.ms", vis=vis + noise, **columns),
    )  # fmt: skip
