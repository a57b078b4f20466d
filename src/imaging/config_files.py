"""Files generated from `config_sections.py`: config/config.yaml, config/schema.json, docs/config.md."""

from __future__ import annotations

import json
from pathlib import Path

from imaging.config import Config
from imaging.config_base import Section
from imaging.config_reads import READS
from imaging.observation import Observation, Source

HEADER = """# Defaults, generated from src/imaging/config_sections.py by `imaging config --write`.
# Copy what you want to change into a file of your own: snakemake --cores 2 --configfile my.yaml
"""


def generated() -> dict[str, str]:
    """Path in the project → text, for every generated file."""
    return {
        "config/config.yaml": config_yaml(),
        "config/schema.json": json.dumps(Config.model_json_schema(), indent=1, sort_keys=True) + "\n",
        "docs/config.md": config_table(),
    }


def write(root: Path) -> None:
    for path, text in generated().items():
        (root / path).write_text(text)


def _fields(section: type[Section]):
    for name, field in section.model_fields.items():
        is_section = isinstance(field.annotation, type) and issubclass(field.annotation, Section)
        yield name, field, field.annotation if is_section else None


def _text(default: object) -> str:
    if isinstance(default, tuple):
        return "[]" if not default else json.dumps(list(default)) if len(default) > 1 else _text(default[0])
    return json.dumps(default, default=str)


def config_yaml() -> str:
    """Every parameter with its default, under a comment that is its help."""
    lines = [HEADER]
    for name, field, section in _fields(Config):
        if section is None:
            lines += [f"# {field.description}", f"{name}: {_text(field.get_default(call_default_factory=True))}"]
            continue
        lines += ["", f"# {section.__doc__}", f"{name}:"]
        for key, inner, _ in _fields(section):
            lines += [f"  # {inner.description}", f"  {key}: {_text(inner.get_default(call_default_factory=True))}"]
    return "\n".join(lines) + "\n"


def config_table() -> str:
    """A table a section, with the stages that each parameter reruns."""
    lines = ["# Configuration", "", "Generated from `src/imaging/config_sections.py`; prose: `config/README.md`.",
             "The last column names the stages that read a parameter: changing it reruns those, and what follows",
             "from them as far as their products change.", ""]  # fmt: skip
    for name, field, section in _fields(Config):
        rows = [(name, field)] if section is None else [(f"{name}.{k}", f) for k, f, _ in _fields(section)]
        if section is not None:
            lines += ["", f"## {name}", "", section.__doc__ or "", "", "| parameter | default | meaning | read by |",
                      "|---|---|---|---|"]  # fmt: skip
        elif name == "name":
            lines += ["| parameter | default | meaning | read by |", "|---|---|---|---|"]
        for path, inner in rows:
            readers = [stage for stage, paths in READS.items() if path in paths or f"{name}.*" in paths]
            default = _text(inner.get_default(call_default_factory=True))
            lines.append(f"| `{path}` | `{default}` | {inner.description} | {', '.join(readers) or 'names'} |")
        if name == "measurement":
            lines += [*_declared("measurement.observe", Observation), *_declared("A source of `sources`", Source)]
    return "\n".join(lines) + "\n"


def _declared(title: str, section: type[Section]) -> list[str]:
    """The table of a declaration that `simulate` reads as a whole."""
    lines = ["", f"### {title}", "", section.__doc__ or "", "", "| key | default | meaning |", "|---|---|---|"]
    for name, field, _ in _fields(section):
        default = "needed" if field.is_required() else f"`{_text(field.get_default(call_default_factory=True))}`"
        lines.append(f"| `{name}` | {default} | {field.description} |")
    return lines
