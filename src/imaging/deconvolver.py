"""Deconvolver: minor cycles alone, on a residual and a psf that are there, with pclean's verbs."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np

from imaging.config import Config
from imaging.config_sections import nearest_size
from imaging.errors import ImagingError, LifecycleError
from imaging.image import Image
from imaging.io.atomic import atomic_path
from imaging.io.images import find_image, load_image, save_image
from imaging.settings import Settings
from imaging.state import CleanState, MinorResult
from imaging.summaries import summarise
from imaging.tclean_keywords import task

ALIASES = {"loopgain": "gain", "nTaylorTerms": "nterms"}
INERT = frozenset({"id", "allimages", "maskthreshold", "maskresolution", "nmask", "fusedthreshold", "largestscale",
                   "noRequireSumwt", "imagename"})  # fmt: skip
"""Keys of CASA's parameter records that say nothing here."""


class Deconvolver:
    """Cleans <imagename>.residual with <imagename>.psf, in place, without visibilities.

    Parameters
    ----------
    imagename : prefix of the images, CASA images or FITS files: .psf and .residual must be there, .sumwt, .pb, .mask
        and .model are used where they are. Written: .residual, .model, .mask, and by `restore` and `pbcor` .image and
        .image.pbcor, in the format of the residual.
    decpars : tclean's keywords of deconvolution, masks and restoring: deconvolver, scales, usemask, mask, ...
    iterpars : niter, threshold, gain (or loopgain), nsigma, cycleniter, cyclefactor, ...; None where the caller says in
        each `execute_minor` how far to go.

    By hand: setup, then init_minor, setup_mask, execute_minor as often as wanted, restore, pbcor, teardown; or
    `run_loop` between setup and restore. The deconvolvers, masks and thresholds are those of the stages of a run. As
    there is no major cycle, the residual is only as good as the psf's size and the w-term allow.
    """

    def __init__(self, imagename: str, decpars: dict, iterpars: dict | None = None):
        self.imagename, self.iterpars = os.fspath(imagename), iterpars
        keywords = _renamed(decpars) | _renamed(iterpars or {})
        self._values = task({"usemask": "user"} | keywords, imagename_needed=False).values
        self._folder: tempfile.TemporaryDirectory | None = None

    def setup(self) -> None:
        """Find the images."""
        if self._folder is not None:
            return
        self._psf = find_image(self.imagename, "psf")
        self._residual = find_image(self.imagename, "residual")
        self._ending = self._residual.removeprefix(f"{self.imagename}.residual")
        residual = load_image(self._residual)
        self.config = _configuration(self._values, residual)
        self._folder = tempfile.TemporaryDirectory(prefix=".minor-", dir=Path(self.imagename).absolute().parent)
        self._states: list[CleanState] = []
        self._minors: list[MinorResult] = []
        self._mask_memory = self._kept = ""
        self._own_mask = self._ready_for_minor = False
        self._sumwt = find_image(self.imagename, "sumwt", required=False) or self._stand_in("sumwt", residual, (1, 1))
        self._pb = find_image(self.imagename, "pb", required=False) or self._stand_in("pb", residual)

    def teardown(self) -> None:
        """Remove what is not an image."""
        if self._folder is not None:
            self._folder.cleanup()
        self._folder = None

    def __enter__(self) -> Deconvolver:
        self.setup()
        return self

    def __exit__(self, *_) -> None:
        self.teardown()

    def init_minor(self) -> dict:
        """What the residual is like: peaks in Jy/beam within the mask and without it, noise, sidelobe level.

        `masksum` is -1 where there is no mask; the peak is then that of everything.
        """
        from imaging.algorithms.masking import largest_sidelobe

        self._check_set_up()
        self._ready_for_minor = True
        mask = find_image(self.imagename, "mask", required=False)
        planes = self._planes(mask)
        flat = [plane for chan in planes for plane in chan]
        inside = [plane.peak for plane in flat if plane.peak is not None]
        everywhere = max((plane.peak_nomask for plane in flat if plane.peak_nomask is not None), default=0.0)
        return {
            "peakresidual": max(inside) if inside else everywhere,
            "peakresidualnomask": everywhere,
            "maxpsfsidelobe": largest_sidelobe(load_image(self._psf)),
            "madrms": max((plane.rms or 0.0 for plane in flat), default=0.0),
            "masksum": sum(plane.mask_pixels for plane in flat) if mask else -1,
            "nsigma": self.config.clean.nsigma,
            "nsigmathreshold": max((plane.nsigma_threshold or 0.0 for plane in flat), default=0.0),
            "fullsummary": False,
            "summaryminor": {},
        }

    def setup_mask(self) -> None:
        """Make .mask, or bring an automatic one up to date. One that is there stays where usemask says nothing else."""
        self._check_initialised()
        masking, there = self.config.mask, find_image(self.imagename, "mask", required=False)
        automatic = masking.usemask == "auto-multithresh"
        if not automatic and (self._own_mask or (there and masking.usemask == "user" and not masking.mask)):
            return
        before, memory = self._states[-1:], self._path("automask.npz")
        follows = {}
        if automatic and self._mask_memory and before and len(self._minors) == len(self._states):
            follows = {"previous": there, "previous_automask": self._mask_memory, "state": self._path("state.json"),
                       "minor": self._path("minor.json")}  # fmt: skip
        self._stage("automask", residual=self._residual, psf=self._psf, pb=self._pb, **follows,
                    mask=self._product("mask"), automask=memory)  # fmt: skip
        self._mask_memory, self._own_mask = memory, True

    def execute_minor(self, iterbotrecord: dict | None = None) -> dict:
        """One minor cycle; what it did, in CASA's words.

        iterbotrecord : cyclethreshold (Jy/beam), cycleniter and loopgain to keep to, as an iteration controller gives
        them; without one `iterpars` decide.
        """
        self._check_initialised()
        if iterbotrecord is None and self.iterpars is None:
            raise LifecycleError("Nobody says how far the minor cycle may go.", got="no iterpars and no iterbotrecord",
                                 expected="one of them", next_step="pass iterpars to Deconvolver, or a record with"
                                 " cyclethreshold and cycleniter")  # fmt: skip
        decision = self._decide()
        if iterbotrecord is not None:
            decision = _ordered(decision, iterbotrecord)
        return self._clean(decision, (iterbotrecord or {}).get("loopgain"))

    def run_loop(self) -> dict:
        """Minor cycles until a limit or a threshold of `iterpars`; tclean's dictionary, with `peakresidual`.

        The cycle threshold is taken anew from each residual. There is nothing like a major cycle in between.
        """
        if self.iterpars is None:
            raise LifecycleError("No iterpars: a loop cannot be run.", got="iterpars=None",
                                 expected="niter, threshold, ...",
                                 next_step="pass iterpars, or call execute_minor with a record")  # fmt: skip
        self._check_set_up()
        while True:
            self.init_minor()
            self.setup_mask()
            decision = self._decide()
            if decision.stop:
                break
            self._clean(decision)
        found = summarise(self.config.clean, self._states, self._minors)
        return found | {"peakresidual": decision.peak, "imagename": self.imagename}

    def restore(self) -> None:
        """Make .image of the model, the residual and the beams of the psf."""
        self._check_set_up()
        if not find_image(self.imagename, "mask", required=False):
            self._ready_for_minor = True
            self.setup_mask()
        self._decide()
        dropped = {
            f"{product}_out": self._path(f"{product}{self._ending}") for product in ("residual", "model", "mask")
        }
        model = find_image(self.imagename, "model", required=False)
        self._stage("restore", residual=self._residual, mask=find_image(self.imagename, "mask"), psf=self._psf,
                    pb=self._pb, state=self._path("state.json"), model=model, image=self._product("image"), **dropped,
                    provenance=self.config.provenance())  # fmt: skip

    def pbcor(self) -> None:
        """Make .image.pbcor; nothing without .image and .pb."""
        self._check_set_up()
        image, pb = (find_image(self.imagename, product, required=False) for product in ("image", "pb"))
        if image and pb:
            self._stage("pbcor", image=image, pb=pb, image_pbcor=self._product("image.pbcor"))

    # What they are made of

    def _check_set_up(self) -> None:
        if self._folder is None:
            raise LifecycleError("The deconvolver is not set up.", got="a verb before setup()",
                                 expected="setup() first", next_step="call setup()")  # fmt: skip

    def _check_initialised(self) -> None:
        self._check_set_up()
        if not self._ready_for_minor:
            raise LifecycleError("Initminor Cycle has not been called yet.", got="no init_minor()",
                                 expected="init_minor() before masks and minor cycles",
                                 next_step="call init_minor()")  # fmt: skip

    def _path(self, name: str) -> str:
        return str(Path(self._folder.name) / name)

    def _product(self, name: str) -> str:
        return f"{self.imagename}.{name}{self._ending}"

    def _stage(self, name: str, *, gain: float | None = None, **arguments) -> None:
        settings = Settings.of(self.config.settings(name, len(self._minors)))
        if gain is not None:
            settings.clean.gain = float(gain)
        getattr(import_module(f"imaging.stages.{name}"), name)(**arguments, config=settings)

    def _stand_in(self, name: str, like: Image, shape: tuple[int, int] | None = None) -> str:
        """An image of ones, where the one of that name is missing."""
        grid = replace(like.grid, stokes=like.grid.stokes[:1], shape=shape or like.grid.shape)
        path = self._path(name + (self._ending or ".image"))
        save_image(Image(np.ones(grid.cube_shape, np.float32), grid, ""), path)
        return path

    def _planes(self, mask: str):
        from imaging.algorithms.cycle_control import residual_statistics

        image, clean = load_image(self._residual), self.config.clean
        shape = image.data.shape
        valid = load_image(self._pb).usable(shape, self.config.primary_beam.pblimit) & image.usable(shape)
        inside = load_image(mask).data > 0 if mask else np.zeros(shape, bool)
        return residual_statistics(image.data, inside, valid, nsigma=clean.nsigma, fastnoise=self.config.mask.fastnoise,
                                   automasking=self.config.mask.usemask == "auto-multithresh")  # fmt: skip

    def _decide(self) -> CleanState:
        """The decision on this residual; there is one for each minor cycle and one at the end."""
        if len(self._states) > len(self._minors):
            return self._states[-1]
        if not find_image(self.imagename, "mask", required=False):
            self.setup_mask()
        self._check_mask(find_image(self.imagename, "mask"))
        if not self._mask_memory:
            self._mask_memory = self._path("automask.npz")
            np.savez(self._mask_memory)
        follows = {}
        if self._states:
            follows = {"previous": self._path("state.json"), "minor": self._path("minor.json")}
        self._stage("decide", residual=self._residual, mask=find_image(self.imagename, "mask"), psf=self._psf,
                    pb=self._pb, sumwt=self._sumwt, automask=self._mask_memory, **follows,
                    state=self._path("state.json"))  # fmt: skip
        self._states.append(CleanState.from_json(Path(self._path("state.json")).read_text()))
        return self._states[-1]

    def _check_mask(self, path: str) -> None:
        """Raises ImagingError for an empty mask that is not of this deconvolver, such as an automatic one leaves."""
        automatic = self.config.mask.usemask == "auto-multithresh"
        if automatic or self._own_mask or not self.config.clean.niter or (load_image(path).data > 0).any():
            return
        raise ImagingError(f"The mask {path} is empty: there is nothing to clean.", got="0 pixels in the mask",
                           expected="some pixels to clean, or no such file: then all are cleaned",
                           next_step=f"delete {path}, or name another mask with the keyword mask")  # fmt: skip

    def _clean(self, decision: CleanState, gain: float | None = None) -> dict:
        with atomic_path(self._path("state.json")) as partial:
            partial.write_text(decision.to_json())
        self._states[-1] = decision
        minor, kept = self._path("minor.json"), self._path("memory.pickle")
        self._stage(
            "minor_cycle", gain=gain, residual=self._residual, mask=find_image(self.imagename, "mask"), psf=self._psf,
            sumwt=self._sumwt, pb=self._pb, state=self._path("state.json"), memory=self._kept,
            model=find_image(self.imagename, "model", required=False), model_out=self._product("model"), minor=minor,
            memory_out=kept, residual_out=self._product("residual"), timeout=self.config.clean.script_timeout,
        )  # fmt: skip
        self._kept = kept
        self._minors.append(MinorResult.from_json(Path(minor).read_text()))
        done = self._minors[-1]
        peaks, everywhere = (
            [p for p in (getattr(plane, name) for plane in done.planes) if p is not None]
            for name in ("peak_after", "peak_nomask")
        )
        return {
            "iterdone": done.iterdone,
            "peakresidual": max(peaks, default=0.0),
            "peakresidualnomask": max(everywhere, default=0.0),
            "updatedmodelflag": done.iterdone > 0,
            "maxcycleiterdone": max((plane.iterations for plane in done.planes), default=0),
            "summaryminor": summarise(self.config.clean, [decision], [done])["summaryminor"],
        }


def _renamed(parameters: dict) -> dict:
    """CASA's and pclean's records by tclean's keywords."""
    named = {ALIASES.get(key, key): value for key, value in parameters.items() if key not in INERT}
    if "scalebias" in named and named.get("deconvolver") in ("multiscale", "mtmfs"):
        named["smallscalebias"] = named.pop("scalebias")
    return named


def _configuration(values: dict, residual: Image) -> Config:
    """The configuration of the minor cycles, with the sizes that the images have."""
    clean = values.get("clean", {})
    if clean.get("deconvolver") == "mtmfs":
        raise ImagingError("Taylor terms are not cleaned apart from their visibilities.", got="deconvolver='mtmfs'",
                           expected="a deconvolver of single planes or joined channels",
                           next_step="use SerialImager, or another deconvolver")  # fmt: skip
    ny, nx = residual.grid.shape
    image = {"imsize": [nearest_size(nx), nearest_size(ny)]} | values.get("image", {})
    if len(residual.grid.freq) > 1:
        image["specmode"] = "cube"
    return Config.parse(values | {"image": image, "image_format": "casa"})


def _ordered(decision: CleanState, record: dict) -> CleanState:
    """The decision, with what an iteration controller orders instead."""
    threshold = float(record.get("cyclethreshold", decision.cycle_threshold))
    return replace(decision, cycle_threshold=threshold, threshold=min(decision.threshold, threshold),
                   cycle_niter=int(record.get("cycleniter", decision.cycle_niter)))  # fmt: skip
