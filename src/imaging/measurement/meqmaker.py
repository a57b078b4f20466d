"""MeqMaker: a measurement equation put together from modules, to predict, corrupt and correct visibilities.

V = P_k … P_1( G_n … G_1 ( Σ_s S( E_m … E_1 K_s B_s K_s^H E_1^H … E_m^H ) [+ uvdata] ) G_1^H … G_n^H )

with E the sky Jones terms, G the uv Jones terms (the first added is nearest the source), S the visibility processors
of each source and P those of the sum, in the order in which they were added. Corrections are the inverses in the
opposite order; K stays.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from imaging.algorithms import jones as algebra
from imaging.errors import ImagingError, LifecycleError
from imaging.log import logger
from imaging.measurement import contracts, selection
from imaging.measurement.asking import Asker
from imaging.measurement.contracts import ContractError, check_module, name_of
from imaging.measurement.expressions import NodeScope
from imaging.measurement.inspectors import Recorder, functions_of
from imaging.measurement.sky_sum import SkySum
from imaging.measurement.sources import for_arrays, for_nodes, meow_context
from imaging.measurement.terms import Bounds, Term, seeded
from imaging.measurement.tiles import Observation, Tile
from imaging.measurement.trees import (
    Tree,
    apply_jones,
    as_tree,
    empty,
    no_flags,
    processed,
    sky_product,
    station_product,
)


class MeqMaker(Asker, Recorder):
    """See the module's docstring. `context` is the Observation that modules are asked to compute for.

    use_decomposition: None takes the product over stations where it can, False goes row by row. smearing: average over
    the channels' widths and the interval. strict: modules without **kw are refused. seed: of the random generators
    while a module computes, with its label. use_jones_inspectors: a standard inspector for terms that bring none.
    threads: what trees evaluate with; visibilities do not depend on it.
    use_tensors: sky Jones modules that have `compute_jones_tensor` are asked for J(p) of all sources at once.
    Verbs take `ns`, the NodeScope that modules make their nodes in; None: the MeqMaker's own, `scope`.
    """

    def __init__(self, namespace="me", solvable=False, use_correction=False, use_decomposition=None,
                 use_jones_inspectors=None, use_skyjones_visualizers=True, *, context: Observation | None = None,
                 smearing: bool = False, strict: bool = True, seed: int = 0, use_tensors: bool = False,
                 threads: int = 1):  # fmt: skip
        self.namespace, self.solvable, self.use_correction = namespace, solvable, use_correction
        self.use_decomposition, self.smearing, self.strict, self.seed = use_decomposition, smearing, strict, seed
        self.threads = threads
        self.use_jones_inspectors = use_jones_inspectors in (None, True)
        self.context, self.scope, self.use_tensors = context, NodeScope(), use_tensors
        self.sky_models: list | None = None
        self.terms: list[Term] = []
        self.bookmarks: list[dict] = []
        self._sources: list | None = None
        self._known: dict = {}
        self._baselines: list | None = None
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

    def add_sky_jones(self, label, name=None, modules=None, pointing=None, *, subset=None, unique="source",
                      all_stations=False, skip_correct=False) -> Term:  # fmt: skip
        """A Jones term that depends on the direction; all of them before the first uv Jones.

        pointing: one pointing module or several that exclude one another (`Term.pointing_choice`). subset: which
        sources it is for, in words (`selection`) or a function of a source. unique, all_stations, skip_correct: `Term`.
        """
        if any(term.role == "station jones" for term in self.terms):
            raise LifecycleError(f"The sky Jones term {label} comes after a uv Jones term.", got="add_sky_jones",
                                 expected="all sky terms first", next_step="change the order")  # fmt: skip
        pointing = _several(pointing) if pointing is not None else []
        for module in pointing:
            check_module(module, "pointing", self.strict)
        term = self._add("sky jones", label, name, modules)
        if isinstance(subset, str):
            subset = selection.predicate(subset, getattr(self.context, "phase_centre", None))
        term.pointing, term.subset, term.unique = tuple(pointing), subset, unique
        term.all_stations, term.skip_correct = all_stations, skip_correct
        return term

    def add_uv_jones(self, label, name=None, modules=None, flaggable: bool = False, *, bounds: Bounds | None = None,
                     all_stations=False, skip_correct=False) -> Term:  # fmt: skip
        """A Jones term of stations. bounds: samples whose matrices are outside are flagged when they are corrected."""
        term = self._add("station jones", label, name, modules)
        term.all_stations, term.skip_correct, term.bounds = all_stations, skip_correct, bounds
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
        for term in self.terms:
            if term.label == label:
                return term
        raise ImagingError(f"There is no term {label}.", got=label, expected=", ".join(t.label for t in self.terms),
                           next_step="name one of them")  # fmt: skip

    def get_source_list(self, ns=None) -> list:
        """The sources of all sky models, each with its ordinal as attribute "#". Raises where two share a name."""
        if self._sources is None:
            found, scope = [], self.scope if ns is None else ns
            for module in self.sky_models or []:
                first = any(p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD for p in _parameters(module))
                given, named = ((scope,), {}) if first else ((), {"ns": scope})
                with self._meow(scope):
                    made = seeded(self.seed, "sky", "source_list", module, module.source_list, *given, **named,
                                  meqmaker=self)  # fmt: skip
                if not isinstance(made, (list, tuple)):
                    raise ContractError(f"source_list of {contracts.module_name(module)} returned no list.",
                                        got=type(made).__name__, expected="a list of sources",
                                        next_step="docs/measurement.md")  # fmt: skip
                found += made
            self._sources = _numbered(found)
        return list(self._sources)

    def array_sources(self, ns=None) -> list:
        """The same with what tiles want of sources: Tile.with_sources."""
        return self._arrays(self.get_source_list(ns), ns)

    def estimate_image_size(self, **kw) -> float:
        """Arcmin that hold all sky models that can tell; 0 where none can."""
        able = [module for module in self.sky_models or [] if hasattr(module, "estimate_image_size")]
        return max((contracts.call(module.estimate_image_size, **kw) for module in able), default=0)

    def compile_options(self) -> list:
        """The options of all modules: what their functions return, or else what they have declared."""
        return self._options("compile")

    def runtime_options(self, nest: bool = True) -> list:
        """Asked anew each time: options may come up while the modules compute."""
        return self._options("runtime")

    def _options(self, which: str) -> list:
        modules = [*(self.sky_models or []), *(m for term in self.terms for m in (*term.modules, *term.pointing))]
        each = {id(module): module for module in modules}
        return [option for module in each.values() for option in contracts.module_options(module, which)]

    def make_predict_tree(self, ns=None, sources=None, uvdata=None, ifrs=None) -> Tree:
        """Visibilities of `sources` (all by default) and of `uvdata`, a tree or nodes (p, q), through the equation."""
        sources = self._arrays(self.get_source_list(ns) if sources is None else self.find_sources(sources), ns)
        if self.smearing and any(hasattr(x, "degridded") for x in sources):
            logger.warning("images among the sky models are not smeared")
        sky, per_source = self._computed("sky jones", ns, sources), self._computed("sky visibilities", ns, sources)
        uv = self._computed("station jones", ns, sources)
        after = self._computed("visibilities", ns, sources, ifrs)
        uvdata = as_tree(uvdata, self._ifr_list(ifrs))

        def evaluate(tile: Tile) -> tuple[np.ndarray, np.ndarray]:
            if uvdata is None:
                vis, flag = empty(tile), no_flags(tile)
            else:
                vis, flag = uvdata.evaluate(tile)
                vis = np.array(vis, complex)
            flag = flag | SkySum(sky, per_source, self.smearing, self.use_decomposition, self.threads).add(
                vis, sources, tile
            )
            apply_jones(vis, station_product(uv, tile), tile)
            for _, process in after:
                vis, flag = processed(process, vis, flag, tile)
            return vis, flag

        return Tree(evaluate, self._ifrs(ifrs), self.seed)

    make_tree = make_predict_tree

    def corrupt_uv_data(self, ns, uvdata, ifrs=None) -> Tree:
        """`uvdata`, a tree or nodes (p, q), through the uv Jones terms and the visibility processors."""
        return self.make_predict_tree(ns, sources=[], uvdata=uvdata, ifrs=ifrs)

    def apply_visibility_processing(self, ns, vis, ifrs=None) -> Tree:
        """`vis`, a tree or nodes (p, q), through the visibility processors alone."""
        after, vis = self._computed("visibilities", ns, [], ifrs), as_tree(vis, self._ifr_list(ifrs))

        def evaluate(tile):
            data, flag = vis.evaluate(tile)
            for _, process in after:
                data, flag = processed(process, data, flag, tile)
            return data, flag

        return Tree(evaluate, self._ifrs(ifrs), self.seed)

    def correct_uv_data(self, ns, inputs, outputs=None, sky_correct=None, inspect_ifrs=None, flag_jones=True) -> Tree:
        """`inputs`, a tree or nodes (p, q), with all undone that can be; what depends on the direction toward
        `sky_correct`, a source or its name.

        What no Jones matrix can be inverted for stays as it is, is flagged (`flag_jones`) and counted in the tree's
        `singular`; matrices outside their term's bounds are flagged, too. Visibility processors without an inverse,
        such as flaggers, are left out. `inspect_ifrs` are noted among the bookmarks.
        """
        toward = [] if sky_correct is None else self._arrays(self.find_sources([sky_correct]), ns)
        inputs = as_tree(inputs, self._ifr_list(None))
        before = [self._inverse(term, ns) for term in self._active("visibilities")][::-1]
        uv = self._correctable("station jones", ns, toward)
        sky = self._correctable("sky jones", ns, toward) if toward else []
        per_source = [self._inverse(term, ns, source=toward[0]) for term in self._active("sky visibilities")
                      if toward and term.applies_to(toward[0])][::-1]  # fmt: skip
        tree = Tree(None, None, self.seed)

        def evaluate(tile):
            vis, flag = inputs.evaluate(tile)
            vis, tile = np.array(vis, complex), tile.with_sources(toward)
            for process in filter(None, before):
                vis, flag = processed(process, vis, flag, tile)
            if flag_jones:
                flag = flag | tree.outside(uv, tile)
            whole, toward_source = station_product(uv, tile), sky_product(sky, tile)
            if per_source:
                flag = flag | tree.undo(vis, whole, tile, flag_jones)
                for process in filter(None, per_source):
                    vis, flag = processed(process, vis, flag, tile)
                return vis, flag | tree.undo(vis, toward_source, tile, flag_jones)
            return vis, flag | tree.undo(vis, algebra.multiply(whole, toward_source), tile, flag_jones)

        tree.function = evaluate
        if inspect_ifrs is not None:
            self.make_per_ifr_bookmarks(tree, "Output visibilities", ifrs=inspect_ifrs)
        return tree

    def sky_terms(self, sources, ns=None) -> list[tuple[Term, Any]]:
        """The sky Jones terms toward `sources`, as `trees.sky_product` takes them."""
        return self._computed("sky jones", ns, sources)

    def solvable_sources(self, ns=None) -> list:
        """The sources that a sky Jones term may be solved for, once the terms have computed: to be summed apart."""
        terms = [term for term in self._active("sky jones") if term.made]
        return [x for x in self.get_source_list(ns) if any(term.is_solvable_for(x) for term in terms)]

    def get_uvjones_nodes(self, label: str):
        """The Station Jones of a term, or None."""
        return self._compute(self.term(label), None, [])

    def get_skyjones_nodes(self, label: str, sources=None):
        """The Sky Jones of a term, or None."""
        sources = self._arrays(self.get_source_list() if sources is None else self._named(sources))
        return self._compute(self.term(label), None, sources)

    def get_inspectors(self) -> list:
        """What there is to look at of the terms that have computed: (name, function of a tile), nodes, modules' own."""
        return [one for term in self.terms for one in term.inspectors]

    def inspector_functions(self) -> dict[str, Callable[[Tile], np.ndarray]]:
        """The inspectors by name, as functions of a tile that return arrays."""
        return functions_of(self.get_inspectors())

    def close(self) -> None:
        """Forget what the modules computed. Trees made before stay good; no more can be made."""
        self._closed = True
        for term in self.terms:
            term.made.clear()

    def _active(self, role: str) -> list[Term]:
        return [term for term in self.terms if term.role == role and term.enabled]

    def _computed(self, role, ns, sources, ifrs=None) -> list[tuple[Term, Any]]:
        made = [(term, self._compute(term, ns, sources, ifrs)) for term in self._active(role)]
        return [(term, value) for term, value in made if value is not None]

    def _correctable(self, role, ns, sources) -> list[tuple[Term, Any]]:
        return [pair for pair in self._computed(role, ns, sources) if not pair[0].skip_correct]

    def _arrays(self, sources: Sequence, ns=None) -> list:
        """Sources with what arrays want of them."""
        scope = self._scope(ns)
        for x in sources:
            if not any(x is one for one in self._known.get(name_of(x), ())):
                with self._meow(scope):
                    self._known[name_of(x)] = x, for_arrays(x, scope, self.context), for_nodes(x, scope, self.context)
        return [self._known[name_of(x)][1] for x in sources]

    def _meow(self, scope):
        return meow_context(scope, self.context)

    def _observation(self) -> Observation:
        if self.context is None:
            raise LifecycleError("The MeqMaker has no observation to compute for.", got="context=None",
                                 expected="an Observation", next_step="MeqMaker(context=…)")  # fmt: skip
        return self.context

    def _ifr_list(self, ifrs) -> list:
        if ifrs is not None:
            return list(ifrs)
        if self._baselines is None:
            self._baselines = self._observation().ifrs()
        return list(self._baselines)

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


def _numbered(sources: Sequence) -> list:
    seen = set()
    for number, source in enumerate(sources):
        if name_of(source) in seen:
            raise ContractError("Two sources have the same name.", got=name_of(source),
                                expected="a name for each source", next_step="rename one in its sky model"
                                )  # fmt: skip
        seen.add(name_of(source))
        if hasattr(source, "set_attr"):
            source.set_attr("#", number)
    return list(sources)
