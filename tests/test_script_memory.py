"""What a script remembers from cycle to cycle: what WSClean, which loads it once, lets it remember."""

import textwrap

import numpy as np
import pytest

from imaging.contracts import Meta
from imaging.errors import ImagingError
from imaging.scripts import Script

RESULT = 'return {"residual": residual, "model": model, "level": 0.0, "continue": True}'


@pytest.fixture
def cycles(tmp_path):
    """cycles(body, above, n) calls the script in `n` cycles, each in a new process; the corner pixels of its models."""

    def run(body: str, above: str = "", n: int = 3, state: dict | None = None) -> tuple[list[float], dict]:
        path = tmp_path / "mine.py"
        body = textwrap.indent(textwrap.dedent(body).strip() + f"\n{RESULT}", "    ")
        path.write_text(textwrap.dedent(above) + f"\ndef deconvolve(residual, model, psf, meta):\n{body}\n")
        found, state = [], state or {}
        for _ in range(n):
            images = np.ones((1, 1, 4, 4)), np.zeros((1, 1, 4, 4)), np.ones((1, 4, 4))
            meta = Meta(state=state)
            found.append(float(Script(str(path))(*images, meta)["model"][0, 0, 0, 0]))
            state = meta.state
        return found, state

    return run


@pytest.mark.parametrize(
    ("above", "body"),
    {
        "function attribute": ("", "n = deconvolve.counter = getattr(deconvolve, 'counter', 0) + 1"),
        "attribute set when loaded": ("def count(): pass\ncount.n = 0", "count.n += 1\nn = count.n"),
        "global": ("n = 0", "global n\nn += 1"),
        "new global": ("", "global n\nn = globals().get('n', 0) + 1"),
        "changed in place": ("import numpy as np\nseen = np.zeros(2)", "seen[1] += 1\nn = seen[1]"),
        "list": ("seen = []", "seen.append(meta.gain)\nn = len(seen)"),
        "instance": (
            "class Counter:\n    def __init__(self):\n        self.n = 0\ncounter = Counter()",
            "counter.n += 1\nn = counter.n",
        ),
        "class attribute": ("class Counter:\n    n = 0", "Counter.n += 1\nn = Counter.n"),
        "default argument": (
            "def count(seen=[]):\n    seen.append(1)\n    return len(seen)",
            "n = count()",
        ),
        "keyword default": (
            "def count(*, seen=[]):\n    seen.append(1)\n    return len(seen)",
            "n = count()",
        ),
        "function chosen": (
            "def a(n): return 1\ndef b(n): return 2\ndef c(n): return 3\nuse = a",
            "global use\nn = use(0)\nuse = {a: b, b: c, c: c}[use]",
        ),
        "module imported later": (
            "tool = None\nn = 0",
            "global tool, n\nif tool is None:\n    import math as tool\nn = tool.floor(n + 1.5)",
        ),
    }.values(),
    ids=lambda v: None,
)  # fmt: skip
def test_survives(above, body, cycles, caplog):
    caplog.set_level("WARNING", logger="imaging")
    assert cycles(body + "\nmodel[0, 0, 0, 0] = n", above)[0] == [1, 2, 3]
    assert not caplog.text


def test_what_is_shared_is_shared_again(cycles):
    found, _ = cycles("first.append(1)\nassert second is first or len(first) == 1 and second is first\n"
                      "model[0, 0, 0, 0] = len(second)", "first = []\nsecond = first")  # fmt: skip
    assert found == [1, 2, 3]


@pytest.mark.parametrize("draw", ["random.random()", "np.random.uniform()", "generator.uniform()"])
def test_random_numbers_go_on(draw, cycles):
    above = "import random\nimport numpy as np\ngenerator = np.random.default_rng(3)"
    found, _ = cycles(f"model[0, 0, 0, 0] = {draw}", above)
    again, _ = cycles(f"model[0, 0, 0, 0] = {draw}", above)
    assert len(set(found)) == 3
    assert found == again


def test_a_script_that_remembers_nothing_leaves_nothing(cycles):
    _, state = cycles(
        "pass",
        "import numpy as np\nfrom math import pi\nTABLE = np.arange(9)\ncheck = lambda: 3\n"
        "class Tool:\n    size = 4\n    def work(self): pass\n    @property\n    def p(self): return 1",
    )
    assert state == {}


def test_the_same_calls_keep_the_same_bytes(cycles):
    above = "seen = {}\nnames = set()"
    body = "seen[len(seen)] = residual.copy()\nnames.update('abcdefg')\ndeconvolve.last = model"
    assert cycles(body, above)[1] == cycles(body, above)[1] != {}


def test_what_cannot_be_kept_is_named(cycles, caplog):
    caplog.set_level("WARNING", logger="imaging")
    above = "import threading\nlock = threading.Lock()\nrows = iter(range(10))\nstream = (n for n in range(10))"
    found, _ = cycles("""
        global local
        local = lambda: 3
        deconvolve.inner = (n for n in range(3))
        model[0, 0, 0, 0] = next(stream) + next(rows)
    """, above, n=2)  # fmt: skip
    assert found == [0, 1]  # `rows` goes on, `stream` cannot
    for name in ("local (function)", "deconvolve.inner (generator)", "stream (generator)", "lock (lock)"):
        assert f"mine.py: {name} cannot be kept from cycle to cycle: it is made anew in each" in caplog.text
    assert "rows (" not in caplog.text


def test_what_cannot_be_made_again_is_named_at_once(cycles, caplog):
    caplog.set_level("WARNING", logger="imaging")
    above = "class Odd:\n    def __setstate__(self, state): raise ValueError\nodd = None"
    found, _ = cycles("global odd\nmodel[0, 0, 0, 0] = odd is None\nodd = Odd()\nodd.n = 1", above, n=2)
    assert found == [1, 1]
    assert "odd (Odd) cannot be kept" in caplog.text


def test_memory_that_no_longer_fits_the_script_is_one_message(cycles):
    _, state = cycles("global n\nn = Count()", "class Count:\n    pass\nn = None", n=1)
    with pytest.raises(ImagingError, match="kept from the last cycle cannot be read"):
        cycles("pass", state=state, n=1)
