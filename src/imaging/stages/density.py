"""density: the weight density of a share of the data, to be added to that of the others."""

from __future__ import annotations

from imaging.algorithms.weighting import Density
from imaging.io.density_file import save_density
from imaging.stages.plan import open_store
from imaging.stages.weights import each_sample, make_scheme, own_densities


def density(vis: str, *, gridwt: str, config) -> None:
    """Write the density `gridwt` of the samples in the store; all planes at once. Empty for weights without one."""
    store, grid, channel_map = open_store(vis, config.image)
    scheme, per_channel, planes = make_scheme(config.weighting), own_densities(config), len(grid.freq)
    made = Density(scheme, config.image.cell, config.image.imsize, planes if per_channel else 1, per_channel)
    if scheme.needs_density:
        for _, _, samples, _ in each_sample(store, channel_map, 0, planes, per_channel):
            made.add(*samples)
    save_density(gridwt, made.grid, made.gridded)
