"""Finding modules by name or path, and setting their options.

Native modules are dataclasses whose fields are their options. Those of the user's are Python files, `file.py:Class`
or `package.module:Class`; their options are the fields of a dataclass, the arguments of a class, or declared TDL
options. Every label gets a module of its own.
"""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import importlib.util
import inspect
import os
import sys
import traceback
from pathlib import Path
from typing import Any

from imaging.errors import ImagingError
from imaging.measurement.contracts import module_options

_JONES, _SKY, _VIS = "imaging.measurement.jones", "imaging.measurement.sky", "imaging.measurement.visibilities"
_PLACES = {
    f"{_JONES}.bandpass": ("Bandpass",), f"{_JONES}.beams": ("AnalyticBeam", "PointingErrors"),
    f"{_JONES}.fits_beam": ("FitsBeam",), f"{_JONES}.gains": ("ComplexGains",),
    f"{_JONES}.ionosphere": ("IonosphereScreen", "IonosphereWave"), f"{_JONES}.leakage": ("Leakage",),
    f"{_JONES}.rotation": ("Rotation",), f"{_JONES}.solutions": ("Solutions",),
    f"{_JONES}.troposphere": ("Troposphere",),
    f"{_SKY}.catalogue": ("CatalogueSky",), f"{_SKY}.components": ("ComponentSky",), f"{_SKY}.gridded": ("GriddedSky",),
    f"{_SKY}.image": ("FitsImageSky",),
    f"{_SKY}.tigger": ("TiggerSky",), f"{_VIS}.errors": ("IfrBiases", "IfrGains", "ThermalNoise"),
    f"{_VIS}.flagger": ("Flagger",), f"{_VIS}.smearing": ("Smearing",),
}  # fmt: skip
NATIVE = {name: place for place, names in _PLACES.items() for name in names}
"""Where the modules that are named without a path are."""
VERBS = ("compute_jones", "compute_pointings", "process_visibilities", "source_list")


def make(name: str, options: dict[str, Any] | None = None, label: str = "") -> Any:
    """The module called `name` with these options. Raises ImagingError naming what is wrong with it.

    `label`: of the term, for classes that ask for one.
    """
    options, found = dict(options or {}), find(name, label)
    try:
        if not inspect.isclass(found):
            _assign(found, name, options)
            return found
        if dataclasses.is_dataclass(found):
            return _validated(found, name, options)
        made = found(**_arguments(found, options, label))
    except ImagingError:
        raise
    except Exception as error:
        raise _failed(f"The module {name} cannot be made.", error) from error
    _assign(made, name, options)
    return made


def find(name: str, label: str = "") -> Any:
    """The class or the Python module, not yet set up."""
    if name in NATIVE:
        return getattr(importlib.import_module(NATIVE[name]), name)
    place, _, attribute = name.rpartition(":") if ":" in name else (name, "", "")
    if is_file(place):
        module = _from_file(place, label)
    elif "." in place or attribute:
        module = _from_package(place)
    else:
        close = difflib.get_close_matches(name, NATIVE, 1)
        raise ImagingError(f"There is no module {name}.", got=name,
                           expected=f"{', '.join(sorted(NATIVE))}, file.py, file.py:Class, package.module:Class",
                           next_step=f"did you mean {close[0]}?" if close else "see docs/measurement.md")  # fmt: skip
    if attribute and not hasattr(module, attribute):
        known = _classes(module)
        close = difflib.get_close_matches(attribute, known, 1)
        raise ImagingError(f"{place} has no {attribute}.", got=name, expected=", ".join(known) or "a class in it",
                           next_step=f"did you mean {close[0]}?" if close else "correct the name after the colon"
                           )  # fmt: skip
    if not attribute and is_file(place) and not any(hasattr(module, verb) for verb in VERBS) and _classes(module):
        raise ImagingError(f"{place} is no module of the measurement equation, but has classes.", got=name,
                           expected=" or ".join(f"{place}:{key}" for key in _classes(module)),
                           next_step="name one of them, after a colon")  # fmt: skip
    return getattr(module, attribute) if attribute else module


def _classes(module) -> list[str]:
    """Those that are written in it."""
    return [key for key, value in vars(module).items()
            if inspect.isclass(value) and value.__module__ == module.__name__]  # fmt: skip


def is_file(name: str) -> bool:
    return name.endswith(".py") or os.sep in name


def source_file(name: str) -> str | None:
    """The file of a module of the user's or of a package, None for a native one: an input of what is made with it."""
    place = name.rpartition(":")[0] or name
    if name in NATIVE:
        return None
    if is_file(place):
        return place
    _find_cattery()
    try:
        spec = importlib.util.find_spec(place)
    except (ImportError, ValueError):
        spec = None
    return spec.origin if spec else None


def native_module(name: str) -> str | None:
    """Where a native module's code is."""
    return NATIVE.get(name)


def _from_file(path: str, label: str):
    if not Path(path).is_file():
        raise ImagingError(f"There is no module file {path}.", got="no such file", expected="a Python file",
                           next_step="check the path in the section measurement")  # fmt: skip
    name = f"fringeflow_module_{Path(path).stem}_{label or 'x'}"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    _let_timba_be_found(Path(path).read_text(errors="replace"))
    sys.modules[name] = module  # dataclasses look themselves up there
    folder = str(Path(path).resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)
    try:
        spec.loader.exec_module(module)
    except ImagingError:
        raise
    except (Exception, SystemExit) as error:
        raise _failed(f"The module {path} cannot be imported.", error, path) from error
    return module


def _from_package(name: str):
    _find_cattery()
    _let_timba_be_found("Timba")
    try:
        return importlib.import_module(name)
    except ImagingError:
        raise
    except (Exception, SystemExit) as error:
        raise _failed(f"The module {name} cannot be imported.", error) from error


def _let_timba_be_found(text: str) -> None:
    if "Timba" in text or "Meow" in text:
        from imaging.measurement import compat

        compat.install(meow="Meow" not in sys.modules)  # ours, unless the caller has one already


def _find_cattery() -> None:
    """Its modules are named from within: Siamese.OMS.rotation."""
    found = importlib.util.find_spec("Cattery")
    for folder in found.submodule_search_locations if found else ():
        if folder not in sys.path:
            sys.path.append(folder)


def _failed(what: str, error: BaseException, path: str = "") -> ImagingError:
    frames = traceback.extract_tb(error.__traceback__)
    frames = [frame for frame in frames if not frame.filename.startswith("<frozen")] or frames
    own = [frame for frame in frames if frame.filename == path] or frames
    if isinstance(error, SyntaxError):
        where = f" (line {error.lineno})"
    else:
        where = f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""
    return ImagingError(what, got=f"{type(error).__name__}: {error}{where}",
                        expected="Python that runs, and packages that are installed",
                        next_step="mend it, or install what it imports")  # fmt: skip


def _validated(cls: type, name: str, options: dict) -> Any:
    """A dataclass with its options checked by their types: numbers may have units."""
    from pydantic import TypeAdapter, ValidationError

    known = [field.name for field in dataclasses.fields(cls) if field.init]
    _check_names(name, options, known)
    try:
        return TypeAdapter(cls).validate_python(options)
    except ValidationError as error:
        problem = error.errors()[0]
        key = str(problem["loc"][0]) if problem["loc"] else ""
        cause = problem.get("ctx", {}).get("error")
        if isinstance(cause, ImagingError):
            raise cause from None
        missing = problem["type"] == "missing"
        raise ImagingError(f"The module {name} lacks the option {key}." if missing
                           else f"The option {key} of {name} is not usable.",
                           got=", ".join(map(str, options)) or "no options" if missing else repr(problem["input"]),
                           expected=problem["msg"].removeprefix("Value error, "),
                           next_step="see docs/measurement.md for its options") from None  # fmt: skip


def _arguments(cls: type, options: dict, label: str) -> dict:
    """Those of the options that a class takes when it is made, taken away from them; the label where it has to."""
    parameters = inspect.signature(cls).parameters.values()
    wanted = {p.name: options.pop(p.name) for p in parameters if p.name in options}
    for p in parameters:
        if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD and p.name not in wanted:
            if p.name not in ("label", "name"):
                raise ImagingError(f"The class {cls.__name__} lacks the option {p.name}.",
                                   got=", ".join(wanted) or "no options", expected=f"{p.name}: …",
                                   next_step=f"set it: options: {{{p.name}: …}}")  # fmt: skip
            wanted[p.name] = label
    return wanted


def _assign(module: Any, name: str, options: dict) -> None:
    from imaging.measurement.expressions.options import assign, symbols

    items = [item for which in ("compile", "runtime") for item in module_options(module, which)]
    known = symbols(items)
    _check_names(name, options, [*known, *{option.symbol for option in known.values()} - set(known)])
    assign(items, options)


def _check_names(name: str, options: dict, known: list[str]) -> None:
    for key in options:
        if key not in known:
            close = difflib.get_close_matches(key, known, 1)
            raise ImagingError(f"The module {name} has no option {key}.", got=f"{key}: {options[key]!r}",
                               expected=", ".join(known) or "no options",
                               next_step=f"did you mean {close[0]}?" if close else "remove it")  # fmt: skip
