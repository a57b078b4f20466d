"""Smooth spectra through the values that a component has in each channel (WSClean's spectral fitter).

With nu0 the weighted mean frequency, w a channel's weight:
polynomial: S = sum_k c_k (nu/nu0 - 1)^k, least squares weighted with w;
logpolynomial: S = c_0 10^(c_1 L + c_2 L^2 + ...), L = log10(nu/nu0), least squares in S, unweighted;
forced: S = c_0 f, f the spectrum 10^(c_1 L + ...) of a map of c_1, c_2, ..., c_0 = sum w S / sum w f.
Channels of weight 0 do not count and are interpolated.
"""

from __future__ import annotations

import operator

import numpy as np

MODES = ("none", "polynomial", "logpolynomial", "forced")


class SpectralFitter:
    """Fits spectra over channels of `frequency` (Hz) and `weight`, both (chan,).

    nterms : coefficients of a polynomial. spectrum : for mode "forced", the terms c_1 (the spectral index), c_2, ...
    at `reference_frequency`, (terms, ny, nx); then `nterms` is one more than their number.
    """

    def __init__(self, mode: str, nterms: int, frequency, weight, spectrum: np.ndarray | None = None):
        if mode not in MODES:
            raise ValueError(f"unknown spectral fitting {mode!r}; there are {', '.join(MODES)}")
        if mode == "forced" and (spectrum is None or np.ndim(spectrum) != 3):
            raise ValueError("a forced spectrum needs a map (terms, ny, nx)")
        self.mode, self.spectrum = mode, spectrum
        self.frequency, self.weight = np.array(frequency, np.float64), np.array(weight, np.float64)
        if self.frequency.ndim != 1 or self.frequency.shape != self.weight.shape:
            raise ValueError("one frequency and one weight a channel are needed")
        self.nterms = len(spectrum) + 1 if mode == "forced" else 0 if mode == "none" else int(nterms)
        if mode != "none" and self.nterms < 1:
            raise ValueError("at least one term is needed")
        self.valid = np.flatnonzero(self.weight > 0)
        used = self.weight[self.valid]
        self.reference_frequency = float(
            np.average(self.frequency[self.valid], weights=used) if used.size else self.frequency.mean()
        )
        self.logs = np.log10(self.frequency / self.reference_frequency)
        if mode == "polynomial":
            self._prepare_projection()

    def _prepare_projection(self) -> None:
        """`projection` (nterms, chan) makes coefficients, `smoothing` (chan, chan) fitted values."""
        powers = np.vander(self.frequency / self.reference_frequency - 1, self.nterms, increasing=True)
        terms = min(self.nterms, self.valid.size)  # those beyond the number of channels are 0
        root = np.sqrt(self.weight[self.valid])
        self.projection = np.zeros((self.nterms, self.frequency.size))
        self.projection[:terms, self.valid] = np.linalg.pinv(powers[self.valid, :terms] * root[:, None]) * root
        self.smoothing = powers @ self.projection

    def fit(self, values, x: int = 0, y: int = 0) -> np.ndarray:
        """Coefficients (nterms,) for `values` (chan,) of the pixel in column x, row y."""
        values, x, y = self._check(values, x, y)
        if self.mode == "none":
            raise RuntimeError("fit() called but no fitting mode selected")
        used = values[self.valid]
        if self.mode == "polynomial":
            return self.projection[:, self.valid] @ used
        if self.mode == "forced":
            shape = np.concatenate([[1.0], self.spectrum[:, y, x]]).astype(np.float64)
            weight = self.weight[self.valid]
            amplitude = (weight @ used) / (weight @ self.evaluate(shape, self.frequency[self.valid]))
            return np.concatenate([[amplitude], shape[1:]])
        return self._fit_logarithmic(used)

    def _fit_logarithmic(self, used: np.ndarray) -> np.ndarray:
        from imaging.kernels import spectral_fitting as kernel

        coefficients = np.zeros(self.nterms)
        terms = min(self.nterms, self.valid.size)
        if terms:
            kernel.fit_log_polynomial(used, self.logs[self.valid], coefficients[:terms])
        return coefficients

    def fit_and_evaluate(self, values, x: int = 0, y: int = 0) -> np.ndarray:
        """The fitted values (chan,), those of channels without weight too; the values themselves in mode "none"."""
        values, x, y = self._check(values, x, y)
        if self.mode == "none":
            return values
        if self.mode == "polynomial":
            return self.smoothing[:, self.valid] @ values[self.valid]
        return self.evaluate(self.fit(values, x, y), self.frequency)

    def evaluate(self, coefficients, frequency) -> np.ndarray:
        """The spectra of `coefficients` (nterms, ...) at `frequency` (Hz), a number or (chan,).

        Returns (chan, ...), or (...) for a single frequency.
        """
        coefficients, frequency = np.asarray(coefficients, np.float64), np.asarray(frequency, np.float64)
        ratio = frequency.reshape(frequency.shape + (1,) * (coefficients.ndim - 1)) / self.reference_frequency
        if self.mode == "polynomial":
            return _horner(coefficients, ratio - 1)
        logs = np.log10(ratio)
        return coefficients[0] * 10 ** (logs * _horner(coefficients[1:], logs))

    def _check(self, values, x, y) -> tuple[np.ndarray, int, int]:
        values = np.array(values, np.float64)
        if values.ndim != 1:
            raise RuntimeError("Invalid dimensions: values must have one dimension")
        if values.size != self.frequency.size:
            raise RuntimeError(f"Incorrect size of values array: {values.size}, not {self.frequency.size}")
        x, y = operator.index(x), operator.index(y)
        if min(x, y) < 0:
            raise TypeError("x and y must not be negative")
        return values, x, y


def _horner(coefficients: np.ndarray, t: np.ndarray) -> np.ndarray:
    total = np.zeros(np.broadcast_shapes(t.shape, coefficients.shape[1:]))
    for c in coefficients[::-1]:
        total = total * t + c
    return total
