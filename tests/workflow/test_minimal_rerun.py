"""Changing one parameter reruns what reads it, and what follows from that: the table in docs/reruns.md."""

import re
import shutil
from pathlib import Path

import pytest

TABLE = Path(__file__).parents[2] / "docs" / "reruns.md"


def documented() -> list[tuple[str, dict[str, str]]]:
    rows = [re.split(r"\s*\|\s*", line.strip("| \n")) for line in TABLE.read_text().splitlines() if line[:2] == "| "]
    return [(row[0].strip("`"), dict(zip(rows[0][1:], row[1:], strict=True))) for row in rows[1:]]


def jobs_with_cycles(log: str) -> dict[str, str]:
    """For each rule that ran: "all", or the first cycle in which it did, as the table writes it."""
    ran: dict[str, set[int]] = {}
    for rule, block in re.findall(r"^(?:local)?(?:rule|checkpoint) (\w+):\n((?:    .*\n)+)", log, flags=re.MULTILINE):
        cycle = re.search(r"wildcards: cycle=(\d+)", block)
        ran.setdefault(rule, set()).add(int(cycle.group(1)) if cycle else 0)
    return {rule: f"{min(cycles)}…" if min(cycles) else "all" for rule, cycles in ran.items()}


@pytest.mark.parametrize(("setting", "expected"), documented(), ids=lambda v: v if isinstance(v, str) else "")
def test_table(setting, expected, finished, tmp_path):
    shutil.copytree(finished.folder, tmp_path / "copy")
    copy = type(finished)(tmp_path / "copy", finished.values)
    copy.run(setting)
    ran = jobs_with_cycles((copy.results / "logs" / "snakemake.log").read_text())
    assert {stage: ran.get(stage, "·") for stage in expected} == expected
