"""The walk through the loop: which files a stage takes in a cycle, given what was decided so far."""

from __future__ import annotations

from collections.abc import Callable

from imaging.errors import ImagingError
from imaging.names import Names
from imaging.state import CleanState

CYCLE_LIMIT = 2000
"""Cycles after the first: the largest clean.nmajor."""
ONE_A_CYCLE = ("model", "minor", "memory")  # whichever residual, psf-type or exact, the minor cycle starts from


def number(cycle: str) -> int:
    return int(cycle.removesuffix(".exact"))


class Loop:
    """Both drivers, the workflow and `SerialImager`, go through this.

    A cycle is its number as file names have it, `003`, or `003.exact` where it is done again on a residual made from
    the visibilities. `state_of(cycle)` is what was decided in it; it may raise where that is not known yet. `model` is
    the final model, of Taylor terms a list.
    """

    def __init__(self, config, names: Names, state_of: Callable[[str], CleanState]):
        self.names, self.state_of = names, state_of
        self.automatic = config.mask.usemask == "auto-multithresh"
        self.mode = config.gridding.major_cycle
        self.model = names.terms("model", config.nterms) if config.clean.multiterm else names.model()
        self.keeps_scales = config.clean.deconvolver == "wideband" and not config.clean.schedule
        self.startmodel = names.startmodel() if config.clean.startmodel else []

    def decided(self, cycle: str) -> str:
        """The cycle as its decision counts: `003.exact` where `003` would stop at a residual that is not exact."""
        if self.mode == "hybrid" and number(cycle):
            state = self.state_of(cycle)
            if state.stop and state.psf_error is not None:
                return f"{cycle}.exact"
        return cycle

    def previous(self, product: str, cycle: str) -> str | list[str]:
        """The product of the cycle before; in the first one none, or the model to start from."""
        if not number(cycle):
            return self.startmodel if product == "model" else []
        before = f"{number(cycle) - 1:03d}"
        return self.names.path(product, before if product in ONE_A_CYCLE else self.decided(before))

    def by_convolution(self, path: str | list[str], cycle: str) -> str | list[str]:
        """What a major cycle needs to do without the visibilities; nothing where it is to be exact."""
        return path if self.mode != "exact" and cycle.isdigit() and int(cycle) else []

    def mask_of(self, cycle: str) -> str:
        """Automatic masks are made anew in every cycle, the others once."""
        return self.names.mask(cycle if self.automatic else "000")

    def automask_of(self, cycle: str) -> str:
        return self.names.automask(cycle if self.automatic else "000")

    def last_cycle(self) -> str:
        """The first cycle, as its decision counts, at which the state says stop."""
        for count in range(CYCLE_LIMIT + 1):
            cycle = self.decided(f"{count:03d}")
            if self.state_of(cycle).stop:
                return cycle
        raise ImagingError(f"There is no end after {CYCLE_LIMIT} cycles.", got="no state that says stop",
                           expected="a peak below clean.threshold, or a limit",
                           next_step="set clean.nmajor, or a higher clean.threshold")  # fmt: skip

    def exact(self, cycle: str) -> str:
        """The residual to end with: in a hybrid run an exact one also where the clean has gone back to this cycle."""
        if self.mode == "hybrid" and int(cycle) and self.state_of(cycle).psf_error is not None:
            return self.names.residual(f"{cycle}.exact")
        return self.names.residual(cycle)

    def finished(self, last: str) -> dict:
        """Inputs of restore: the residual, model and mask that a loop ended with whose last cycle is `last`."""
        best = self.state_of(last).best_cycle
        return {
            "residual": self.exact(f"{best:03d}"),
            "model": self.names.model(best - 1) if best else self.startmodel,
            "mask": self.mask_of(self.decided(f"{max(best - 1, 0):03d}")),
            "state": self.names.state(last),
        }

    def listed(self, last: str) -> dict:
        """Inputs of components: the final model, what the deconvolver kept of scales, and what it began with."""
        best = self.state_of(last).best_cycle
        return {"model": self.model,
                "memory": self.names.memory(best - 1) if best and self.keeps_scales else [],
                "startmodel": self.startmodel}  # fmt: skip

    def history(self, last: str) -> dict[str, list[str]]:
        """Inputs of report: what was decided and done in each cycle."""
        count = number(last)
        return {
            "states": [*(self.names.state(self.decided(f"{cycle:03d}")) for cycle in range(count)),
                       self.names.state(last)],
            "minors": [self.names.minor(cycle) for cycle in range(count)],
        }  # fmt: skip
