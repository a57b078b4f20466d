"""Gains, bandpasses and leakages in time and frequency."""

import numpy as np
import pytest

from imaging.errors import ImagingError
from imaging.measurement import contracts
from imaging.measurement.jones.bandpass import Bandpass
from imaging.measurement.jones.gains import ComplexGains
from imaging.measurement.jones.leakage import Leakage
from imaging.measurement.meqmaker import MeqMaker


@pytest.fixture
def array(observe):
    """array(module, times=0, **observation): (station, time, chan, …) of all tiles in turn."""

    def make(module, times=0, seed=0, stations=100, span=3, **more):
        observation = observe(stations=stations, times=span, **more)
        maker = MeqMaker(context=observation, seed=seed)
        maker.add_uv_jones("G", modules=module)
        jones = maker.get_uvjones_nodes("G")
        parts = []
        for _, tile in observation.tiles(times):
            part = contracts.station_array(jones, tile)[0]
            parts.append(np.broadcast_to(part, (stations, len(tile.time), *part.shape[2:])))
        return np.concatenate(parts, 1)

    return make


def test_everything_at_once_is_the_same_in_any_tiles(array):
    module = ComplexGains(0.1, 0.5, 0.3, 1e-9, amplitude_wander=0.1, drift=0.2, amplitude_drift=0.1, ripple=0.2,
                          amplitude_ripple=0.1, distribution="even")  # fmt: skip
    whole = array(module, span=5, stations=5)
    np.testing.assert_array_equal(array(module, times=1, span=5, stations=5), whole)
    np.testing.assert_array_equal(array(module, times=2, span=5, stations=5), whole)
    assert np.abs(array(module, span=5, stations=5, seed=1) - whole).max() > 0.1
    assert whole.shape == (5, 5, 6, 2)


def test_each_part_has_its_size(array):
    def size(**options):
        return array(ComplexGains(**options), freq=np.linspace(1.3e9, 1.5e9, 101))

    constant = size(amplitude=0.2)
    np.testing.assert_array_equal(constant[:, :1, :1], constant[:, 1:2, 3:4])
    assert np.abs(constant[:, 0, 0]).std() == pytest.approx(0.2, rel=0.2)
    even = size(amplitude=0.2, distribution="even")
    assert 0.8 < np.abs(even).min() < 0.81
    assert 1.19 < np.abs(even).max() < 1.2
    assert np.angle(size(wander=0.2)).std() == pytest.approx(0.2 / np.sqrt(2), rel=0.2)
    drifting = size(drift=0.2, correlation=1000.0)
    assert np.angle(drifting[:, :, 0]).std() == pytest.approx(0.2, rel=0.2)
    assert abs(np.corrcoef(*np.angle(drifting[:, :2, 0, 0]).T)[0, 1]) < 0.3  # 3600 s apart
    close = size(drift=0.2, correlation=100000.0)
    assert np.abs(np.diff(np.angle(close), axis=1)).max() < 0.05
    rippled = size(ripple=0.1, order=2)
    np.testing.assert_allclose(np.diff(np.angle(rippled), 3, axis=2), 0, atol=1e-13)
    assert np.angle(rippled).std() == pytest.approx(0.1, rel=0.3)
    np.testing.assert_allclose(np.abs(rippled), 1, rtol=1e-14)
    np.testing.assert_allclose(size(mean=2.0, mean_phase=0.3), 2 * np.exp(0.3j), rtol=1e-14)


def test_feeds_and_stations_can_be_chosen(array):
    together = array(ComplexGains(0.1, 0.5, feeds="together"), stations=5)
    np.testing.assert_array_equal(together[..., 0], together[..., 1])
    apart = array(ComplexGains(0.1, 0.5), stations=5)
    assert np.abs(apart[..., 0] - apart[..., 1]).min() > 1e-3
    some = array(ComplexGains(0.1, 0.5, stations=("E01", "W01")), stations=5)
    np.testing.assert_array_equal(np.abs(some - 1).max((1, 2, 3)) > 0, [False, True, True, False, False])
    with pytest.raises(ImagingError, match="no station X"):
        array(ComplexGains(stations=("X",)))
    with pytest.raises(ImagingError, match="cannot vary"):
        ComplexGains(period=(10.0, 5.0))


@pytest.mark.parametrize("shape", ["polynomial", "spline"])
def test_bandpasses_are_smooth_and_belong_to_frequencies(array, shape):
    freq = np.linspace(1.3e9, 1.5e9, 64)
    module = Bandpass(0.05, 0.1, shape=shape, band=(1.2e9, 1.6e9))
    whole = array(module, freq=freq)
    assert whole.shape == (100, 3, 64, 2)
    np.testing.assert_array_equal(whole[:, 0], whole[:, 2])
    assert np.abs(np.diff(whole, axis=2)).max() < 0.1
    assert 0.02 < np.abs(whole).std() < 0.08
    np.testing.assert_allclose(array(module, freq=freq[10:20]), whole[:, :, 10:20], rtol=1e-13)


def test_edges_of_bandpasses_and_their_delays(array):
    freq = np.linspace(1.0e9, 2.0e9, 101)
    flat = array(Bandpass(edge=0.1, edge_level=0.2), freq=freq, stations=5)[0, 0, :, 0]
    np.testing.assert_allclose(flat[10:-10], 1, rtol=1e-14)
    np.testing.assert_allclose(flat[[0, -1]], 0.2, rtol=1e-14)
    np.testing.assert_allclose(flat[[5, -6]], 0.6, rtol=1e-13)
    assert (np.diff(np.abs(flat[:11])) > 0).all()
    delayed = array(Bandpass(delay=1e-10), freq=freq)
    slopes = np.diff(np.unwrap(np.angle(delayed), axis=2), axis=2) / (2 * np.pi * 1e7)
    np.testing.assert_allclose(slopes, slopes[:, :, :1] + 0 * slopes, atol=1e-22)
    assert slopes.std() == pytest.approx(1e-10, rel=0.2)
    with pytest.raises(ImagingError, match="no such bandpass"):
        Bandpass(shape="spline", order=1)


def test_leakage_by_feed_and_frequency(array):
    fixed = array(Leakage(0.04, imaginary=0.01), stations=5)[0, 0, 0]
    np.testing.assert_allclose(fixed, [[1, 0.04 + 0.01j], [-0.04 - 0.01j, 1]], rtol=1e-14)
    apart = array(Leakage(rms=0.02, feeds="apart"))[:, 0, 0]
    assert np.abs(apart[:, 0, 1] + apart[:, 1, 0]).min() > 1e-4
    assert apart[:, 0, 1].real.std() == pytest.approx(0.02, rel=0.3)
    rippled = array(Leakage(ripple=0.02, order=2), freq=np.linspace(1.3e9, 1.5e9, 101))
    assert rippled[..., 0, 1].imag.std() == pytest.approx(0.02, rel=0.3)
    np.testing.assert_allclose(np.diff(rippled, 3, axis=2), 0, atol=1e-15)
    np.testing.assert_array_equal(rippled[..., 0, 0], 1)
