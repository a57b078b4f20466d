"""FITS header cards, images and binary tables as bytes (FITS standard 4.0).

Products are written and read thousands of times in a run, by jobs that live for a second; importing
astropy.io.fits costs 0.2 to 0.4 s. What our own products contain (uncompressed images, tables of numbers) is
handled here; `imaging.io.fits` hands everything else to astropy.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable
from typing import BinaryIO

import numpy as np

BLOCK = 2880
DTYPES = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
COLUMNS = {"E": ">f4", "D": ">f8", "I": ">i2", "J": ">i4", "K": ">i8"}
COMMENTARY = ("HISTORY", "COMMENT", "")


class NotPlainError(Exception):
    """The file needs a full FITS reader: compressed, scaled, or not beginning with an image."""


def card(key: str, value: object, comment: str = "") -> str:
    """One keyword as 80 characters, or several: HISTORY and strings beyond 68 characters are continued."""
    if key in COMMENTARY:
        lines = [_ascii(line) for line in str(value).splitlines() or [""]]
        return "".join(f"{key:<8}{line[i : i + 72]:<72}" for line in lines for i in range(0, len(line) or 1, 72))
    if not re.fullmatch(r"[A-Z0-9_-]{1,8}", key):
        raise ValueError(f"{key!r} is no FITS keyword: at most 8 of A-Z, 0-9, - and _")
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):
        return _string_card(key, value, comment)
    if isinstance(value, bool):
        text = "T" if value else "F"
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{key} = {value}: FITS keywords hold finite numbers only")
        text = _real(value)
    else:
        text = str(int(value))
    return f"{key:<8}= {text:>20}{' / ' + _ascii(comment) if comment else ''}"[:80].ljust(80)


def _real(value: float) -> str:
    """At most 20 characters (FITS' fixed format, on which casacore insists), so 14 digits at the least."""
    text = repr(value).upper()
    for digits in range(16, 12, -1):
        if len(text) <= 20:
            break
        mantissa, _, exponent = f"{value:.{digits}E}".partition("E")
        text = f"{mantissa}E{int(exponent)}"
    return text


def _ascii(text: str) -> str:
    return "".join(c if " " <= c <= "~" else "?" for c in text)


def _string_card(key: str, value: str, comment: str) -> str:
    quoted = re.findall("''|.", _ascii(value).replace("'", "''"))
    if sum(map(len, quoted)) > 68:
        pieces = [""]
        for symbol in quoted:
            if len(pieces[-1]) + len(symbol) > 67:
                pieces.append("")
            pieces[-1] += symbol
    else:
        pieces = ["".join(quoted)]
    lines = [
        f"{f'{key:<8}= ' if i == 0 else 'CONTINUE  '}'{piece:<8}{'&' if i < len(pieces) - 1 else ''}'"
        for i, piece in enumerate(pieces)
    ]
    if comment and len(lines[-1]) < 70:
        lines[-1] = f"{lines[-1]:<30} / {_ascii(comment)}"
    return "".join(line[:80].ljust(80) for line in lines)


def write_header(file: BinaryIO, cards: Iterable[str]) -> None:
    text = "".join(cards) + f"{'END':<80}"
    file.write(text.ljust(-(-len(text) // BLOCK) * BLOCK).encode("ascii"))


def pad(file: BinaryIO) -> None:
    """Fill the current block with zeros, as a data unit must be."""
    file.write(bytes(-file.tell() % BLOCK))


def write_table(
    file: BinaryIO, name: str, columns: dict[str, tuple[np.ndarray, str]], extra: Iterable[str] = ()
) -> None:
    """A binary table; `columns` maps a name to (values, unit) with values of a type in COLUMNS."""
    formats = {np.dtype(v).newbyteorder("="): k for k, v in COLUMNS.items()}
    rows = np.empty(
        len(next(iter(columns.values()))[0]),
        dtype=[(key, values.dtype.newbyteorder(">")) for key, (values, _) in columns.items()],
    )
    cards = [
        card("XTENSION", "BINTABLE"),
        card("BITPIX", 8),
        card("NAXIS", 2),
        card("NAXIS1", rows.dtype.itemsize),
        card("NAXIS2", len(rows)),
        card("PCOUNT", 0),
        card("GCOUNT", 1),
        card("TFIELDS", len(columns)),
    ]
    for i, (key, (values, unit)) in enumerate(columns.items(), 1):
        rows[key] = values
        cards += [card(f"TTYPE{i}", key), card(f"TFORM{i}", "1" + formats[values.dtype.newbyteorder("=")])]
        cards += [card(f"TUNIT{i}", unit)] if unit else []
    write_header(file, [*cards, card("EXTNAME", name), *extra])
    file.write(rows.tobytes())
    pad(file)


def read_header(file: BinaryIO) -> tuple[dict, list[str]]:
    """Keywords (of repeated ones the last; HISTORY as a list) of the header at the file's position."""
    header: dict = {}
    last = None
    history = []
    while True:
        block = file.read(BLOCK)
        if len(block) < BLOCK:
            raise NotPlainError("the header has no end")
        for i in range(0, BLOCK, 80):
            line = block[i : i + 80].decode("latin-1")
            key = line[:8].rstrip()
            if key == "END":
                return header, history
            if key == "HISTORY":
                history.append(line[8:].rstrip())
            elif key == "CONTINUE" and isinstance(header.get(last), str):
                header[last] = header[last].removesuffix("&") + str(_value(line[8:]))
            elif line[8:10] == "= ":
                header[last := key] = _value(line[10:])


def _value(text: str) -> object:
    if match := re.match(r" *'((?:[^']|'')*)'", text):
        return match[1].replace("''", "'").rstrip()
    text = text.split("/")[0].strip()
    if text in ("T", "F"):
        return text == "T"
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text.upper().replace("D", "E"))
    except ValueError:
        return text


def read(path: str | os.PathLike) -> tuple[dict, list[str], np.ndarray, dict[str, tuple[np.ndarray, dict]]]:
    """Header, history, pixels (mapped, FITS axes reversed) and binary tables of a plain FITS image.

    A table is, under its name, (rows, unit by column).
    """
    with open(path, "rb") as file:
        if file.read(9) != b"SIMPLE  =":
            raise NotPlainError("it does not begin with SIMPLE")
        file.seek(0)
        header, history = read_header(file)
        shape = tuple(header[f"NAXIS{i}"] for i in range(header["NAXIS"], 0, -1))
        scaled = header.get("BSCALE", 1) != 1 or header.get("BZERO", 0) != 0 or "BLANK" in header
        if len(shape) < 2 or not all(shape) or scaled:
            raise NotPlainError("the first unit is no plain image")
        dtype = np.dtype(DTYPES[header["BITPIX"]])
        start = file.tell()
        end = start + math.prod(shape) * dtype.itemsize
        size = os.fstat(file.fileno()).st_size
        if size < end:
            raise NotPlainError("it is shorter than its header says")
        pixels = np.memmap(file, dtype, "r", start, shape)
        tables = {}
        file.seek(_next_block(end))
        while file.tell() + BLOCK <= size:
            extension, _ = read_header(file)
            start = file.tell()
            rows, length = extension.get("NAXIS2", 0), extension.get("NAXIS1", 0)
            names = range(1, extension.get("TFIELDS", 0) + 1)
            forms = [extension[f"TFORM{i}"].lstrip("1") for i in names]
            if extension.get("XTENSION") != "BINTABLE" or not set(forms) <= set(COLUMNS):
                raise NotPlainError("it has extensions of other kinds")
            columns = np.dtype([(extension[f"TTYPE{i}"], COLUMNS[form]) for i, form in zip(names, forms, strict=True)])
            units = {extension[f"TTYPE{i}"]: extension.get(f"TUNIT{i}", "") for i in names}
            tables[extension.get("EXTNAME", "")] = (np.frombuffer(file.read(rows * length), columns), units)
            file.seek(_next_block(start + rows * length + extension.get("PCOUNT", 0)))
    return header, history, pixels, tables


def _next_block(position: int) -> int:
    return -(-position // BLOCK) * BLOCK
