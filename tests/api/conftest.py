"""A small image by the API, in a folder of the test's."""

import pytest

from imaging.serial_imager import SerialImager

SMALL = {"imsize": 64, "cell": "12arcsec", "weighting": "briggs", "robust": 0.5, "niter": 60, "progress": False}


@pytest.fixture
def imager(tmp_path, monkeypatch, tiny_ms):
    """imager(niter=..., ...): a SerialImager of the tiny set, from tclean's keywords, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def make(**keywords) -> SerialImager:
        return SerialImager(**({"vis": str(tiny_ms), "imagename": "my"} | SMALL | keywords))

    return make
