"""The two steps of `make demo` around the imaging: simulate before it, compare after it."""

import sys
from pathlib import Path

from imaging.errors import ImagingError
from imaging.names import Names
from imaging.settings import Settings

FOLDER, NAMES = Path("demo"), Names("demo")
MS, TRUTH = str(FOLDER / "demo.ms"), str(FOLDER / "truth.csv")


def simulate():
    from imaging.observation import Observation
    from imaging.stages.simulate import simulate

    observation = Observation.load(Path(__file__).with_name("sky.yaml"))
    simulate(ms=MS, truth=TRUTH, config=Settings.of(observation.values()))
    print(f"{MS}: {len(observation.sources)} components, listed in {TRUTH}")


def compare():
    from imaging.stages.compare import compare

    table, png = FOLDER / "comparison.txt", FOLDER / "demo.png"
    compare(NAMES.image(), NAMES.residual(), TRUTH, pb=NAMES.pb(), table=str(table), png=str(png))
    print(f"\n{table.read_text()}\npicture: {png}")


if __name__ == "__main__":
    try:
        {"simulate": simulate, "compare": compare}[sys.argv[1]]()
    except ImagingError as error:
        sys.exit(str(error))
