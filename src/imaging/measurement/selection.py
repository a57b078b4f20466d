"""Sources chosen by words: names, wildcards, tags and their values.

Words are parted by blanks or commas and read from left to right. Each adds to the choice, but for those that begin
with & (and) and - (except), which take away; where the first does, all sources are there before it.

    3C* A?          names, with wildcards; all
    =bright         what has the tag
    I>=0.5 r<2d     tags by value: = == != >= <= > < or .eq. .ne. .ge. .le. .gt. .lt.; d, m, s: degrees, arcmin, arcsec

Besides the attributes of a source I, Q, U, V (Jy) and r (rad from the phase centre) are known.
"""

from __future__ import annotations

import fnmatch
import math
import operator
import re
from collections.abc import Callable, Iterable

from imaging.errors import ImagingError
from imaging.measurement.contracts import name_of

COMPARE = {
    ">=": operator.ge, "<=": operator.le, "!=": operator.ne, "==": operator.eq, "=": operator.eq, ">": operator.gt,
    "<": operator.lt, ".ge.": operator.ge, ".le.": operator.le, ".ne.": operator.ne, ".eq.": operator.eq,
    ".gt.": operator.gt, ".lt.": operator.lt,
}  # fmt: skip
UNITS = {"": 1.0, "d": math.pi / 180, "m": math.pi / 10800, "s": math.pi / 648000}
COMPARISON = re.compile(
    r"=?(?P<tag>[^=<>!.&-][^=<>!]*?)(?P<sign>" + "|".join(map(re.escape, COMPARE)) + r")(?P<value>.+?)(?P<unit>[dms]?)",
    re.IGNORECASE,
)


def attribute(source, name: str, centre: tuple[float, float] | None = None):
    """A source's attribute, or None; fluxes and the distance from the phase centre where it has no such attribute."""
    found = source.get_attr(name) if hasattr(source, "get_attr") else None
    if found is not None:
        return found
    if name in "IQUV" and hasattr(source, "component"):
        return source.component.stokes["IQUV".index(name)]
    if name in "IQUV" and hasattr(source, "get_value"):  # Meow's
        return source.get_value(name, default=0)
    if name == "r":
        return _distance(source, centre)
    return None


def _distance(source, centre):
    if hasattr(source, "static_lmn"):
        lmn = source.static_lmn
    elif hasattr(source, "direction"):
        lmn = source.direction.lmn_static()
    else:
        lmn = source.lmn(centre) if centre is not None else None
    return None if lmn is None else math.asin(min(1.0, math.hypot(lmn[0], lmn[1])))


def predicate(text: str, centre: tuple[float, float] | None = None) -> Callable[[object], bool]:
    """Whether a source is chosen. `centre`: the phase centre (ra, dec), rad. Raises ImagingError for a wrong word."""
    words = [_word(word, centre) for word in re.split(r"[\s,]+", text.strip()) if word]
    if not words:
        raise ImagingError("The choice of sources is empty.", got=repr(text), expected="names, =tag or tag<value",
                           next_step="write all to choose all sources")  # fmt: skip

    def chosen(source) -> bool:
        answer = words[0][0] != "|"
        for sign, is_one in words:
            if sign == "|":
                answer = answer or is_one(source)
            elif answer:
                answer = is_one(source) == (sign == "&")
        return bool(answer)

    return chosen


def _word(word: str, centre):
    sign, rest = (word[0], word[1:]) if word[0] in "&-|" else ("|", word)
    compared = COMPARISON.fullmatch(rest)
    if compared:
        tag, compare, unit = compared["tag"], COMPARE[compared["sign"].lower()], UNITS[compared["unit"].lower()]
        try:
            value = float(compared["value"]) * unit
        except ValueError:
            raise ImagingError(
                f"The choice of sources compares {tag} with no number.",
                got=word,
                expected="a number, with d, m or s for angles",
                next_step="correct it",
            ) from None
        return sign, lambda x: (have := attribute(x, tag, centre)) is not None and compare(have, value)
    if rest.startswith("="):
        return sign, lambda x: bool(attribute(x, rest[1:], centre))
    if not rest:
        raise ImagingError("A word of the choice of sources is nothing but a sign.", got=word,
                           expected="a name, =tag or tag<value behind it", next_step="correct it")  # fmt: skip
    if rest.lower() == "all":
        return sign, lambda x: True
    return sign, lambda x: fnmatch.fnmatchcase(name_of(x), rest)


def select(text: str, sources: Iterable, centre: tuple[float, float] | None = None) -> list:
    """The chosen ones among sources, in their order."""
    chosen = predicate(text, centre)
    return [x for x in sources if chosen(x)]
