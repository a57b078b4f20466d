"""Which data channels make which plane of the image."""

import numpy as np
import pytest

from imaging.algorithms.spectral import output_channels
from imaging.errors import ImagingError

FREQ = 1e9 + 1e6 * np.arange(8)
WIDTH = np.full(8, 1e6)


def test_mfs_takes_everything():
    freq, width, (first, second) = output_channels([FREQ, FREQ + 8e6], [WIDTH, WIDTH], "mfs")
    assert freq == pytest.approx((1e9 + 7.5e6,))
    assert width == pytest.approx((16e6,))
    assert not first.any()
    assert not second.any()


def test_a_cube_has_the_channels_of_the_data():
    freq, width, (plane,) = output_channels([FREQ], [WIDTH], "cube")
    assert freq == pytest.approx(tuple(FREQ))
    assert width == pytest.approx((1e6,) * 8)
    np.testing.assert_array_equal(plane, np.arange(8))


def test_decreasing_data_make_an_increasing_cube():
    freq, _, (plane,) = output_channels([FREQ[::-1]], [-WIDTH], "cube")
    assert freq == pytest.approx(tuple(FREQ))
    np.testing.assert_array_equal(plane, np.arange(8)[::-1])


@pytest.mark.parametrize(
    ("keywords", "freq", "plane"),
    [
        ({"nchan": 2, "start": 3}, FREQ[3:5], [-1, -1, -1, 0, 1, -1, -1, -1]),
        ({"nchan": 3, "width": 2}, [1.0005e9, 1.0025e9, 1.0045e9], [0, 0, 1, 1, 2, 2, -1, -1]),
        ({"nchan": 2, "start": "1.002GHz", "width": "2MHz"}, [1.002e9, 1.004e9], [-1, 0, 0, 1, 1, -1, -1, -1]),
        ({"width": -1}, FREQ[::-1], [7, 6, 5, 4, 3, 2, 1, 0]),
    ],
)
def test_start_and_width(keywords, freq, plane):
    got, _, (channels,) = output_channels([FREQ], [WIDTH], "cube", **keywords)
    assert got == pytest.approx(tuple(freq))
    np.testing.assert_array_equal(channels, plane)


def test_a_cube_beside_the_data_is_refused():
    with pytest.raises(ImagingError, match="No channel of the data"):
        output_channels([FREQ], [WIDTH], "cube", nchan=2, start="2GHz")
    for start in ("0.9GHz", "2GHz"):
        with pytest.raises(ImagingError, match="start is outside the data"):
            output_channels([FREQ], [WIDTH], "cube", start=start)
