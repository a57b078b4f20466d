"""When self-calibration goes on: the dynamic range of each round's image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np


@dataclass(frozen=True)
class Round:
    """What came of one round: its image's peak and noise (Jy/beam), and of its solutions, from round 1 on, the fraction
    that is flagged and the median signal to noise."""

    round: int
    peak: float
    rms: float
    flagged: float | None = None
    signal: float | None = None

    @property
    def dynamic_range(self) -> float:
        return self.peak / self.rms if self.rms > 0 else 0.0


@dataclass(frozen=True)
class Verdict:
    """All rounds so far, the best of them, and whether another is to follow; why not."""

    rounds: tuple[Round, ...]
    best: int
    stop: bool
    reason: str

    def as_dict(self) -> dict:
        rounds = [asdict(one) | {"dynamic_range": one.dynamic_range} for one in self.rounds]
        return {"rounds": rounds, "best": self.best, "stop": self.stop, "reason": self.reason}

    @classmethod
    def of(cls, data: dict) -> Verdict:
        rounds = [{k: v for k, v in one.items() if k != "dynamic_range"} for one in data["rounds"]]
        return cls(tuple(Round(**one) for one in rounds), data["best"], data["stop"], data["reason"])


def peak_and_noise(image: np.ndarray, residual: np.ndarray, mask: np.ndarray, valid: np.ndarray) -> tuple[float, float]:
    """The image's peak, and its rms off the sources (all Jy/beam).

    Off the sources is outside the mask. Where that leaves less than a third of the valid pixels, as without a mask, it
    is the rms of the whole residual.
    """
    peak = float(np.max(image, initial=0.0, where=valid))
    off = valid & ~mask
    values = image[off] if off.sum() >= valid.sum() / 3 else residual[valid]
    return peak, float(np.sqrt(np.mean(np.square(values, dtype=float)))) if values.size else 0.0


def next_differs(number: int, *lists: Sequence) -> bool:
    """Whether the round after `number` is of another kind: by `lists` of what rounds 1, 2, ... do; the last holds."""
    return number == 0 or any(of[min(number, len(of)) - 1] != of[min(number + 1, len(of)) - 1] for of in lists)


def judge(earlier: Verdict | None, now: Round, mingain: float, most: int, next_differs: bool) -> Verdict:
    """Whether another round follows: not after `most`, nor where the best dynamic range has not grown by `mingain` (a
    fraction) in a round that is like the next."""
    rounds = (*(earlier.rounds if earlier else ()), now)
    before = max((one.dynamic_range for one in rounds[:-1]), default=0.0)
    best = max(rounds, key=lambda one: (one.dynamic_range, -one.round)).round
    grown = now.dynamic_range > (1 + mingain) * before
    if now.round >= most:
        return Verdict(rounds, best, True, "selfcal.rounds are done")
    if not grown and not next_differs:
        worse = now.dynamic_range < before
        reason = "the dynamic range has fallen" if worse else "the dynamic range has not grown by selfcal.mingain"
        return Verdict(rounds, best, True, reason)
    return Verdict(rounds, best, False, "not finished")
