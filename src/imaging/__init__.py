"""Fringeflow: radio-synthesis imaging as file-producing stages."""

from importlib import import_module

_EXPORTS = {
    "Config": "config",
    "ImagingError": "errors",
    "Image": "image",
    "Grid": "image",
    "Beam": "image",
    "Names": "names",
    "SerialImager": "serial_imager",
    "Deconvolver": "deconvolver",
    "Normalizer": "normalizer",
    "PartImager": "part_imager",
    "AutoMaskConfig": "automask",
    "AutoMaskState": "automask",
    "automask_plane": "automask",
    "load_image": "io.images",
    "save_image": "io.images",
}
__all__ = sorted(_EXPORTS)
__version__ = "0.1.0"


def __getattr__(name: str):
    if name in _EXPORTS:
        return getattr(import_module(f"imaging.{_EXPORTS[name]}"), name)
    raise AttributeError(f"module 'imaging' has no attribute {name!r}")
