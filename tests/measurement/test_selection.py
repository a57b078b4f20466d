"""The language that sources are chosen with."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imaging.algorithms.components import Component
from imaging.errors import ImagingError
from imaging.measurement.selection import predicate, select
from imaging.measurement.sky.components import Source

CENTRE = (1.0, 0.5)


def source(name, intensity=1.0, north=0.0, **attrs):
    return Source(Component(name, CENTRE[0], CENTRE[1] + north, (intensity, 0, 0, 0)), **attrs)


SOURCES = [
    source("A1", 2.0, 0.0, bright=True),
    source("A2", 0.5, math.radians(1.5), z=3),
    source("B1", 1.0, math.radians(2.5), bright=True, z=1),
    source("3C-1", -0.25, math.radians(0.5), z=0),
]


@pytest.mark.parametrize(("text", "names"), [
    ("A1", "A1"), ("A?", "A1 A2"), ("*1", "A1 B1 3C-1"), ("all", "A1 A2 B1 3C-1"), ("*", "A1 A2 B1 3C-1"),
    ("nobody", ""), ("A1,3C-1  B1", "A1 B1 3C-1"), ("=bright", "A1 B1"), ("=z", "A2 B1"),
    ("I>=1", "A1 B1"), ("I<.5", "3C-1"), ("I.ge.1", "A1 B1"), ("I.LT.0", "3C-1"), ("=z=3", "A2"), ("z==3", "A2"),
    ("z!=3", "B1 3C-1"), ("I>-0.3", "A1 A2 B1 3C-1"), ("I<-1e-1", "3C-1"),
    ("r<2d", "A1 A2 3C-1"), ("r>80m", "A2 B1"), ("r<1801s", "A1 3C-1"), ("-A*", "B1 3C-1"), ("&=bright", "A1 B1"),
    ("all -A1", "A2 B1 3C-1"), ("I>=1 A2 &r<2d", "A1 A2"), ("I>=1 A2 -r<2d", "B1"), ("-A* A1", "A1 B1 3C-1"),
    ("A1 -all B1", "B1"), ("-r<1d", "A2 B1"),
])  # fmt: skip
def test_words(text, names):
    assert [x.name for x in select(text, SOURCES, CENTRE)] == names.split()


@pytest.mark.parametrize("text", ["", "  ", "I<bright", "A1 -", "r<2x"])
def test_words_that_mean_nothing(text):
    with pytest.raises(ImagingError, match="choice of sources"):
        predicate(text)


@given(st.lists(st.sampled_from(["A1", "-A2", "&A?", "B*", "-*1"]), min_size=1, max_size=5))
def test_one_source_at_a_time_is_all_at_once(words):
    first = words[0][0] in "-&"
    kept = {x.name for x in SOURCES} if first else set()
    for word in words:
        names = {x.name for x in select(word.lstrip("-&"), SOURCES)}
        kept = kept - names if word[0] == "-" else kept & names if word[0] == "&" else kept | names
    assert {x.name for x in select(" ".join(words), SOURCES)} == kept
