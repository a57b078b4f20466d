"""The runs that self-calibration consists of: their configurations, and where their products are."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from imaging.algorithms.selfcal import Verdict, judge, next_differs
from imaging.names import Names


class Rounds:
    """Round 0 images the data as they are, round n with the solutions of round n: each is a run of its own."""

    def __init__(self, config, names: Names):
        self.config, self.base, self.most = config, names, config.selfcal.rounds

    def names(self, number: int | str) -> Names:
        """Those of a round: m31-self2; also with a wildcard."""
        return Names(f"{self.base.name}-self{number}", self.base.results, self.base.image_format)

    @property
    def runs(self) -> list[Names]:
        """The run itself, and its rounds where there are any."""
        return [self.base, *map(self.names, range(self.most + 1 if self.most else 0))]

    def values(self, given: dict, number: int) -> dict:
        """The configuration of a round: that of the run, with the solutions, and no self-calibration in it."""
        values = copy.deepcopy(dict(given))
        values.pop("selfcal", None)
        values["name"] = self.names(number).name
        if number:
            values["data"] = (values.get("data") or {}) | {"solutions": self.names(number).solutions()}
        return values

    def products(self, number: int, paths: list[str]) -> list[str]:
        """The same products of a round."""
        names = self.names(number)
        return [path.replace(f"{self.base.folder}/{self.base.name}.", f"{names.folder}/{names.name}.", 1)
                for path in paths]  # fmt: skip

    def to_resume(self) -> list[str]:
        """Verdicts of all rounds so far where a run has left one of these unfinished, else none.

        As targets they bring the rounds into the first graph of jobs. Snakemake follows checkpoints that are done only
        for jobs of that graph: a job that joins it later it would take as done, or start without its inputs, where
        the first states of a loop are there.
        """
        if not any(map(self._unfinished, range(self.most + 1 if self.most else 0))):
            return []
        last = 0
        while last < self.most:
            verdict = Path(self.names(last).selfcal())
            if verdict.exists():
                if self._again(json.loads(verdict.read_text())).stop:
                    break
            elif not Path(self.names(last + 1).folder).exists():  # it is also gone while it is made again
                break
            last += 1
        return [self.names(number).selfcal() for number in range(last + 1)]

    def _unfinished(self, number: int) -> bool:
        """Whether the loop of a round has gone on since it was judged."""
        verdict, folder = Path(self.names(number).selfcal()), Path(self.names(number).folder)
        made = verdict.stat().st_mtime if verdict.exists() else 0.0
        return any(path.stat().st_mtime > made for path in folder.glob("*.state.json"))

    def _again(self, said: dict) -> Verdict:
        """What is to be said of the same rounds by the limits of now."""
        selfcal, said = self.config.selfcal, Verdict.of(said)
        now, earlier = said.rounds[-1], replace(said, rounds=said.rounds[:-1])
        differs = next_differs(now.round, selfcal.calmode, selfcal.solint)
        return judge(earlier, now, selfcal.mingain, selfcal.rounds, differs)

    @property
    def plots(self) -> bool:
        """Whether pictures can be made of solutions."""
        return find_spec("matplotlib") is not None
