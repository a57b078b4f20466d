"""What declarations are made of: values with units, sections, files to read them from, words for what is wrong."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from imaging import units
from imaging.errors import ImagingError


def quantity(kind: dict[str, float], default: str, example: str):
    """A field that takes numbers with a unit of `kind` and holds them in the SI unit."""
    return Annotated[
        float,
        BeforeValidator(lambda value: units.parse_quantity(value, kind, default)),
        Field(json_schema_extra={"type": ["number", "string"], "examples": [example]}),
    ]


Angle = quantity(units.ANGLE, "arcsec", "1.5arcsec")
Flux = quantity(units.FLUX, "Jy", "0.5mJy")
Frequency = quantity(units.FREQUENCY, "Hz", "1.4GHz")
Length = quantity(units.LENGTH, "m", "25m")
Duration = quantity(units.TIME, "s", "10s")
Memory = quantity(units.MEMORY, "B", "2GiB")
Fraction = Annotated[float, Field(ge=0, le=1)]


def as_list(value: Any) -> Any:
    """One value where a list may be given; none for an empty one."""
    return value if isinstance(value, (list, tuple)) else [] if value in ("", None) else [value]


def as_word(value: Any) -> Any:
    """true and false where other words are possible too."""
    return str(value).lower() if isinstance(value, bool) else value


class Section(BaseModel):
    """Part of a declaration: cannot be changed once read, knows its keys, and takes a field's docstring as its help."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        validate_default=True,
        coerce_numbers_to_str=True,
        allow_inf_nan=False,
    )


def load_values(path: str | Path, overrides: tuple[str, ...] = ()) -> dict:
    """A YAML configuration as a nested dictionary, with overrides such as `clean.niter=5000` applied."""
    import yaml

    if (Path(path) / "table.dat").exists():
        raise ImagingError(f"{path} is a MeasurementSet, not a configuration.", got="a casacore table",
                           expected="a YAML file", next_step=f"write one with: imaging init {path}")  # fmt: skip
    try:
        values = yaml.safe_load(Path(path).read_text()) or {}
    except FileNotFoundError:
        raise ImagingError(f"There is no configuration file {path}.", got="no such file", expected="a YAML file",
                           next_step="check the path, or write one with: imaging init my.ms") from None  # fmt: skip
    except (yaml.YAMLError, UnicodeDecodeError, IsADirectoryError) as error:
        raise ImagingError(f"{path} cannot be read as YAML.", got=" ".join(str(error).split()),
                           expected="sections with 'key: value' lines",
                           next_step="compare it with config/config.yaml") from None  # fmt: skip
    if not isinstance(values, dict):
        raise ImagingError(f"{path} holds no sections.", got=type(values).__name__,
                           expected="a mapping such as 'name: m31'",
                           next_step="compare it with config/config.yaml")  # fmt: skip
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals:
            raise ImagingError("An override is malformed.", got=text, expected="section.key=value",
                               next_step="write for example --set clean.niter=5000")  # fmt: skip
        *sections, last = key.strip().split(".")
        target = values
        for section in sections:
            if target.get(section) is None:
                target[section] = {}
            target = target[section]
            if not isinstance(target, dict):
                raise ImagingError(f"{section} is no section.", got=text, expected="section.key=value",
                                   next_step="see config/README.md")  # fmt: skip
        try:
            target[last] = yaml.safe_load(value)
        except yaml.YAMLError:  # selections such as >100m, !VA05 and *TARGET* mean something else in YAML
            target[last] = value
    return values


def explain(error: ValidationError, declaration: type[Section]) -> ImagingError:
    """The first thing wrong with a file, in words for whoever wrote it; an unknown key before what it may lack."""
    problem = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
    path = [str(p) for p in problem["loc"] if not isinstance(p, int)]
    section, known = declaration, list(declaration.model_fields)
    for part in path[:-1]:
        annotation = section.model_fields[part].annotation if part in section.model_fields else None
        annotation = next(iter(get_args(annotation)), annotation)  # of a list of sections
        if isinstance(annotation, type) and issubclass(annotation, Section):
            section, known = annotation, list(annotation.model_fields)
    key = ".".join(path)
    got = problem["input"]
    more = len(error.errors()) - 1
    tail = f" ({more} more problem{'s' * (more > 1)} beside this one)" if more else ""
    if problem["type"] == "extra_forbidden":
        close = difflib.get_close_matches(path[-1], known, 1)
        elsewhere = [f"{s}.{path[-1]}" for s, f in declaration.model_fields.items()
                     if isinstance(f.annotation, type) and issubclass(f.annotation, Section)
                     and path[-1] in f.annotation.model_fields]  # fmt: skip
        hint = f"did you mean {close[0]}?" if close else f"it belongs at {elsewhere[0]}" if elsewhere else "remove it"
        return ImagingError(f"Unknown configuration key {key}.", got=f"{path[-1]}: {got!r}",
                            expected=", ".join(known), next_step=hint + tail)  # fmt: skip
    field = section.model_fields.get(path[-1]) if path else None
    if problem["type"] == "missing" and problem["loc"][-1] == path[-1]:
        return ImagingError(f"Configuration key {key} is missing.", got=", ".join(map(str, got)) or "no keys",
                            expected=", ".join(name for name in known if section.model_fields[name].is_required()),
                            next_step=f"add {path[-1]}: {field.description or '...'}{tail}")  # fmt: skip
    expected, _, step = _in_words(problem, field).partition("; ")
    help_text = f"{key}: {field.description}" if field is not None and field.description else "see config/README.md"
    return ImagingError(f"Configuration value {key or 'of the file'} is not usable.", got=repr(got),
                        expected=expected, next_step=(step or help_text) + tail)  # fmt: skip


_KINDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "string": "text"}
_SHAPES = {"tuple_type": "a list", "list_type": "a list", "dict_type": "'key: value' pairs",
           "model_type": "'key: value' pairs", "missing": "more entries in the list",
           "too_long": "fewer entries in the list", "too_short": "more entries in the list"}  # fmt: skip
_LIMITS = {"ge": "{} or more", "gt": "more than {}", "le": "at most {}", "lt": "less than {}"}


def _in_words(problem: dict, field) -> str:
    """What would have been right; after a semicolon, what to do."""
    if problem["type"] in _SHAPES:
        return _SHAPES[problem["type"]]
    kind, _, rest = problem["type"].partition("_")
    limits = [text.format(f"{limit:g}") for key, text in _LIMITS.items()
              for limit in [next((getattr(m, key) for m in field.metadata if hasattr(m, key)), None) if field else None]
              if limit is not None]  # fmt: skip
    if kind in _KINDS and rest in ("type", "parsing", "from_float"):
        return ", ".join([_KINDS[kind], *limits])
    if problem["type"] in ("greater_than", "greater_than_equal", "less_than", "less_than_equal"):
        return ", ".join(limits) or problem["msg"].removeprefix("Input should be ")
    return problem["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
