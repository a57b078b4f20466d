"""The compiled transforms against numpy's, and the way round them."""

import numpy as np
import pytest

from imaging.algorithms import fourier


@pytest.fixture(params=["compiled", "scipy.fft"])
def transforms(request, monkeypatch):
    if request.param == "compiled":
        assert fourier._pocketfft() is not None, "scipy has changed inside: every job pays for the import of scipy.fft"
    else:
        monkeypatch.setattr(fourier, "_pocketfft", lambda: None)
    return fourier


@pytest.mark.parametrize("shape", [(6, 9), (8, 10)])
def test_real_transforms(transforms, shape):
    plane = np.random.default_rng(1).normal(size=(5, 7))
    spectrum = transforms.rfft2(plane, shape)
    np.testing.assert_allclose(spectrum, np.fft.rfft2(plane, shape), atol=1e-12)
    back = transforms.irfft2(spectrum, shape)
    np.testing.assert_allclose(back[:5, :7], plane, atol=1e-12)
    assert back.shape == shape


def test_fast_lengths(transforms):
    assert [transforms.next_fast_len(n, real=True) for n in (1, 17, 97)] == [1, 18, 100]
    assert transforms.next_fast_len(97) == 98
