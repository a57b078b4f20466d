"""MeqMaker: a measurement equation put together from modules, to predict, corrupt and correct visibilities.

V = P_k … P_1( G_n … G_1 ( Σ_s S( E_m … E_1 K_s B_s K_s^H E_1^H … E_m^H ) [+ uvdata] ) G_1^H … G_n^H )

with E the sky Jones terms, G the uv Jones terms (the first added is nearest the source), S the visibility processors
of each source and P those of the sum, in the order in which they were added. Corrections are the inverses in the
opposite order; K stays.
"""

from __future__ import annotations

import inspect
import random
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from imaging.algorithms import jones as algebra
from imaging.errors import ImagingError, LifecycleError
from imaging.measurement import contracts
from imaging.measurement.contracts import ArrayProcess, ContractError, call, check_module, name_of
from imaging.measurement.names import Name
from imaging.measurement.tiles import Observation, Tile
from imaging.measurement.trees import (
    Tree,
    add_block,
    apply_jones,
    blocks,
    empty,
    no_flags,
    processed,
    sky_product,
    station_product,
)


@dataclass(eq=False)
class Term:
    """One line of the equation. `modules` exclude one another: `choice` says which is used.

    `subset`: a name, or function of a source, that says which sources it is for (sky terms; all by default).
    `skip_correct`: left alone by correct_uv_data. `solvable`, and the names `solvable_sources` where only some are,
    are known after the module has computed.
    """

    label: str
    name: str
    modules: tuple
    role: str
    pointing: tuple = ()
    subset: Callable[[Any], bool] | None = None
    enabled: bool = True
    skip_correct: bool = False
    choice: int = 0
    solvable: bool | None = None
    solvable_sources: set = field(default_factory=set)
    inspectors: list = field(default_factory=list)
    made: dict = field(default_factory=dict)

    @property
    def module(self):
        return self.modules[self.choice]

    def applies_to(self, source) -> bool:
        return self.subset is None or bool(self.subset(source))


class MeqMaker:
    """See the module's docstring. `context` is the Observation that modules are asked to compute for.

    use_decomposition: None takes the product over stations where it can, False goes row by row. smearing: average over
    the channels' widths and the interval. strict: modules without **kw are refused. seed: of Python's random generator
    while a module computes, with its label. use_jones_inspectors: a standard inspector for terms that bring none.
    """

    def __init__(self, namespace="me", solvable=False, use_correction=False, use_decomposition=None,
                 use_jones_inspectors=None, use_skyjones_visualizers=True, *, context: Observation | None = None,
                 smearing: bool = False, strict: bool = True, seed: int = 0):  # fmt: skip
        self.namespace, self.solvable, self.use_correction = namespace, solvable, use_correction
        self.use_decomposition, self.smearing, self.strict, self.seed = use_decomposition, smearing, strict, seed
        self.use_jones_inspectors = use_jones_inspectors in (None, True)
        self.context = context
        self.sky_models: list | None = None
        self.terms: list[Term] = []
        self._sources: list | None = None
        self._closed = False

    def add_sky_models(self, modules, export_karma: bool = False) -> None:
        """Where the sources are from: one module or several, whose lists are joined. Once only."""
        if self.sky_models is not None:
            raise LifecycleError("Sky models were added before.", got="a second add_sky_models",
                                 expected="all models in one call", next_step="give it the list of them")  # fmt: skip
        modules = _several(modules)
        for module in modules:
            check_module(module, "sky model", strict=False)
        self.sky_models = modules

    def add_sky_jones(self, label, name=None, modules=None, pointing=None, *, subset=None, skip_correct=False) -> Term:
        """A Jones term that depends on the direction; all of them before the first uv Jones."""
        if any(term.role == "station jones" for term in self.terms):
            raise LifecycleError(f"The sky Jones term {label} comes after a uv Jones term.", got="add_sky_jones",
                                 expected="all sky terms first", next_step="change the order")  # fmt: skip
        pointing = _several(pointing) if pointing is not None else []
        for module in pointing:
            check_module(module, "pointing", self.strict)
        term = self._add("sky jones", label, name, modules)
        term.pointing, term.subset, term.skip_correct = tuple(pointing), subset, skip_correct
        return term

    def add_uv_jones(self, label, name=None, modules=None, flaggable: bool = False, *, skip_correct=False) -> Term:
        term = self._add("station jones", label, name, modules)
        term.skip_correct = skip_correct
        return term

    def add_vis_proc_module(self, label, name=None, modules=None) -> Term:
        return self._add("visibilities", label, name, modules)

    def add_sky_vis_proc_module(self, label, name=None, modules=None) -> Term:
        return self._add("sky visibilities", label, name, modules)

    def _add(self, role, label, name, modules) -> Term:
        if name is None and modules is None:  # the short form: a module that names itself
            module = label
            label, name = getattr(module, "__default_label__", None), getattr(module, "__default_name__", None)
            if not label or not name:
                raise ContractError(f"{contracts.module_name(module)} does not name itself.", got="no __default_label__"
                                    " or __default_name__", expected="both",
                                    next_step="give a label and a name to the function that adds it")  # fmt: skip
            modules = module
        if any(term.label == label for term in self.terms):
            raise ContractError(f"There are two terms {label}.", got=label, expected="a label for each term",
                                next_step="choose another label")  # fmt: skip
        modules = _several(modules)
        for module in modules:
            check_module(module, role, self.strict)
        self.terms.append(Term(label, name or label, tuple(modules), role))
        return self.terms[-1]

    def term(self, label: str) -> Term:
        return next(term for term in self.terms if term.label == label)

    def get_source_list(self, ns=None) -> list:
        """The sources of all sky models, each with its ordinal as attribute "#". Raises where two share a name."""
        if self._sources is None:
            found = []
            for module in self.sky_models or []:
                required = any(p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD for p in _parameters(module))
                given, named = ((ns,), {}) if required else ((), {"ns": ns})
                found += call(module.source_list, *given, **named, meqmaker=self)
            seen = set()
            for number, source in enumerate(found):
                if name_of(source) in seen:
                    raise ContractError("Two sources have the same name.", got=name_of(source),
                                        expected="a name for each source", next_step="rename one in its sky model"
                                        )  # fmt: skip
                seen.add(name_of(source))
                if hasattr(source, "set_attr"):
                    source.set_attr("#", number)
            self._sources = found
        return list(self._sources)

    def estimate_image_size(self, **kw) -> float:
        """Arcmin that hold all sky models that can tell; 0 where none can."""
        able = [module for module in self.sky_models or [] if hasattr(module, "estimate_image_size")]
        return max((call(module.estimate_image_size, **kw) for module in able), default=0)

    def compile_options(self) -> list:
        return self._options("compile")

    def runtime_options(self, nest: bool = True) -> list:
        """Asked anew each time: options may come up while the modules compute."""
        return self._options("runtime")

    def _options(self, which: str) -> list:
        modules = [*(self.sky_models or []), *(m for term in self.terms for m in (*term.modules, *term.pointing))]
        return [option for module in modules for option in contracts.module_options(module, which)]

    def make_predict_tree(self, ns=None, sources=None, uvdata=None, ifrs=None) -> Tree:
        """Visibilities of `sources` (all by default) and of `uvdata`, another tree, through the whole equation."""
        sources = self.get_source_list(ns) if sources is None else self.find_sources(sources)
        sky, per_source = self._computed("sky jones", ns, sources), self._computed("sky visibilities", ns, sources)
        uv = self._computed("station jones", ns, sources)
        after = self._computed("visibilities", ns, sources, ifrs)

        def evaluate(tile: Tile) -> tuple[np.ndarray, np.ndarray]:
            vis, flag = (empty(tile), no_flags(tile)) if uvdata is None else uvdata.evaluate(tile)
            vis = np.array(vis, complex)
            for block in blocks(sources, tile):
                flag = flag | add_block(
                    vis, tile.with_sources(block), sky, per_source, self.smearing, self.use_decomposition
                )
            apply_jones(vis, station_product(uv, tile), tile)
            for _, process in after:
                vis, flag = processed(process, vis, flag, tile)
            return vis, flag

        return Tree(evaluate, self._ifrs(ifrs))

    make_tree = make_predict_tree

    def corrupt_uv_data(self, ns, uvdata, ifrs=None) -> Tree:
        """`uvdata`, a tree, through the uv Jones terms and the visibility processors."""
        return self.make_predict_tree(ns, sources=[], uvdata=uvdata, ifrs=ifrs)

    def apply_visibility_processing(self, ns, vis, ifrs=None) -> Tree:
        """`vis`, a tree, through the visibility processors alone."""
        after = self._computed("visibilities", ns, [], ifrs)

        def evaluate(tile):
            data, flag = vis.evaluate(tile)
            for _, process in after:
                data, flag = processed(process, data, flag, tile)
            return data, flag

        return Tree(evaluate, self._ifrs(ifrs))

    def correct_uv_data(self, ns, inputs, outputs=None, sky_correct=None, inspect_ifrs=None, flag_jones=True) -> Tree:
        """`inputs`, a tree, with everything undone that can be; the direction-dependent part toward `sky_correct`.

        What no Jones matrix can be inverted for stays as it is, is flagged (`flag_jones`) and counted in the tree's
        `singular`. Visibility processors without an inverse, such as flaggers, are left out.
        """
        toward = [] if sky_correct is None else self.find_sources([sky_correct])
        before = [self._inverse(term, ns, inspect_ifrs) for term in self._active("visibilities")][::-1]
        uv = self._correctable("station jones", ns, toward)
        sky = self._correctable("sky jones", ns, toward) if toward else []
        per_source = [self._inverse(term, ns, inspect_ifrs, toward[0]) for term in self._active("sky visibilities")
                      if toward and term.applies_to(toward[0])][::-1]  # fmt: skip
        tree = Tree(None, None)

        def evaluate(tile):
            vis, flag = inputs.evaluate(tile)
            vis, tile = np.array(vis, complex), tile.with_sources(toward)
            for process in filter(None, before):
                vis, flag = processed(process, vis, flag, tile)
            whole, toward_source = station_product(uv, tile), sky_product(sky, tile)
            if per_source:
                flag = flag | tree.undo(vis, whole, tile, flag_jones)
                for process in filter(None, per_source):
                    vis, flag = processed(process, vis, flag, tile)
                return vis, flag | tree.undo(vis, toward_source, tile, flag_jones)
            return vis, flag | tree.undo(vis, algebra.multiply(whole, toward_source), tile, flag_jones)

        tree.function = evaluate
        return tree

    def sky_terms(self, sources, ns=None) -> list[tuple[Term, Any]]:
        """The sky Jones terms toward `sources`, as `trees.sky_product` takes them."""
        return self._computed("sky jones", ns, sources)

    def get_uvjones_nodes(self, label: str):
        """The Station Jones of a term, or None."""
        return self._compute(self.term(label), None, [])

    def get_skyjones_nodes(self, label: str, sources=None):
        """The Sky Jones of a term, or None."""
        return self._compute(self.term(label), None, self.get_source_list() if sources is None else sources)

    def get_inspectors(self) -> list:
        """What there is to look at of the terms that have computed: (name, function of a tile), or modules' own."""
        found = []
        for term in self.terms:
            found += term.inspectors
        return found

    def close(self) -> None:
        """Forget what the modules computed. Trees made before stay good; no more can be made."""
        self._closed = True
        for term in self.terms:
            term.made.clear()

    # What the modules compute: once a term, for all sources that were asked for.

    def _active(self, role: str) -> list[Term]:
        return [term for term in self.terms if term.role == role and term.enabled]

    def _computed(self, role, ns, sources, ifrs=None) -> list[tuple[Term, Any]]:
        made = [(term, self._compute(term, ns, sources, ifrs)) for term in self._active(role)]
        return [(term, value) for term, value in made if value is not None]

    def _correctable(self, role, ns, sources) -> list[tuple[Term, Any]]:
        return [pair for pair in self._computed(role, ns, sources) if not pair[0].skip_correct]

    def _compute(self, term: Term, ns, sources, ifrs=None) -> Any:
        if self._closed:
            raise LifecycleError("The MeqMaker is closed.", got=term.label, expected="a use before close()",
                                 next_step="make another MeqMaker")  # fmt: skip
        sky = term.role.startswith("sky")
        wanted = [x for x in sources if term.applies_to(x)] if sky else []
        names = frozenset(map(name_of, wanted))
        for known, value in term.made.items():
            if value is None or names <= known:
                return value
        if sky and not wanted:
            return None
        if sky and names <= frozenset(map(name_of, self.get_source_list(ns))):  # all at once: later subsets find it
            wanted = [x for x in self.get_source_list(ns) if term.applies_to(x)]
        value = self._ask(term, ns, wanted, ifrs)
        term.solvable = any(map(contracts.is_solvable, (term.module, *term.pointing[:1])))
        term.made[frozenset(map(name_of, wanted))] = value
        return value

    def _ask(self, term: Term, ns, sources, ifrs) -> Any:
        own: list = []
        node = self._node(ns, term.label)
        common = {"tags": term.label, "label": term.label, "inspectors": own, "meqmaker": self, "context": self.context}
        if term.role in ("sky jones", "station jones"):
            sky = term.role == "sky jones"
            pointings = self._pointings(term, node) if sky else None
            value = self._seeded(term.label, term.module.compute_jones, node, sources=sources if sky else None,
                                 stations=self._stations(), pointing_offsets=pointings,
                                 solvable_sources=term.solvable_sources, **common)  # fmt: skip
            if value is not None and not callable(value):
                raise ContractError(f"compute_jones of {contracts.module_name(term.module)} returned no Jones term.",
                                    got=type(value).__name__, expected="a callable J(p) or J(x, p), or None",
                                    next_step="docs/measurement.md")  # fmt: skip
            if value is not None and not own and self.use_jones_inspectors:
                own.append(_standard_inspector(term, value))
        else:
            more = {"sources": sources} if term.role == "sky visibilities" else {}
            value = self._seeded(term.label, term.module.process_visibilities, node, self._node(ns, "vis"), **more,
                                 ns=node.Subscope(), ifrs=self._ifr_list(ifrs), **common)  # fmt: skip
            _check_process(term.module, value)
        term.inspectors += own
        return value

    def _pointings(self, term: Term, node) -> Any:
        if not term.pointing:
            return None
        own: list = []
        made = self._seeded(term.label + "pe", term.pointing[0].compute_pointings, node("dlm"),
                            stations=self._stations(), tags=term.label, label=term.label + "pe", inspectors=own,
                            meqmaker=self, context=self.context)  # fmt: skip
        term.inspectors += own
        return made

    def _inverse(self, term: Term, ns, ifrs, source=None) -> ArrayProcess | None:
        """What undoes a processor, or None; for one direction, by whichever of the two functions there is."""
        if self._compute(term, ns, [source] if source is not None else []) is None:
            return None
        common = {"ifrs": self._ifr_list(ifrs), "tags": term.label, "label": term.label, "inspectors": [],
                  "meqmaker": self, "context": self.context}  # fmt: skip
        nodes, module = (self._node(ns, f"{term.label}:correct"), self._node(ns, "corrected")), term.module
        if source is None:
            function, more = getattr(module, "correct_visibilities", None), {}
        elif hasattr(module, "correct_visibilities_for_direction"):
            function, more = module.correct_visibilities_for_direction, {"source": source}
        else:
            function, more = getattr(module, "correct_visibilities", None), {"sources": [source]}
        if function is None:
            return None
        value = self._seeded(term.label, function, *nodes, **more, **common)
        _check_process(module, value)
        if value is None or "sources" not in more:
            return value
        return ArrayProcess(lambda vis, tile: _first(value.apply(vis[None], tile)))

    def _seeded(self, seed: str, function, /, *arguments, **keywords):
        before = random.getstate()
        random.seed(zlib.crc32(seed.encode()) + self.seed)
        try:
            return call(function, *arguments, **keywords)
        finally:
            random.setstate(before)

    def _node(self, ns, label: str):
        return Name(label) if ns is None else ns[label]

    def _stations(self) -> list:
        return list(self._observation().stations)

    def _observation(self) -> Observation:
        if self.context is None:
            raise LifecycleError("The MeqMaker has no observation to compute for.", got="context=None",
                                 expected="an Observation", next_step="MeqMaker(context=…)")  # fmt: skip
        return self.context

    def _ifr_list(self, ifrs) -> list:
        return self._observation().ifrs() if ifrs is None else list(ifrs)

    def _ifrs(self, ifrs) -> set | None:
        return None if ifrs is None else {tuple(map(name_of, pair)) for pair in ifrs}

    def find_sources(self, sources: Sequence) -> list:
        """Sources themselves, where names are given. Raises ImagingError for one that is not there."""
        known = {name_of(x): x for x in self.get_source_list()}
        for x in sources:
            if isinstance(x, str) and x not in known:
                raise ImagingError(f"There is no source {x}.", got=x, expected=", ".join(known) or "a sky model",
                                   next_step="name one of the sky model's sources")  # fmt: skip
        return [known[x] if isinstance(x, str) else x for x in sources]


def _several(modules) -> list:
    return list(modules) if isinstance(modules, (list, tuple)) else [modules]


def _parameters(sky_model):
    return inspect.signature(sky_model.source_list).parameters.values()


def _check_process(module, value) -> None:
    if value is not None and not hasattr(value, "apply"):
        raise ContractError(f"{contracts.module_name(module)} returned nothing that processes visibilities.",
                            got=type(value).__name__, expected="ArrayProcess(fn), or None",
                            next_step="docs/measurement.md")  # fmt: skip


def _first(applied):
    vis, flag = applied
    return (vis[0], flag[0] if flag is not None and np.ndim(flag) == 3 else flag) if flag is not None else vis[0]


def _standard_inspector(term: Term, jones) -> tuple[str, Callable[[Tile], np.ndarray]]:
    """(name, function of a tile): the mean over frequency."""

    def mean(tile):
        if term.role == "sky jones":
            return contracts.sky_array(jones, tile, term.label)[0].mean(3)
        return contracts.station_array(jones, tile, term.label).mean(3)

    return f"{term.label}:inspector", mean
