"""What modules tell a graphical program: groups of parameters, bookmarks, inspectors, the MeasurementSet at hand."""

from __future__ import annotations

import itertools
import re

from imaging.measurement.expressions import Meq


class Subgroup:
    """Some nodes of parameters under a name."""

    def __init__(self, name, nodes):
        self.name, self.nodes = name, list(nodes)


class ParmGroup:
    """Parameters that could be solved for together."""

    def __init__(self, label, members=(), name=None, subgroups=None, **options):
        self.label, self.name, self.nodes = label, name or label, list(members)
        self.subgroups, self.options = list(subgroups or ()), options

    def add(self, *members):
        self.nodes.extend(members)


class SolveJob:
    """That these groups could be solved for."""

    def __init__(self, label, name, *groups):
        self.label, self.name, self.groups = label, name, groups


class Page:
    """Nodes worth looking at: a page of them, a folder of pages."""

    def __init__(self, name, nodes=(), **options):
        self.name, self.nodes, self.options = name, list(nodes) if isinstance(nodes, (list, tuple)) else [], options

    def add(self, node, viewer=None):
        self.nodes.append(node)
        return node

    def __lshift__(self, node):
        return self.add(node)

    def page(self, name, **options):
        return Page(name, **options)

    subfolder = page


def define_inspector(nodeseries, qualifiers, *more, label=None, freqavg=True, **_):
    """One vector of all nodes nodeseries(q1, q2 ...), means over frequency by default, labelled for plots."""
    label = label or getattr(nodeseries, "name", "")
    choices = list(itertools.product(qualifiers, *more))
    names = [":".join([label, *(str(getattr(q, "name", q)) for q in quals)]) for quals in choices]
    nodes = [nodeseries(*quals) for quals in choices]
    means = [Meq.Mean(node, reduction_axes="freq") for node in nodes] if freqavg else nodes
    return Meq.Composer(*means, dims=[0], plot_label=names)


def inspector(outnode, nodes, bookmark=True):
    """outnode becomes one vector of the nodes' means over frequency."""
    names = [node.name for node in nodes]
    return outnode << Meq.Composer(*(Meq.Mean(n, reduction_axes="freq") for n in nodes), dims=[0], plot_label=names)


class MSSelector:
    """Which MeasurementSet is worked on. Nothing is read here: `select` says it, and listeners are told its name."""

    def __init__(self, *_, **__):
        self.msname, self.ms_antenna_names, self._listeners = None, [], []

    def when_changed(self, listener):
        self._listeners.append(listener)
        if self.msname:
            listener(self.msname)

    def select(self, msname, antennas=()):
        self.msname, self.ms_antenna_names = msname, list(antennas)
        for listener in self._listeners:
            listener(msname)

    def get_full_antenna_name(self, p):
        """The name of a station in the MeasurementSet: the one that ends like it, or else the station's own."""
        return next((name for name in self.ms_antenna_names if name.endswith(str(p))), str(p))


class ListOptionParser:
    """Lists of numbers as text: "0 3,5 8:10 12:" with both ends of ranges included."""

    def __init__(self, minval=0, maxval=None, name=""):
        self.minval, self.maxval, self.name = minval, maxval, name

    def parse_list(self, text):
        numbers = []
        for word in re.split(r"[\s,]+", str(text).strip()):
            first, colon, last = word.partition(":")
            low = int(first) if first else self.minval
            high = (int(last) if last else self.maxval) if colon else low
            if high is None:
                raise ValueError(f"{self.name}: {word} has no end")
            numbers.extend(range(low, high + 1))
        return numbers

    def validator(self, text):
        try:
            return text is None or bool(self.parse_list(text))
        except ValueError:
            return False


class SourceSubsetSelector:
    """Choosing sources in words (`imaging.measurement.selection`)."""

    docstring = "names, which may have wildcards, =tag, tag<value; & and - before a word: of these, not these"

    @staticmethod
    def filter_subset(subset, sources, tag_accessor=None):
        """The chosen sources; tag_accessor(source, tag) is their get_attr if they have none."""
        from imaging.measurement.selection import select

        chosen = select(subset, [_Tagged(source, tag_accessor) for source in sources])
        return [one.source for one in chosen]


class _Tagged:
    def __init__(self, source, accessor):
        self.source, self.name, self.accessor = source, source.name, accessor or type(source).get_attr

    def get_attr(self, tag, default=None):
        value = self.accessor(self.source, tag)
        return default if value is None else value
