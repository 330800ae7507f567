"""Robust means and standard errors on the semitone circle."""

import numpy as np
from numpy.typing import NDArray

from worker.tuning.pitch_histogram import BINS
from worker.tuning.spectral.circle import wrap

BIN_CENTS: NDArray[np.float64] = np.asarray(np.arange(BINS) * (100.0 / BINS) - 50.0 + 50.0 / BINS, np.float64)
"""Deviation from the A440 grid at the centre of each bin, shape (BINS,)."""
_STEP = 100.0 / BINS
_AROUND = (np.arange(BINS) - BINS // 2) * _STEP


def gaussian(width: float) -> NDArray[np.complex128]:
    """Spectrum of a Gaussian with a standard deviation of `width` cents, to smooth histograms of BINS."""
    return np.asarray(
        np.fft.rfft(np.exp(-0.5 * (wrap(BIN_CENTS - BIN_CENTS[0]) / width) ** 2)), np.complex128
    )


def robust_means(counts: NDArray[np.float64], start: float, width: float) -> NDArray[np.float64]:
    """The robust mean of each row of `counts`, shape (n, BINS), near `start` cents; shape (n,).

    An M-estimator with the squared Lorentzian weight of a Student t distribution (Huber 1981, "Robust
    Statistics"); `width` is its scale in cents.
    """
    middle = round((start - BIN_CENTS[0]) / _STEP)
    rotated = np.roll(counts, BINS // 2 - middle, axis=1)
    origin = BIN_CENTS[0] + middle * _STEP
    around = _AROUND / width
    place = np.full((len(counts), 1), (start - origin) / width)
    weight = np.empty_like(rotated)
    for _ in range(12):
        residual = around - place
        np.multiply(residual, residual, out=weight)
        weight += 1.0
        weight *= weight
        np.divide(rotated, weight, out=weight)
        total = np.add.reduce(weight, axis=1)
        step = np.einsum("ij,ij->i", weight, residual) / np.maximum(total, 1e-300)
        place += 1.4 * step[:, None]
        if float(np.abs(step).max()) * width < 5e-3:
            break
    return np.asarray(origin + width * place[:, 0], np.float64)


def jackknife_error(left_out: NDArray[np.float64]) -> float:
    """Standard error from estimates that each leave out one part, shape (n,) (jackknife, Tukey 1958)."""
    n = len(left_out)
    return float(np.sqrt((n - 1) / n * ((left_out - left_out.mean()) ** 2).sum()))
