"""What a MeqMaker's modules are asked, and when: once a term, for all sources that were asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from imaging.errors import LifecycleError
from imaging.measurement import contracts, literal
from imaging.measurement.contracts import ArrayProcess, name_of
from imaging.measurement.expressions import Meq, Node, NodeScope
from imaging.measurement.inspectors import standard_inspector, standard_pointing_inspector
from imaging.measurement.terms import (
    TensorJones,
    Term,
    checked_jones,
    checked_process,
    one_station,
    seeded,
)


class Asker:
    """The part of MeqMaker that asks modules. Nodes are made in the scope that is given, or in the MeqMaker's own."""

    def _compute(self, term: Term, ns, sources, ifrs=None) -> Any:
        if self._closed:
            raise LifecycleError("The MeqMaker is closed.", got=term.label, expected="a use before close()",
                                 next_step="make another MeqMaker")  # fmt: skip
        sky = term.role.startswith("sky")
        wanted = [x for x in sources if term.applies_to(x)] if sky else []
        names = frozenset(map(name_of, wanted))
        baselines = self._ifrs(self._ifr_list(ifrs))
        for known, known_baselines, value in term.made:
            if value is None or (names <= known and baselines <= known_baselines):
                return value
        if sky and not wanted:
            return None
        everyone = self._arrays(self.get_source_list(ns), ns) if sky else []
        if sky and names <= frozenset(map(name_of, everyone)):  # all at once: later subsets find it
            wanted = [x for x in everyone if term.applies_to(x)]
            term.share(wanted)
        value = self._ask(term, ns, wanted, ifrs)
        modules = (term.module, term.pointing_module) if term.pointing_module is not None else (term.module,)
        term.solvable = any(map(contracts.is_solvable, modules))
        term.made.append((frozenset(map(name_of, wanted)), baselines, value))
        return value

    def _ask(self, term: Term, ns, sources, ifrs) -> Any:
        own: list = []
        scope = self._scope(ns)
        node = scope[term.label]
        if term.made:  # another call for other sources or baselines has names of its own
            node = node(f"call{len(term.made) + 1}")
        if term.role in ("sky jones", "station jones"):
            value = self._jones(term, scope, node, sources, own)
        else:
            value = self._process(term, scope, node, sources if term.role == "sky visibilities" else None, ifrs, own)
        term.inspectors += own
        return value

    def _jones(self, term: Term, scope, node, sources, own) -> Any:
        sky, stations = term.role == "sky jones", self._stations()
        asked = list({name_of(x): x for x in map(term.stand_in, sources)}.values())
        pointings = self._pointings(term, scope, node) if sky else None
        some = stations[:1] if term.all_stations else stations
        more = {"pointing_offsets": pointings, **self._common(term, own)}
        value = None
        if sky and self.use_tensors and hasattr(term.module, "compute_jones_tensor"):
            value = self._tensor(term, scope, node, asked, some, more)
        if value is None:
            value = checked_jones(term, self._seeded(
                scope, term.label, term.module, "compute_jones", node, sources=self._for_nodes(asked, scope)
                if sky else None, stations=some, solvable_sources=term.solvable_sources, **more))  # fmt: skip
        if value is None:
            return None
        if term.all_stations:
            value = one_station(value, stations, sky)
        if not own and self.use_jones_inspectors:
            own.append(standard_inspector(term, value))
        return value

    def _tensor(self, term: Term, scope, node, sources, stations, more) -> Any:
        """The Jones terms of all sources as tensors, from a module that can; else None."""
        lmn = node("lmn") ** Meq.Constant(np.array([self._lmn(x) for x in sources]))
        made = checked_jones(term, self._seeded(
            scope, term.label, term.module, "compute_jones_tensor", node("tensor"), self._for_nodes(sources, scope),
            stations, lmn=lmn, **more), "tensor")  # fmt: skip
        return None if made is None else TensorJones(made, sources, term.label)

    def _lmn(self, source):
        return source.lmn(self._observation().phase_centre)

    def _pointings(self, term: Term, scope, node) -> Any:
        module = term.pointing_module
        if module is None:
            return None
        own: list = []
        label = term.label + "pe"
        made = self._seeded(scope, label, module, "compute_pointings", node("dlm"), stations=self._stations(),
                            **{**self._common(term, own), "label": label})  # fmt: skip
        made = checked_jones(term, made, "pointings")
        if made is not None and not own and self.use_jones_inspectors:
            own.append(standard_pointing_inspector(f"{node.name}:dlm", made))
        term.inspectors += own
        return made

    def _process(self, term: Term, scope, node, sources, ifrs, own) -> Any:
        ifrs = self._ifr_list(ifrs)
        inputs = self._inputs(node("input"), ifrs, sources)
        more = {} if sources is None else {"sources": self._for_nodes(sources, scope)}
        value = self._seeded(scope, term.label, term.module, "process_visibilities", node("output"), inputs, **more,
                             ns=node.Subscope(), ifrs=ifrs, **self._common(term, own))  # fmt: skip
        return checked_process(term, value, node("output"), ifrs, sources)

    def _inverse(self, term: Term, ns, source=None) -> ArrayProcess | None:
        """What undoes a processor, or None; for one direction, by whichever of the two functions there is."""
        if self._compute(term, ns, [source] if source is not None else []) is None:
            return None
        module, scope = term.module, self._scope(ns)
        if source is not None and not hasattr(module, "correct_visibilities_for_direction"):
            bulk = self.sky_inverse(term, ns, [source])
            return bulk and ArrayProcess(lambda vis, tile: _first(bulk.apply(vis[None], tile)))
        name = "correct_visibilities" if source is None else "correct_visibilities_for_direction"
        if not hasattr(module, name):
            return None
        node = scope[term.label]("correct") if source is None else scope[term.label]("correct", name_of(source))
        return self._corrector(term, scope, node("output"), node("input"), name, source=source)

    def sky_inverse(self, term: Term, ns, sources: Sequence) -> ArrayProcess | None:
        """What undoes a sky processor for visibilities (source, row, chan, 2, 2), or None.

        Where a module has only correct_visibilities_for_direction this is called for each of `sources`.
        """
        scope, module = self._scope(ns), term.module
        node = scope[term.label]("correct", *map(name_of, sources))
        if hasattr(module, "correct_visibilities"):
            return self._corrector(
                term, scope, node("outputs"), node("inputs"), "correct_visibilities", sources=sources
            )
        if not hasattr(module, "correct_visibilities_for_direction"):
            return None
        each = {name_of(x): self._inverse(term, ns, x) for x in sources}

        def correct(vis, tile):
            for one, x in zip(vis, tile.sources, strict=True):
                if each[name_of(x)] is not None:
                    one[...] = _first(each[name_of(x)].apply(one.copy(), tile.with_sources([x])), axis=False)
            return vis

        return ArrayProcess(correct)

    def _corrector(self, term: Term, scope, nodes, inputs, name, source=None, sources=None):
        ifrs = self._ifr_list(None)
        inputs = self._inputs(inputs, ifrs, sources)
        more = {} if source is None else {"source": self._for_nodes([source], scope)[0]}
        more |= {} if sources is None else {"sources": self._for_nodes(sources, scope)}
        value = self._seeded(scope, term.label, term.module, name, nodes, inputs, **more, ns=nodes.Subscope(),
                             ifrs=ifrs, **self._common(term, []))  # fmt: skip
        return checked_process(term, value, nodes, ifrs, sources)

    def _inputs(self, node: Node, ifrs, sources) -> Node:
        stations = self._stations()
        if sources is None:
            return literal.input_nodes(node, ifrs, stations)
        for x in sources:
            literal.input_nodes(node(name_of(x)), ifrs, stations, literal.column_name(name_of(x)))
        return node

    def _common(self, term: Term, own: list) -> dict:
        return {"tags": term.label, "label": term.label, "inspectors": own, "meqmaker": self, "context": self.context}

    def _for_nodes(self, sources: Sequence, scope) -> list:
        """Sources as modules are given them: those of the sky models, with a direction."""
        self._arrays(sources, scope)
        return [self._known[name_of(x)][2] for x in sources]

    def _seeded(self, scope, label, module, what, /, *arguments, **keywords):
        with self._meow(scope):
            return seeded(self.seed, label, what, module, getattr(module, what), *arguments, **keywords)

    def _scope(self, ns) -> NodeScope:
        return ns if isinstance(ns, NodeScope) else self.scope

    def _stations(self) -> list:
        return list(self._observation().stations)


def _first(applied, axis: bool = True):
    vis, flag = applied
    if not axis:
        return vis
    return (vis[0], flag[0] if flag is not None and np.ndim(flag) == 3 else flag) if flag is not None else vis[0]
