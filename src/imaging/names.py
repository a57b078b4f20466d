"""The file-name grammar: where every product of a run lives. Writing and parsing are inverses."""

from __future__ import annotations

import re
from dataclasses import dataclass

TERMS = {"psf": 5, "pb": 3, "sumwt": 5, "residual": 3, "model": 3, "image": 3}
"""Products that have a file for each Taylor term, such as psf.tt0, and how many at most."""
IMAGES = ("psf", "pb", "sumwt", "residual", "model", "mask", "image", "image.pbcor",
          "image.mfs", "image.mfs.pbcor", "residual.mfs", "model.mfs", "psf.mfs", "startmodel",
          "alpha", "alpha.error", "beta", "alpha.pbcor", "beta.pbcor",
          *(f"{product}.tt{t}" for product, most in TERMS.items() for t in range(most)),
          *(f"image.tt{t}.pbcor" for t in range(TERMS["image"])))  # fmt: skip
OTHERS = {"vis": ".vis", "weights": ".weights", "state": ".state.json", "minor": ".minor.json",
          "automask": ".automask.npz", "loop": ".loop.json", "report": ".report.json",
          "psf_double": ".psf_double", "memory": ".memory.pickle",
          "beam": ".beam.fits", "aterms": ".aterms.fits",
          "components": ".components.txt", "savemodel": ".savemodel.json",
          "modelvis": ".modelvis", "solutions": ".solutions.npz", "solutions_plot": ".solutions.png",
          "selfcal": ".selfcal.json"}  # fmt: skip
SUFFIX = {"fits": ".fits", "casa": ""}


@dataclass(frozen=True)
class Names:
    """Paths of the products of the run `name` below `results`.

    Those of a cycle take its number, an int or a wildcard such as "{cycle}": `Names("m31").residual(3)` is
    results/m31/m31.cycle003.residual.fits; without one they name the final product. "003.exact" is cycle 3 on a
    residual made from the visibilities where the first one was made by convolution.
    """

    name: str
    results: str = "results"
    image_format: str = "fits"

    @property
    def folder(self) -> str:
        return f"{self.results}/{self.name}"

    def path(self, product: str, cycle: int | str | None = None) -> str:
        stem = f"{self.folder}/{self.name}"
        if cycle is not None:
            stem += f".cycle{cycle:03d}" if isinstance(cycle, int) else f".cycle{cycle}"
        if product in OTHERS:
            return stem + OTHERS[product]
        if product not in IMAGES:
            raise KeyError(product)
        return f"{stem}.{product}{SUFFIX[self.image_format]}"

    def terms(self, product: str, count: int, ending: str = "") -> list[str]:
        """Paths of a final product's Taylor terms: `terms("image", 2)` is those of image.tt0 and image.tt1."""
        return [self.path(f"{product}.tt{t}{ending}") for t in range(count)]

    def final_images(self) -> list[str]:
        """Paths that final images of this run may have, in either format, and the list of its components."""
        images = [Names(self.name, self.results, kind).path(product) for kind in SUFFIX for product in IMAGES]
        return [*images, self.path("components")]

    def is_image(self, path: str) -> bool:
        """Whether a path of this run is that of an image, which may be a folder."""
        return self.parse(path)[0] in IMAGES

    def parse(self, path: str) -> tuple[str, int | str | None]:
        """The product and the cycle of a path of this run. Raises ValueError for any other path."""
        products = {re.escape(OTHERS[p]): p for p in OTHERS}
        products |= {re.escape(f".{p}{SUFFIX[self.image_format]}"): p for p in IMAGES}
        for ending, product in products.items():
            match = re.fullmatch(
                re.escape(f"{self.folder}/{self.name}") + r"(?:\.cycle(\d{3,}(?:\.exact)?))?" + ending, path
            )
            if match:
                cycle = match.group(1)
                return product, int(cycle) if cycle and cycle.isdigit() else cycle
        raise ValueError(f"{path} is no product of {self.name}")

    def log(self, stage: str, cycle: str | None = None) -> str:
        return f"{self.folder}/logs/{stage}{f'.cycle{cycle}' if cycle else ''}.log"

    def benchmark(self, stage: str, cycle: str | None = None) -> str:
        return f"{self.folder}/benchmarks/{stage}{f'.cycle{cycle}' if cycle else ''}.tsv"

    def __getattr__(self, product: str):
        """`names.psf()`, `names.residual(3)`, `names.image_pbcor()`."""
        product = product.replace("_mfs", ".mfs").replace("_pbcor", ".pbcor")
        if product.startswith("_") or not (product in IMAGES or product in OTHERS):
            raise AttributeError(product)
        return lambda cycle=None: self.path(product, cycle)
