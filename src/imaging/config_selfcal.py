"""The declaration of the section `selfcal`: gains of the stations from the image itself."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from imaging import units
from imaging.config_base import Section, as_list


def _solint(value: Any) -> Any:
    if str(value).strip() in ("inf", "int"):
        return str(value).strip()
    seconds = units.parse_quantity(value, units.TIME, "s")
    if not seconds > 0:
        raise ValueError("inf (a scan), int (an integration), or a time such as 60s")
    return seconds


SolutionInterval = Annotated[
    float | Literal["inf", "int"],
    BeforeValidator(_solint),
    Field(json_schema_extra={"type": ["number", "string"], "examples": ["inf", "int", "60s"]}),
]


class SelfCal(Section):
    """Self-calibration: gains of the stations from the image itself, round by round."""

    rounds: int = Field(0, ge=0, le=20)
    """Most rounds of solving and imaging after the first image; 0 for none."""
    calmode: Annotated[tuple[Literal["p", "ap"], ...], BeforeValidator(as_list), Field(min_length=1)] = ("p", "ap")
    """What is solved for in each round: phases (p), or amplitudes too (ap). The last one holds for all further."""
    solint: Annotated[tuple[SolutionInterval, ...], BeforeValidator(as_list), Field(min_length=1)] = ("inf",)
    """Solution interval of each round, as calmode: inf (a scan), int (an integration), or a time such as 60s."""
    combine: Literal["", "scan"] = ""
    """scan lets intervals go on across scans; then inf is all of the data."""
    gaintype: Literal["G", "T", "J"] = "G"
    """A gain for each feed (G), one for both (T), or full Jones matrices (J)."""
    channels: int = Field(0, ge=0)
    """Channels that share a solution; 0 for all of a spectral window."""
    refant: Annotated[tuple[str, ...], BeforeValidator(as_list)] = ()
    """Reference antennas, whose phases are 0, in order of preference; none for the one with most solutions."""
    minsnr: float = Field(3.0, ge=0)
    """Solutions below so many times their error are flagged, and the data with them."""
    minblperant: int = Field(4, ge=1)
    """Fewest baselines that an antenna needs for a solution."""
    solnorm: bool = False
    """Scale amplitudes to a mean power of 1 over the antennas, so that the flux scale stays."""
    mingain: float = Field(0.02, ge=0)
    """Stop where the dynamic range grows by less than this fraction, and the next round is to be no different."""

    def of_round(self, number: int) -> dict:
        """The settings of one round, counted from 1."""
        values = self.model_dump(mode="json")
        for name in ("calmode", "solint"):
            values[name] = values[name][min(number, len(values[name])) - 1]
        return values
