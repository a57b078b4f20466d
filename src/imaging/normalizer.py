"""Normalizer: gathers the sums of parts, divides them by weights, hands models out again, with pclean's verbs."""

from __future__ import annotations

import difflib
import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from imaging.algorithms import normalising
from imaging.errors import ImagingError, LifecycleError
from imaging.image import Beam, Image
from imaging.io.density_file import ENDING, add_densities, save_density
from imaging.io.images import find_image, load_image, save_image
from imaging.log import logger

DEFAULTS = {"imagename": "", "pblimit": 0.2, "normtype": "flatnoise", "psfcutoff": 0.35, "nterms": 1,
            "deconvolver": "hogbom", "specmode": "mfs", "compat": ""}  # fmt: skip
INERT = ("mtype", "facets", "workdir", "id", "restoringbeam", "usesinglepb")
DONE = "DIVIDED"
"""Header entry of images that have been divided: nothing is divided twice."""


class Normalizer:
    """Makes <imagename>.psf, .residual, ... of the sums in <part>.psf, .residual, ... and hands .model back.

    Parameters
    ----------
    normpars : imagename, and pblimit, normtype (flatnoise, flatsky or pbsquare), psfcutoff, nterms, deconvolver,
        specmode.
    partimagenames : prefixes of the parts' images (`PartImager` makes them), CASA images or FITS files, each once;
        None where <imagename>.* themselves hold the sums.

    Sums are made in float64 in the order of the parts: the same bytes whenever it is done again. With .weight images
    (mosaics) normtype says how they count. An image is divided once, however often a verb is called.
    """

    def __init__(self, normpars: dict, partimagenames: list[str] | None = None):
        self._pars = _checked(normpars)
        self.imagename = os.fspath(self._pars["imagename"])
        self.parts = _distinct(partimagenames)
        self._is_set_up = False

    def setup(self) -> None:
        """Find out which images are there, and in which format."""
        self._is_set_up = True

    def teardown(self) -> None:
        """The images stay."""
        self._is_set_up = False

    def __enter__(self) -> Normalizer:
        self.setup()
        return self

    def __exit__(self, *_) -> None:
        self.teardown()

    # Density and psf

    def gather_weight_density(self) -> None:
        """The weight density of all parts together."""
        self._check()
        paths = [f"{part}{ENDING}" for part in self.parts or [self.imagename]]
        save_density(f"{self.imagename}{ENDING}", *add_densities(paths))

    def scatter_weight_density(self) -> str:
        """The path of the density of all parts, for their `set_weight_density`."""
        self._check()
        path = f"{self.imagename}{ENDING}"
        if not Path(path).exists():
            raise LifecycleError("The weight density is not gathered.", got=f"no {path}",
                                 expected="gather_weight_density() first",
                                 next_step="call gather_weight_density()")  # fmt: skip
        return path

    def normalize_psf(self) -> None:
        """Gather .psf and .sumwt (and .weight), divide the psf by its peak, fit its beams."""
        self._check()
        for term in self._terms(2 * self._pars["nterms"] - 1):
            self._gather("sumwt", term)
            self._gather("psf", term)
        if self._weighted():
            self._gather("weight", "")
            self._divided("weight", "", lambda image: normalising.divide_by_sumwt(image.data, self._sumwt()))
        first = self._terms(1)[0]
        peak = load_image(self._find("psf", first)).data.max(axis=(2, 3), keepdims=True)
        for term in self._terms(2 * self._pars["nterms"] - 1):
            self._divided("psf", term, lambda image, first=term == first: self._unit_peak(image, peak, first))

    def normalize_pb(self) -> None:
        """The mean of the parts' primary beams, as they weigh, cut at pblimit; with a peak of 1 at most."""
        from imaging.algorithms.primary_beam import apply_limit

        self._check()
        prefixes = self.parts or [self.imagename]
        paths = [find_image(prefix, "pb", "pb.tt0") for prefix in prefixes]
        images = [load_image(path) for path in paths]
        weights = [self._weight_of(prefix) for prefix in prefixes]
        total = sum(weights)
        mean = normalising.gather(image.data * weight for image, weight in zip(images, weights, strict=True))
        mean = np.divide(mean, total, out=np.zeros(mean.shape), where=total > 0)
        data, valid = apply_limit(mean / np.maximum(mean.max(axis=(2, 3), keepdims=True), 1), self._pars["pblimit"])
        header = _of_all([image.header for image in images])
        target = f"{self.imagename}.{paths[0].removeprefix(prefixes[0] + '.')}"
        save_image(images[0].with_data(data.astype(np.float32), valid=valid, header=header), target)

    # Residual and model

    def gather_residual(self) -> None:
        """The sum of the parts' residuals."""
        self._check()
        for term in self._terms():
            self._gather("residual", term)

    def divide_residual_by_weight(self) -> None:
        """The residual over the sum of weights, and over the weight image as normtype says."""
        self._check()
        weight, pars = self._weight(), self._pars
        for term in self._terms():
            self._divided("residual", term, lambda image: normalising.divide_residual(
                normalising.divide_by_sumwt(image.data, self._sumwt()), weight, pars["normtype"], pars["pblimit"]
            ))  # fmt: skip

    def divide_model_by_weight(self) -> None:
        """The model as it is predicted from: with a weight image, without the primary beam that normtype left in it."""
        self._scale_model(lambda model, factor: normalising.divide_model(model, factor))

    def multiply_model_by_weight(self) -> None:
        """The model as it is cleaned, undoing `divide_model_by_weight`."""
        self._scale_model(lambda model, factor: model * factor)

    def scatter_model(self) -> None:
        """A copy of the model to each part; nothing before there is one."""
        self._check()
        for term in self._terms():
            source = find_image(self.imagename, f"model{term}", required=False)
            if source:
                image, name = load_image(source), source.removeprefix(f"{self.imagename}.")
                for part in self.parts:
                    save_image(image, f"{part}.{name}")

    def pre_major_mfs(self) -> None:
        """Before the parts' major cycles: divide_model_by_weight, scatter_model."""
        self.divide_model_by_weight()
        self.scatter_model()

    def post_major_mfs(self) -> None:
        """After them: gather_residual, divide_residual_by_weight, multiply_model_by_weight."""
        self.gather_residual()
        self.divide_residual_by_weight()
        self.multiply_model_by_weight()

    # What they are made of

    def _check(self) -> None:
        if not self._is_set_up:
            raise LifecycleError("The normalizer is not set up.", got="a verb before setup()", expected="setup() first",
                                 next_step="call setup()")  # fmt: skip

    def _terms(self, count: int | None = None) -> list[str]:
        """Endings of the Taylor terms of an image; one empty ending where there are none."""
        if self._pars["deconvolver"] != "mtmfs":
            return [""]
        return [f".tt{i}" for i in range(self._pars["nterms"] if count is None else count)]

    def _find(self, product: str, term: str) -> str:
        return find_image(self.imagename, f"{product}{term}")

    def _gather(self, product: str, term: str) -> None:
        """The sum of an image over the parts; where there are no parts it is there already."""
        if not self.parts:
            return
        paths = [find_image(part, f"{product}{term}") for part in self.parts]
        images = [load_image(path) for path in paths]
        first = images[0]
        for path, image in zip(paths, images, strict=True):
            if (image.grid.cube_shape, image.grid.cell) != (first.grid.cube_shape, first.grid.cell):
                raise ImagingError(f"{path} is not on the grid of {paths[0]}.", got=image.grid.cube_shape,
                                   expected=first.grid.cube_shape,
                                   next_step="make all parts with the same imsize, cell, phasecenter and channels"
                                   )  # fmt: skip
        total = normalising.gather(image.data for image in images).astype(np.float32)
        target = f"{self.imagename}.{paths[0].removeprefix(self.parts[0] + '.')}"
        save_image(replace(first, data=total, header=_of_all([image.header for image in images])), target)

    def _divided(self, product: str, term: str, divide) -> None:
        """Replace an image by what `divide` makes of it, once."""
        path = self._find(product, term)
        image = load_image(path)
        if image.header.get(DONE):
            logger.info("%s is divided already", path)
            return
        made = divide(image)
        made = made if isinstance(made, Image) else image.with_data(made.astype(np.float32))
        save_image(replace(made, header=made.header | {DONE: True}), path)

    def _unit_peak(self, image: Image, peak: np.ndarray, fit: bool) -> Image:
        from imaging.algorithms.beam_fitting import fit_beams

        data = normalising.divide_by_peak(image.data, peak)
        if not fit:
            return image.with_data(data)
        filled = data.any(axis=(1, 2, 3))
        fitted = iter(fit_beams(data[filled, 0], image.grid.cell, self._pars["psfcutoff"], self._pars["compat"]))
        return image.with_data(data, beams=tuple(next(fitted) if used else Beam(0.0, 0.0) for used in filled))

    def _sumwt(self) -> np.ndarray:
        return load_image(self._find("sumwt", self._terms(1)[0])).data.astype(np.float64)

    def _weight_of(self, prefix: str) -> np.ndarray:
        """The sums of weights (chan, 1, 1, 1) of a part; 1 where it has none."""
        path = find_image(prefix, "sumwt", "sumwt.tt0", required=False)
        return load_image(path).data[:, :1].astype(np.float64) if path else np.ones((1, 1, 1, 1))

    def _weighted(self) -> bool:
        return all(find_image(name, "weight", required=False) for name in self.parts or [self.imagename])

    def _weight(self) -> np.ndarray | None:
        path = find_image(self.imagename, "weight", required=False)
        return load_image(path).data.astype(np.float64) if path else None

    def _scale_model(self, scale) -> None:
        self._check()
        factor = normalising.model_factor(self._weight(), self._pars["normtype"], self._pars["pblimit"])
        if factor is None:
            return
        for term in self._terms():
            path = find_image(self.imagename, f"model{term}", required=False)
            if path:
                image = load_image(path)
                save_image(image.with_data(scale(image.data, factor).astype(np.float32)), path)


def _checked(normpars: dict) -> dict:
    """The parameters with their defaults. Raises ImagingError for one that is unknown or wrong."""
    for name, value in normpars.items():
        if name not in DEFAULTS and name not in INERT:
            close = difflib.get_close_matches(name, DEFAULTS, 1)
            raise ImagingError(f"Unknown parameter {name} of the normalizer.", got=f"{name}={value!r}",
                               expected=", ".join(DEFAULTS),
                               next_step=f"did you mean {close[0]}?" if close else "leave it out")  # fmt: skip
    pars = DEFAULTS | {name: value for name, value in normpars.items() if name in DEFAULTS}
    if not pars["imagename"]:
        raise ImagingError("The normalizer has no imagename.", got="normpars without imagename",
                           expected="the prefix of the images to make",
                           next_step="add imagename to normpars")  # fmt: skip
    if pars["normtype"] not in normalising.NORMTYPES:
        raise ImagingError("The value of normtype is not usable.", got=pars["normtype"],
                           expected=", ".join(normalising.NORMTYPES), next_step="choose one of these")  # fmt: skip
    return pars


def _distinct(names: list[str] | None) -> list[str]:
    """The prefixes of the parts. Raises ImagingError where one is named twice, or none."""
    if names is None:
        return []
    parts = [] if isinstance(names, str | os.PathLike) else [os.fspath(name) for name in names]
    if not parts:
        raise ImagingError("The normalizer has no list of parts.", got=f"partimagenames={names!r}",
                           expected="a list of prefixes, one for each part",
                           next_step="name the parts, or pass None where <imagename>.* hold the sums")  # fmt: skip
    places = [os.path.realpath(part) for part in parts]
    twice = [part for part, place in zip(parts, places, strict=True) if places.count(place) > 1]
    if twice:
        raise ImagingError("A part would be added more than once.", got=", ".join(twice),
                           expected="each part once", next_step="leave out what is there twice")  # fmt: skip
    return parts


def _of_all(headers: list[dict]) -> dict:
    """The header of a sum: the first part's, with the history of all."""
    lines = dict.fromkeys(line for header in headers for line in header.get("HISTORY", []))
    return headers[0] | ({"HISTORY": list(lines)} if lines else {})
