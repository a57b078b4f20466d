"""part_sums: the sums of a share of the data, of which images are made when those of the other shares are added."""

from __future__ import annotations

from dataclasses import replace

from imaging.algorithms.major_cycle import image_sums
from imaging.image import Image
from imaging.io.images import load_image, save_image
from imaging.stages.plan import accuracy, header, open_parts

EPSILON = 5e-7
"""The sums are at least so exact: how the data are divided among parts changes what is left of an image by less than
1e-6 of its peak, whatever gridding.epsilon is."""


def part_sums(vis: str, weights: str, model: str = "", *, residual: str = "", psf: str = "", sumwt: str, config,
              threads: int = 1) -> None:  # fmt: skip
    """Make the images `psf` or `residual` (of the data less the `model`), not yet divided, and `sumwt`."""
    store, grid, parts = open_parts(vis, weights, config.image)
    origin, exact = header(store), accuracy(config.gridding)
    exact = replace(exact, epsilon=min(exact.epsilon, EPSILON))
    if psf:
        one = replace(grid, stokes=grid.stokes[:1])
        sums, total = image_sums(parts, one, exact, psf=True, threads=threads)
        save_image(Image(sums, one, "Jy/beam", header=origin | {"BTYPE": "Beam"}), psf)
    if residual:
        pixels = load_image(model).data if model else None
        sums, total = image_sums(parts, grid, exact, model=pixels, threads=threads)
        save_image(Image(sums, grid, "Jy/beam", header=origin), residual)
    point = replace(grid, shape=(1, 1), stokes=grid.stokes[:1])
    save_image(Image(total[:, None, None, None], point, "", header=origin | {"BTYPE": "Weight"}), sumwt)
