"""What authors of deconvolvers test theirs with; the built-in ones pass it too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from imaging.contracts import Channel, Meta, checked, private, private_psf
from imaging.errors import ImagingError

SHAPE = (96, 80)
SOURCE = (40, 50)
START = 7
LIMIT = 400
PLANES = ((1, 1), (3, 1), (1, 2), (2, 2))


def example_psf(shape: tuple[int, int] = SHAPE) -> np.ndarray:
    """Main lobe and rings of an instrument with gaps: (y, x), peak exactly 1 at [y//2, x//2]."""
    v, u = np.fft.fftfreq(shape[0])[:, None], np.fft.fftfreq(shape[1])[None, :]
    radius = np.hypot(v, u)
    plane = np.fft.fftshift(np.fft.ifft2((radius < 0.2) * (radius > 0.015) * (1 + (radius < 0.08))).real)
    return plane / plane[shape[0] // 2, shape[1] // 2]


def example(nchan: int = 1, npol: int = 1, noise: float = 1e-3) -> tuple[np.ndarray, np.ndarray, Meta]:
    """residual, psf and meta for a point of 1 Jy (and as much less in later planes) at y 40, x 50."""
    from imaging.algorithms.spectral_fitting import SpectralFitter

    psf = np.repeat(example_psf()[None], nchan, axis=0)
    shift = SOURCE[0] - SHAPE[0] // 2, SOURCE[1] - SHAPE[1] // 2
    point = np.roll(psf[0], shift, (0, 1))
    flux = fluxes(nchan, npol)
    residual = flux[:, :, None, None] * point + noise * np.random.default_rng(1).normal(size=(nchan, npol, *SHAPE))
    freq, weight = 1e9 * (1 + 0.1 * np.arange(nchan)), np.ones(nchan)
    meta = Meta(
        iteration_number=START, max_iterations=START + LIMIT, gain=0.1, mgain=0.9, final_threshold=0.02,
        channels=[Channel(f, w) for f, w in zip(freq, weight, strict=True)], rms=np.full((nchan, npol), noise),
        mask=np.ones(residual.shape, bool), pb=np.ones((nchan, 1, *SHAPE)), plane_thresholds=np.zeros((nchan, npol)),
        spectral_fitter=SpectralFitter("none", 0, freq, weight), options={"scales": [0.0], "smallscalebias": 0.0},
    )  # fmt: skip
    return residual, psf, meta


def fluxes(nchan: int, npol: int) -> np.ndarray:
    return 1 - 0.2 * np.arange(nchan)[:, None] - 0.2 * np.arange(npol)


def check_deconvolver(
    deconvolve: Callable[..., dict], *, options: dict[str, Any] | None = None, single_plane: bool = False
) -> list[str]:
    """Call `deconvolve` on small images and look whether it keeps the contract (`contracts.Deconvolver`).

    options : meta.options of these calls. single_plane : only ask for one channel and one polarisation.
    Returns what it says it cannot do (by NotImplementedError, for several planes). Raises AssertionError naming all
    that is wrong.
    """
    wrong, cannot = [], []
    for nchan, npol in PLANES[:1] if single_plane else PLANES:
        case = f"{nchan} channels, {npol} polarisations"
        try:
            wrong += [f"{case}: {text}" for text in _try_planes(deconvolve, nchan, npol, options or {})]
        except (NotImplementedError, ImagingError) as error:
            if (nchan, npol) == (1, 1) or (isinstance(error, ImagingError) and not _says_no(error)):
                raise AssertionError(f"{case}: {error}") from error
            cannot.append(case)
    assert not wrong, "the deconvolver breaks its contract:\n" + "\n".join(f"- {text}" for text in wrong)
    return cannot


def _says_no(error: ImagingError) -> bool:
    return NotImplementedError.__name__ in error.what


def _call(deconvolve, residual, model, psf, meta) -> dict:
    return checked(deconvolve(private(residual), private(model), private_psf(psf), meta), residual.shape, psf)


def _try_planes(deconvolve, nchan: int, npol: int, options: dict) -> list[str]:
    residual, psf, meta = example(nchan, npol)
    meta.options |= options
    earlier = np.zeros_like(residual)
    earlier[:, :, 10, 12] = 0.25
    out = _call(deconvolve, residual, earlier, psf, meta)
    done, change = meta.iteration_number - START, out["model"] - earlier
    wrong = []
    if done <= 0:
        wrong.append("meta.iteration_number was not increased, though there was a source to clean")
    if done > LIMIT * nchan * npol:
        wrong.append(f"{done} iterations, more than meta.max_iterations allowed")
    y, x = SOURCE
    found = change[:, :, y - 3 : y + 4, x - 3 : x + 4].sum((2, 3))
    if not np.allclose(found, fluxes(nchan, npol), rtol=0.2):
        wrong.append(f"a source of {fluxes(nchan, npol).tolist()} Jy came out as {np.round(found, 3).tolist()} Jy: the"
                     " model is to be the whole one so far, in Jy/pixel, that of the last cycle included")  # fmt: skip
    left, before = np.abs(out["residual"]).max((2, 3)), np.abs(residual).max((2, 3))
    if not (left < 0.5 * before).all():
        wrong.append(f"the peak of the residual only went from {before.max():.3g} to {left.max():.3g} Jy/beam")
    off = residual - out["residual"] - _convolved(change, psf)
    if np.abs(off).max() > 0.1:
        wrong.append(f"residual and model do not fit: psf * model is {np.abs(off).max():.3g} Jy/beam off what was"
                     " taken from the residual")  # fmt: skip
    return wrong + _try_limits(deconvolve, nchan, npol, options) + _try_blank(deconvolve, nchan, npol, options)


def _convolved(model: np.ndarray, psf: np.ndarray) -> np.ndarray:
    """psf * model, periodic."""
    beam = np.fft.rfft2(np.fft.ifftshift(psf, axes=(1, 2)))[:, None]
    return np.fft.irfft2(np.fft.rfft2(model) * beam, s=model.shape[2:])


def _try_limits(deconvolve, nchan: int, npol: int, options: dict) -> list[str]:
    residual, psf, meta = example(nchan, npol)
    meta.options |= options
    meta.max_iterations = START
    out = _call(deconvolve, residual, np.zeros_like(residual), psf, meta)
    return ["components were made though meta.max_iterations was reached"] if out["model"].any() else []


def _try_blank(deconvolve, nchan: int, npol: int, options: dict) -> list[str]:
    """The last channel without data: residual and psf 0, weight 0."""
    if nchan == 1:
        return []
    residual, psf, meta = example(nchan, npol)
    meta.options |= options
    residual[-1], psf[-1], meta.mask[-1], meta.channels[-1].weight = 0, 0, False, 0.0
    out = _call(deconvolve, residual, np.zeros_like(residual), psf, meta)
    return [] if out["model"][:-1].any() else ["with one channel flagged the others were not cleaned"]


def try_deconvolver(name: str, timeout: float = 0.0) -> str:
    """Check the deconvolver `name` (of `imaging plugins`, or a script); returns what is to be said of it.

    timeout : seconds that each call of a script may take, 0 for any time. Raises ImagingError for one that fails; where
    a script raised something, its traceback is a note of the error.
    """
    from imaging.plugins import check_name, find_deconvolver, is_script

    check_name(name)
    if is_script(name):
        from imaging.scripts import examine

        examine(name)
    try:
        cannot = check_deconvolver(find_deconvolver(name), options={"script_timeout": timeout},
                                   single_plane=name == "mtmfs")  # fmt: skip  # its planes are Taylor terms
    except AssertionError as error:
        if isinstance(error.__cause__, ImagingError):
            error.__cause__.add_note(f"(tried with {str(error).partition(':')[0]})")
            raise error.__cause__ from None
        raise ImagingError(f"{name} is not in order.", got=str(error), expected="a deconvolver that keeps the contract",
                           next_step="mend it: docs/plugins.md") from None  # fmt: skip
    return f"{name} is in order." + (f" It cannot do: {'; '.join(cannot)}." if cannot else "")
