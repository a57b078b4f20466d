"""PartImager: one worker's share of the data, of which `Normalizer` makes images together with the other shares."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path

from imaging.config import Config
from imaging.errors import ImagingError, LifecycleError
from imaging.io.density_file import ENDING
from imaging.io.images import find_image
from imaging.names import SUFFIX
from imaging.settings import Settings

WHOLE = 1e-9
"""A pblimit that leaves the beam as it is."""


class PartImager:
    """Sums over the data that `config` selects, as images <partname>.psf, .residual, .sumwt that are not yet divided.

    All parts have the same image and weighting, and each its own data (data.scan, data.timerange, data.taql, or its own
    MeasurementSet); give all of them the same image.phasecenter. setup, make_weight_density, then, when Normalizer has
    gathered it, set_weight_density(path), make_psf, make_pb, and run_major_cycle as often as there is a new
    <partname>.model. The density may be left out for natural and radial weights.
    """

    def __init__(self, config: Config, partname: str, threads: int = 1):
        if config.nterms > 1:
            raise ImagingError("Parts have no Taylor terms.", got=f"clean.nterms: {config.nterms}", expected="one term",
                               next_step="use SerialImager or the workflow for mtmfs")  # fmt: skip
        self.config, self.partname, self.threads = config, os.fspath(partname), threads
        self._vis, self._weights = f"{self.partname}.vis", f"{self.partname}.weights"
        self.gridwt = f"{self.partname}{ENDING}"

    def setup(self) -> None:
        """Read the share of the data."""
        self.config.identify_data()
        self._do("ingest", ms=list(self.config.data.vis), vis=self._vis)

    def make_weight_density(self) -> str:
        """The density of this share; its path."""
        self._check(self._vis, "setup")
        self._do("density", vis=self._vis, gridwt=self.gridwt)
        return self.gridwt

    def set_weight_density(self, gridwt: str = "") -> None:
        """Weigh the samples, by the density `gridwt` of all shares."""
        self._check(self._vis, "setup")
        if not gridwt and self.config.weighting.weighting not in ("natural", "radial"):
            raise LifecycleError("These weights need the density of all parts.", got="no density",
                                 expected="the path that Normalizer.scatter_weight_density gives",
                                 next_step="call make_weight_density on all parts and gather it")  # fmt: skip
        self._do("weights", vis=self._vis, gridwt=gridwt, weights=self._weights)

    def make_psf(self) -> None:
        """The sums of the psf."""
        self._sums(psf=self._image("psf"))

    def make_pb(self) -> None:
        """The primary beam of this share, all of it: the normalizer cuts the mean of all shares."""
        self._check(self._weights, "set_weight_density")
        settings = Settings.of(self.config.settings("pb"))
        settings.primary_beam.pblimit = WHOLE
        self._do("pb", settings, vis=self._vis, weights=self._weights, pb=self._image("pb"))

    def run_major_cycle(self) -> None:
        """The sums of the residual of <partname>.model, or of the data where there is none."""
        self._sums(model=find_image(self.partname, "model", required=False), residual=self._image("residual"))

    def _sums(self, **images) -> None:
        self._check(self._weights, "set_weight_density")
        self._do("part_sums", vis=self._vis, weights=self._weights, **images, sumwt=self._image("sumwt"),
                 threads=self.threads)  # fmt: skip

    def _image(self, product: str) -> str:
        return f"{self.partname}.{product}{SUFFIX[self.config.image_format]}"

    def _check(self, needed: str, verb: str) -> None:
        if not Path(needed).exists():
            raise LifecycleError(f"{verb} comes first.", got=f"no {needed}", expected=f"{verb}() before this verb",
                                 next_step=f"call {verb}()")  # fmt: skip

    def _do(self, stage: str, settings: Settings | None = None, **arguments) -> None:
        read = {"density": "weights", "part_sums": "major_cycle"}.get(stage, stage)
        function = getattr(import_module(f"imaging.stages.{stage}"), stage)
        function(**arguments, config=settings or Settings.of(self.config.settings(read)))
