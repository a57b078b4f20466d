"""Fingerprints of the code behind a stage, so that a changed library reruns what it makes."""

from __future__ import annotations

import ast
import functools
import hashlib
from pathlib import Path

PACKAGE = Path(__file__).parent


def fingerprint(stage: str, *plugins: str, scripts: Path) -> str:
    """A hash of the sources that a stage is made of: its script, its module and all that imports from here.

    `plugins` are modules that it finds by name when it runs, which no import statement shows; `scripts` the folder
    of the rules' scripts.
    """
    modules = set().union(*(_closure(module) for module in (f"imaging.stages.{stage}", *plugins)))
    files = [*(_path(m) for m in sorted(modules)), scripts / f"{stage}.py"]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def _path(module: str) -> Path:
    base = PACKAGE.joinpath(*module.split(".")[1:])
    return base / "__init__.py" if base.is_dir() else base.with_suffix(".py")


@functools.cache
def _imports(module: str) -> frozenset[str]:
    """Modules of this package that `module` imports anywhere in its text, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(_path(module).read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(m for m in found if m.split(".")[0] == "imaging" and _path(m).exists())


def _closure(module: str) -> set[str]:
    seen, todo = set(), [module]
    while todo:
        current = todo.pop()
        if current not in seen:
            seen.add(current)
            todo.extend(_imports(current))
    return seen
