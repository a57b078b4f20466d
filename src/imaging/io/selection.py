"""CASA's selection strings → what to read of one MeasurementSet, decided row by row from plain columns.

Nothing here touches a file: `parse_selection` gets the names that the strings may speak of, `Selection.rows`
the scalar columns of some rows. Syntax: CASA's data selection; see each function for what is understood.
"""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from imaging.errors import ImagingError
from imaging.units import SPEED_OF_LIGHT

EPOCH = datetime(1858, 11, 17, tzinfo=UTC)
"""Modified Julian day 0: the columns TIME count seconds from here."""
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_HERTZ = {"hz": 1.0, "khz": 1e3, "mhz": 1e6, "ghz": 1e9, "thz": 1e12}
_LENGTHS = {"": 1.0, "m": 1.0, "km": 1e3, "cm": 1e-2, "mm": 1e-3}
_LAMBDAS = {"lambda": 1.0, "klambda": 1e3, "mlambda": 1e6, "glambda": 1e9}


@dataclass(frozen=True)
class Selection:
    """Which rows and channels of one MeasurementSet; None stands for all."""

    fields: frozenset[int] | None = None
    channels: dict[int, np.ndarray] | None = None
    """Spectral window → (chan,) bool."""
    times: tuple[tuple[float, float], ...] | None = None
    """Ranges of TIME in s; (t, t) takes the integration that contains t."""
    uvdistances: tuple[tuple[float, float, bool], ...] | None = None
    """(least, most, whether in wavelengths instead of m)."""
    baselines: np.ndarray | None = None
    """(antenna, antenna) bool."""
    scans: tuple[tuple[int, int], ...] | None = None
    observations: tuple[tuple[int, int], ...] | None = None
    states: frozenset[int] | None = None

    def rows(self, columns: dict[str, np.ndarray], spw: np.ndarray, frequency: np.ndarray) -> dict[str, np.ndarray]:
        """For each criterion that is set, which rows meet it: {'field': (row,) bool, …}.

        `columns` are those of the main table by name, `spw` the spectral window of every row and `frequency`
        its central frequency (Hz), which turns uv distances into wavelengths as CASA does: one number a window.
        """
        met = {}
        if self.fields is not None:
            met["field"] = np.isin(columns["FIELD_ID"], sorted(self.fields))
        if self.channels is not None:
            met["spw"] = np.isin(spw, sorted(self.channels))
        if self.times is not None:
            time, half = columns["TIME"], columns["INTERVAL"] / 2
            met["timerange"] = _any_of(
                np.abs(time - low) <= half if low == high else (time >= low) & (time <= high)
                for low, high in self.times
            )
        if self.uvdistances is not None:
            distance = np.hypot(columns["UVW"][:, 0], columns["UVW"][:, 1])
            wavelengths = distance * frequency / SPEED_OF_LIGHT
            met["uvrange"] = _any_of(
                (d >= low) & (d <= high)
                for low, high, waves in self.uvdistances
                for d in [wavelengths if waves else distance]
            )
        if self.baselines is not None:
            met["antenna"] = self.baselines[columns["ANTENNA1"], columns["ANTENNA2"]]
        for name, ranges, column in (
            ("scan", self.scans, "SCAN_NUMBER"),
            ("observation", self.observations, "OBSERVATION_ID"),
        ):
            if ranges is not None:
                met[name] = _any_of((columns[column] >= a) & (columns[column] <= b) for a, b in ranges)
        if self.states is not None:
            met["intent"] = np.isin(columns["STATE_ID"], sorted(self.states))
        return met


def _any_of(masks):
    return np.logical_or.reduce(list(masks))


def parse_selection(meta, data) -> Selection:
    """The Selection that the strings of `data` (field, spw, timerange, …) make in one MeasurementSet.

    `meta` names what there is: `path`, `fields`, `windows` (objects with name, freq, width), `antennas`,
    `stations`, `intents` (OBS_MODE by state) and `first_time` (s). Raises ImagingError for what is no CASA
    syntax or names nothing there.
    """
    windows = meta.windows
    return Selection(
        fields=_ids("field", data.field, meta.fields) if data.field.strip() else None,
        channels=parse_spw(data.spw, windows) if data.spw.strip() else None,
        times=parse_timerange(data.timerange, meta.first_time) if data.timerange.strip() else None,
        uvdistances=parse_uvrange(data.uvrange) if data.uvrange.strip() else None,
        baselines=parse_antenna(data.antenna, meta.antennas, meta.stations) if data.antenna.strip() else None,
        scans=parse_ranges("scan", data.scan) if data.scan.strip() else None,
        observations=parse_ranges("observation", data.observation) if data.observation.strip() else None,
        states=parse_intent(data.intent, meta.intents) if data.intent.strip() else None,
    )


def _wrong(parameter: str, token: str, expected: str) -> ImagingError:
    return ImagingError(f"data.{parameter} {token!r} is not understood.", got=token, expected=expected,
                        next_step=f"correct data.{parameter}; '' selects everything")  # fmt: skip


def _unknown(parameter: str, token: str, known: list[str]) -> ImagingError:
    shown = ", ".join(known[:40]) + (f", … ({len(known)} in all)" if len(known) > 40 else "")
    return ImagingError(f"data.{parameter} {token!r} is not in the data.", got=token, expected=shown or "(none)",
                        next_step=f"choose from these, or leave data.{parameter} empty for all")  # fmt: skip


def _split(text: str, separator: str) -> list[str]:
    """Items between separators that stand outside quotes, braces, brackets and /regular expressions/."""
    items, current, quote, depth = [], "", "", 0
    for i, char in enumerate(text):
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"" or (char == "/" and not current.strip() and "/" in text[i + 1 :]):
            quote = char
        elif char in "{[":
            depth += 1
        elif char in "}]":
            depth -= 1
        if char == separator and not quote and depth <= 0:
            items.append(current.strip())
            current = ""
        else:
            current += char
    return [item for item in [*items, current.strip()] if item]


def _pattern(token: str):
    """A compiled pattern for `ea*`, `{a,b}?` or `/regex/`; None where the token is a plain name."""
    if len(token) > 1 and token[0] == token[-1] == "/":
        return re.compile(token[1:-1])
    if not any(c in token for c in "*?[{"):
        return None
    if "{" in token and "}" in token:
        head, rest = token.split("{", 1)
        inner, tail = rest.split("}", 1)
        return re.compile("|".join(f"(?:{fnmatch.translate(head + part + tail)})" for part in inner.split(",")))
    return re.compile(fnmatch.translate(token))


def _named(token: str, names) -> set[int]:
    """The places in `names` of a name in or without quotes, or of what a pattern matches."""
    if len(token) > 1 and token[0] == token[-1] and token[0] in "'\"":
        return {i for i, name in enumerate(names) if name == token[1:-1]}
    pattern = _pattern(token)
    if pattern is not None:
        return {i for i, name in enumerate(names) if pattern.fullmatch(name)}
    return {i for i, name in enumerate(names) if name == token}


def _numbers(token: str) -> tuple[float, float] | None:
    """`3`, `3~5`, `<3`, `>3` as the range of whole numbers it means; None for anything else."""
    match = re.fullmatch(r"(\d+)(?:\s*~\s*(\d+))?|([<>])\s*(\d+)", token)
    if not match:
        return None
    low, high, sign, bound = match.groups()
    if sign:
        return (int(bound) + 1, 2**62) if sign == ">" else (-(2**62), int(bound) - 1)
    return int(low), int(high or low)


def _ids(parameter: str, text: str, names, names_first: bool = False, known=None) -> frozenset[int]:
    """Places in `names` chosen by number, range, name or pattern; several between commas.

    A plain number is an id, except where `names_first` and something is called so (antennas). `known` describes
    what there is, for messages.
    """
    chosen: set[int] = set()
    for token in _split(text, ","):
        found = _named(token, names) if names_first else set()
        numbers = _numbers(token)
        if not found and numbers:
            found = {i for i in range(len(names)) if numbers[0] <= i <= numbers[1]}
        found = found or _named(token, names)
        if not found:
            raise _unknown(parameter, token, known or [f"{i} ({name})" for i, name in enumerate(names)])
        chosen |= found
    return frozenset(chosen)


def parse_ranges(parameter: str, text: str) -> tuple[tuple[int, int], ...]:
    """`3~5,8,>20` as inclusive ranges of whole numbers."""
    ranges = []
    for token in _split(text, ","):
        numbers = _numbers(token)
        if numbers is None:
            raise _wrong(parameter, token, "whole numbers and ranges between commas, such as 3~5,8,>20")
        ranges.append(numbers)
    return tuple(ranges)


def parse_intent(text: str, intents) -> frozenset[int]:
    """States whose OBS_MODE, or one of the comma-separated intents in it, is named or matched."""
    chosen = set()
    for token in _split(text, ","):
        found = {
            state for state, mode in enumerate(intents) if any(_named(token, [m]) for m in (mode, *mode.split(",")))
        }
        if not found:
            raise _unknown("intent", token, sorted(set(intents)))
        chosen |= found
    return frozenset(chosen)


def parse_spw(text: str, windows) -> dict[int, np.ndarray]:
    """`0:3~20;30~40,1`, `*:5~58`, `ALMA_RB_03*`, `0:1.2~1.3GHz`, `84~86GHz`, `0:0~63^4` as masks of channels.

    A frequency range in place of a window takes those whose central frequency it contains.
    """
    chosen: dict[int, np.ndarray] = {}
    known = [f"{i} ({_describe(w)})" for i, w in enumerate(windows)]
    for item in _split(text, ","):
        head, _, tail = (part.strip() for part in item.partition(":"))
        band = _band(head)
        if head == "*":
            found = range(len(windows))
        elif band:
            found = [i for i, w in enumerate(windows) if len(w.freq) and band[0] <= np.mean(w.freq) <= band[1]]
        else:
            found = sorted(_ids("spw", head, [w.name for w in windows], known=known))
        masks = {i: _channels(tail, windows[i]) for i in found}
        if not any(mask.any() for mask in masks.values()):
            raise _unknown("spw", item, known)
        for i, mask in masks.items():
            if mask.any():
                chosen[i] = chosen.get(i, False) | mask
    return chosen


def _describe(window) -> str:
    name = f"{window.name}, " if window.name else ""
    if not len(window.freq):
        return f"{name}no channels"
    if len(window.freq) == 1:
        return f"{name}1 channel, {window.freq[0] / 1e6:.6g}MHz"
    return f"{name}{len(window.freq)} channels, {window.freq.min() / 1e6:.6g}~{window.freq.max() / 1e6:.6g}MHz"


def _band(token: str) -> tuple[float, float] | None:
    """`1.2~1.3GHz`, `>1.3GHz` in Hz; None for anything that is not in a unit of frequency."""
    match = re.fullmatch(rf"([<>]?)\s*({_NUMBER})\s*(\w*)\s*(?:~\s*({_NUMBER})\s*(\w*))?", token)
    if not match:
        return None
    sign, low, low_unit, high, high_unit = match.groups()
    scale = _HERTZ.get((high_unit or low_unit or "").lower())
    if scale is None:
        return None
    low = float(low) * _HERTZ.get((low_unit or high_unit).lower(), scale)
    if sign:
        return (low, np.inf) if sign == ">" else (0.0, low)
    return low, float(high) * scale if high else low


def _channels(text: str, window) -> np.ndarray:
    """The mask of channels that `3~20;30~40`, `<10`, `0~63^4`, `^2` or `1.2~1.3GHz` takes of one window."""
    mask = np.zeros(len(window.freq), bool)
    for token in _split(text, ";"):
        body, _, step = (part.strip() for part in token.partition("^"))
        band, numbers = _band(body), _numbers(body or f"0~{len(mask)}")
        if (band is None and numbers is None) or not (step or "1").isdigit() or step == "0":
            raise _wrong("spw", token, "channels such as 3~20;30~40, every fourth 0~63^4, or 1.2~1.3GHz")
        if band and band[0] == band[1]:
            inside = np.abs(window.freq - band[0]) <= np.abs(window.width) / 2
        elif band:
            inside = (window.freq >= band[0]) & (window.freq <= band[1])
        else:
            number = np.arange(len(mask))
            inside = (number >= numbers[0]) & (number <= numbers[1])
        mask[np.flatnonzero(inside)[:: int(step or 1)]] = True
    return mask if text else np.ones(len(window.freq), bool)


def parse_timerange(text: str, first_time: float) -> tuple[tuple[float, float], ...]:
    """`2010/04/26/03:21:00~03:25:00`, `>03:21:00`, `03:21:00+00:04:00`, `2010/04/26` as ranges of seconds.

    A time without a date is on the day of `first_time`, the end of a range on the day of its beginning.
    """
    ranges = []
    for token in _split(text.replace("'", ""), ","):
        low, kind, high = (part.strip() for part in re.fullmatch(r"([<>]?[^~+]*)([~+]?)(.*)", token).groups())
        begin, end, midnight = _moment(low.lstrip("<> "), first_time)
        if low[:1] == ">":
            end = np.inf
        elif low[:1] == "<":
            begin, end = -np.inf, begin
        elif kind == "~":
            end = _moment(high, midnight)[0]
        elif kind == "+":
            end = begin + _seconds(high)
        if begin > end:
            raise _wrong("timerange", token, "a range from earlier to later; dates may be given: 2010/04/26/03:21:00")
        ranges.append((begin, end))
    return tuple(ranges)


def _seconds(text: str) -> float:
    """`hh:mm:ss.s`, `hh:mm` or a number of seconds."""
    parts = text.split(":")
    if not all(re.fullmatch(r"\d+(\.\d*)?", p) for p in parts) or len(parts) > 3:
        raise _wrong("timerange", text, "a time such as 03:21:00 or 2010/04/26/03:21:00")
    if len(parts) == 1:
        return float(parts[0])
    return sum(float(p) * scale for p, scale in zip(parts, (3600, 60, 1), strict=False))


def _moment(text: str, default: float) -> tuple[float, float, float]:
    """A date and time as the seconds it stands for, from and to (one moment or a whole day), and its midnight."""
    match = re.fullmatch(r"(?:(\d{4})/(\d{1,2})/(\d{1,2})/?)?(.*)", text)
    year, month, day, clock = match.groups()
    if year:
        try:
            date = datetime(int(year), int(month), int(day), tzinfo=UTC)
        except ValueError:
            raise _wrong("timerange", text, "a date such as 2010/04/26") from None
        midnight = (date - EPOCH) / timedelta(seconds=1)
    else:
        midnight = default // 86400 * 86400
    if not clock and year:
        return midnight, midnight + 86400, midnight
    if ":" not in clock and not year:
        raise _wrong("timerange", text, "a time such as 03:21:00 or 2010/04/26/03:21:00")
    moment = midnight + (_seconds(clock) if ":" in clock else 3600 * _seconds(clock))
    return moment, moment, midnight


def parse_uvrange(text: str) -> tuple[tuple[float, float, bool], ...]:
    """`>100m`, `100~200`, `0.1~20klambda`, `4lambda:10%` as (least, most, in wavelengths)."""
    ranges = []
    for token in _split(text, ","):
        match = re.fullmatch(
            rf"([<>]?)\s*({_NUMBER})\s*([a-zA-Z]*)\s*(?:~\s*({_NUMBER})\s*([a-zA-Z]*))?\s*(?::\s*({_NUMBER})\s*%)?",
            token,
        )
        sign, low, low_unit, high, high_unit, percent = match.groups() if match else [None] * 6
        units = [(u or high_unit or low_unit or "").lower() for u in (low_unit, high_unit)] if match else ["?"]
        if not all(unit in _LENGTHS or unit in _LAMBDAS for unit in units) or (sign and high):
            raise _wrong("uvrange", token, "a range such as >100m, 100~200 (metres) or 0.1~20klambda")
        waves = units[0] in _LAMBDAS
        scales = [(_LAMBDAS if waves else _LENGTHS).get(unit, np.nan) for unit in units]
        least, most = float(low) * scales[0], float(high) * scales[1] if high else float(low) * scales[0]
        if sign:
            least, most = (np.nextafter(least, np.inf), np.inf) if sign == ">" else (0.0, np.nextafter(least, 0))
        elif percent:
            least, most = least * (1 - float(percent) / 100), most * (1 + float(percent) / 100)
        if not least <= most:
            raise _wrong("uvrange", token, "a range from less to more, in one kind of unit")
        ranges.append((float(least), float(most), waves))
    return tuple(ranges)


def parse_antenna(text: str, names, stations=()) -> np.ndarray:
    """CASA's antenna and baseline syntax as the (antenna, antenna) baselines it takes.

    `A,B` all baselines with A or B; `A&B` between them; `A&` within the list A; `A&&B`, `A&&` with
    autocorrelations; `A&&&` only these; `!…` without; several between semicolons, one after the other. An
    antenna is a name, an id, a range `1~3`, a pattern `ea*` or `name@station`; a number is a name where an
    antenna is called so.
    """
    count = len(names)
    taken = np.zeros((count, count), bool)
    for place, item in enumerate(_split(text, ";")):
        leave_out = item.startswith("!")
        if leave_out and place == 0:
            taken[:] = True
        body = item.lstrip("! ")
        sign = next((s for s in ("&&&", "&&", "&") if s in body), "")
        left, _, right = (part.strip() for part in (body.partition(sign) if sign else (body, "", "*")))
        first = _antennas(left, names, stations)
        second = _antennas(right, names, stations) if right else first
        some = np.zeros((count, count), bool)
        some[np.ix_(first, second)] = True
        some |= some.T
        diagonal = np.eye(count, dtype=bool)
        if sign == "&&&":
            some &= diagonal
        elif sign != "&&":
            some &= ~diagonal
        taken = taken & ~some if leave_out else taken | some
    return taken


def _antennas(text: str, names, stations) -> list[int]:
    chosen: set[int] = set()
    for token in _split(text, ","):
        name, at, station = (part.strip() for part in token.partition("@"))
        if at and stations:
            here = _named(station, stations)
            found = here & (_named(name, names) if name and name != "*" else here)
            if not found:
                raise _unknown("antenna", token, [f"{n}@{s}" for n, s in zip(names, stations, strict=True)])
        else:
            found = _ids("antenna", token, names, names_first=True)
        chosen |= found
    return sorted(chosen)
