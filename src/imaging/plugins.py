"""Finding the parts that can be exchanged by name: built in, installed (an entry point), or a script."""

from __future__ import annotations

import ast
import difflib
import hashlib
import os
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

from imaging.errors import ImagingError

DECONVOLVERS = ("clark", "hogbom", "mtmfs", "multiscale", "wideband")
GROUP = "fringeflow.deconvolvers"
"""Entry points of installed packages: `name = "module:function"`."""


def is_builtin(name: str) -> bool:
    return name in DECONVOLVERS


def is_script(name: str) -> bool:
    """Whether `name` is a path."""
    return name.endswith(".py") or os.sep in name


def deconvolver_module(name: str) -> str:
    """Where the built-in deconvolver `name` is."""
    return f"imaging.deconvolution.{name}"


def find_deconvolver(name: str) -> Callable[..., dict]:
    """The `deconvolve(residual, model, psf, meta)` function called `name` (contracts.Deconvolver)."""
    if is_builtin(name):
        return import_module(deconvolver_module(name)).deconvolve
    from imaging.scripts import Script

    return Script(name) if is_script(name) else Script(name, entry_point(name).value)


def entry_point(name: str):
    """The installed deconvolver `name`. Raises ImagingError where there is none, or two."""
    found = [entry for entry in entry_points() if entry.name == name]
    if len(found) == 1:
        return found[0]
    if found:
        raise ImagingError(f"Several installed packages have a deconvolver {name!r}.",
                           got=", ".join(f"{entry.dist.name}: {entry.value}" for entry in found), expected="one",
                           next_step="uninstall one of them")  # fmt: skip
    known = [*DECONVOLVERS, *(entry.name for entry in entry_points())]
    close = difflib.get_close_matches(name, known, 1)
    raise ImagingError(f"Unknown deconvolver {name!r}.", got=name,
                       expected=", ".join(known) + ", or the path of a script: mine.py",
                       next_step=f"did you mean {close[0]}?" if close else "see: imaging plugins")  # fmt: skip


def entry_points() -> list:
    from importlib.metadata import entry_points

    return sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value))


def check_name(name: str) -> None:
    """Raises ImagingError for a name of no deconvolver; whether a script is there is not asked."""
    if not (is_builtin(name) or is_script(name)):
        entry_point(name)


def deconvolver_files(name: str) -> list[str]:
    """Files with which a deconvolver of the user's changes; none of a built-in one."""
    if is_builtin(name):
        return []
    if is_script(name):
        from imaging.scripts import files

        return files(name)
    source = _source(entry_point(name).module)
    return [str(source)] if source else []


def deconvolver_version(name: str) -> str:
    """What the headers of products say of a deconvolver of the user's."""
    if is_script(name):
        text = b"".join(Path(path).read_bytes() for path in deconvolver_files(name) if Path(path).exists())
        return f"sha256 {hashlib.sha256(text).hexdigest()[:16]}"
    return "" if is_builtin(name) else f"{entry_point(name).dist.name} {entry_point(name).dist.version}"


def _source(module: str) -> Path | None:
    """The file of a module, without importing anything."""
    from importlib.util import find_spec

    top, *rest = module.split(".")
    spec = find_spec(top)
    if spec is None or spec.origin is None:
        return None
    base = Path(spec.origin).parent.joinpath(*rest) if rest else Path(spec.origin)
    return next((path for path in (base, base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)


def installed() -> Iterator[tuple[str, str, str]]:
    """Name, origin and first line of the description of every deconvolver; nothing is imported."""
    for name in DECONVOLVERS:
        yield name, "built in", _summary(Path(__file__).parent / "deconvolution" / f"{name}.py")
    for entry in entry_points():
        source = _source(entry.module)
        summary = _summary(source, entry.attr) if source else f"broken: there is no module {entry.module}"
        yield entry.name, f"{entry.dist.name} {entry.dist.version}", summary


def _summary(path: Path, function: str = "") -> str:
    """First line of the docstring of a function, or of the module where that has none."""
    tree = ast.parse(path.read_bytes())
    found = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == function]
    return next(filter(None, map(ast.get_docstring, [*found, tree])), "").partition("\n")[0]
