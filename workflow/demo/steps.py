"""The two steps of `make demo` around the imaging: simulate before it, compare after it."""

import math
import sys
from pathlib import Path

from imaging.errors import ImagingError
from imaging.names import Names
from imaging.settings import Settings

FLUX, PLACE, SOURCES = 0.006, 0.05, 7
FOLDER, NAMES = Path("demo"), Names("demo")
MS, TRUTH = str(FOLDER / "demo.ms"), str(FOLDER / "truth.csv")


def simulate():
    from imaging.observation import Observation
    from imaging.stages.simulate import simulate

    observation = Observation.load(Path(__file__).with_name("sky.yaml"))
    simulate(ms=MS, truth=TRUTH, config=Settings.of(observation.values()))
    print(f"{MS}: {len(observation.sources)} components, listed in {TRUTH}")


def compare():
    from imaging.io.images import load_image
    from imaging.stages.compare import compare

    table, png = FOLDER / "comparison.txt", FOLDER / "demo.png"
    found = compare(NAMES.image(), NAMES.residual(), TRUTH, pb=NAMES.pb(), table=str(table), png=str(png))
    print(f"\n{table.read_text()}picture: {png}")
    beam = load_image(NAMES.image()).beams[0]
    wrong = {s.name for s in found if abs(s.flux - s.true_flux) > FLUX * s.true_flux + 3 * s.flux_error}
    wrong |= {s.name for s in found if math.hypot(*s.offset) > PLACE * beam.major}
    bounds = f"fluxes within {FLUX:.1%} + 3 sigma, places within {PLACE:.0%} of the beam"
    if wrong or len(found) != SOURCES:
        sys.exit(f"FAIL: {bounds}, of {SOURCES} sources; not so: {', '.join(sorted(wrong)) or 'some were not found'}")
    print(f"PASS: all {SOURCES} sources, {bounds}")


if __name__ == "__main__":
    try:
        {"simulate": simulate, "compare": compare}[sys.argv[1]]()
    except ImagingError as error:
        sys.exit(str(error))
