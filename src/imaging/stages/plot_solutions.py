"""plot_solutions: a picture of the gains of all stations."""

from __future__ import annotations

from imaging.io import solution_plots
from imaging.io.solutions import load_solutions


def plot_solutions(solutions: str, *, plot: str) -> None:
    """Write a PNG: phases and amplitudes against time, a panel for each station."""
    solution_plots.plot_solutions(load_solutions(solutions), plot)
