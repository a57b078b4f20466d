"""Options of modules: declared beside the code that reads them, set from outside.

An option's value lives where it was declared: in the module's globals, or in the object given as `namespace`. A call
of `TDLCompileOption` and its sisters also puts the option on the list of its owner, the file that made the call, from
which `TDLStealOptions(module)` takes it away into a menu.
"""

from __future__ import annotations

import os
import sys
from weakref import WeakKeyDictionary

from imaging.measurement.expressions.errors import OptionError

_declared: dict[bool, list] = {False: [], True: []}  # runtime? -> [(owner, item)]


class Item:
    """What a menu may hold. Showing, hiding and the like are noted and mean nothing without a screen."""

    def __init__(self, name="", doc=""):
        self.name, self.doc, self.visible, self.enabled = name, doc, True, True

    def show(self, show=True):
        self.visible = bool(show)
        return self

    def hide(self, hide=True):
        return self.show(not hide)

    def enable(self, enable=True):
        self.enabled = bool(enable)
        return self

    def disable(self, disable=True):
        return self.enable(not disable)

    def set_name(self, name):
        self.name = name

    def set_doc(self, doc):
        self.doc = doc

    def set_summary(self, text):
        self.summary = text

    def expand(self, *_):
        return self

    def walk(self):
        yield self


class Separator(Item):
    pass


class Job(Item):
    """An action of the runtime menu: `action(mqs, parent, **kw)`."""

    def __init__(self, action, name="", **_):
        super().__init__(name)
        self.action, self.symbol = action, getattr(action, "__name__", None)


class Option(Item):
    """A value under a symbol.

    choices : the values offered, or None (a switch, or free). more : the type of values that are not among them.
    """

    def __init__(self, symbol, name, value=None, *, more=None, default=None, doc="", namespace=None, **_):
        super().__init__(name, doc)
        self.symbol, self.more, self._namespace = symbol, more, namespace
        self.choices, self.labels = None, {}
        self._listeners, self._validator = [], None
        if isinstance(value, (list, tuple, dict)) and not isinstance(value, Files):
            self._take(value)
            value = self.choices[default if isinstance(default, int) else 0] if self.choices else None
            if default is not None and not isinstance(default, int):
                value = default
        elif isinstance(value, Files):
            self.files, value = value, value.default
        self.default = value
        self._put(value)

    def _take(self, choices):
        pairs = choices.items() if isinstance(choices, dict) else [
            choice if isinstance(choice, tuple) and len(choice) == 2 else (choice, None) for choice in choices
        ]  # fmt: skip
        self.choices = [value for value, _ in pairs]
        self.labels = {str(value): label for value, label in pairs}

    def _put(self, value):
        self._value = value
        if isinstance(self._namespace, dict):
            self._namespace[self.symbol] = value
        elif self._namespace is not None:
            setattr(self._namespace, self.symbol, value)

    @property
    def value(self):
        return self._value

    @property
    def key(self):
        """The symbol, after the name that the namespace gives itself for its options, if any."""
        prefix = getattr(self._namespace, "tdloption_namespace", None)
        return f"{prefix}.{self.symbol}" if prefix else self.symbol

    def get_str(self):
        return str(self._value)

    def set(self, value, **_):
        """A new value; strings are converted to the option's type. Raises OptionError."""
        value = self._converted(value)
        if self._validator and not self._validator(value):
            raise OptionError(f"The option {self.symbol} does not take this value.", got=repr(value))
        self._put(value)
        for listener in self._listeners:
            listener(value)

    set_value = set_custom_value = set

    def reset(self):
        """The value it was declared with."""
        self._put(self.default)
        for listener in self._listeners:
            listener(self.default)

    def _converted(self, value):
        for choice in self.choices or ():
            if choice is value or (type(choice) is type(value) and choice == value):
                return choice
            names = str(choice), self.labels[str(choice)], getattr(choice, "__name__", None)
            if isinstance(value, str) and value in names:
                return choice
        if self.more is not None and value is not None:
            try:
                return self.more(value)
            except (TypeError, ValueError):
                pass
        elif self.choices is None:
            if not isinstance(self._value, bool):
                return value
            if isinstance(value, (bool, int)):
                return bool(value)
        elif value in self.choices and not isinstance(value, bool):
            return value
        expected = f"one of {self.choices}" if self.choices else "true or false"
        kind = f", or any {getattr(self.more, '__name__', self.more)}" if self.more else ""
        raise OptionError(f"The option {self.symbol} has no such value.", got=repr(value), expected=expected + kind)

    def set_option_list(self, choices, select=None, **_):
        self._take(choices)
        if select is not None:
            self.set(self.choices[select] if isinstance(select, int) else select)
        elif self._value not in self.choices and self.choices:
            self.set(self.choices[0])

    def num_options(self):
        return len(self.choices or ())

    def get_option(self, index):
        return self.choices[index]

    def get_option_desc(self, index):
        return self.labels[str(self.choices[index])]

    def set_validator(self, validator):
        self._validator = validator

    def when_changed(self, listener):
        """Have `listener(value)` called at each change, and now."""
        self._listeners.append(listener)
        listener(self._value)
        return self


class Files(tuple):
    """The choice of a file name: patterns and a default."""

    default = None

    def __new__(cls, *patterns, default=None, **_):
        files = super().__new__(cls, patterns)
        files.default = default
        return files


class Menu(Option):
    """Options under a title. toggle : symbol of the menu's own switch. exclusive : symbol of the chosen item's name."""

    def __init__(self, title, *items, toggle=None, exclusive=None, open=None, namespace=None, name=None, doc="", **_):
        self.items = list(_flat(items))
        self.tdlsym = name and name.replace(".", "_")
        switch = toggle is not None
        value = bool(open) if switch else None
        super().__init__(toggle, title, value, namespace=namespace if switch else None, doc=doc)
        self.toggle, self.exclusive = toggle, None
        if exclusive is not None:
            names = [_item_name(item) for item in self.items]
            self.exclusive = Option(exclusive, title, names or [None], namespace=namespace)
            self.exclusive.when_changed(self._switch)

    def _switch(self, chosen):
        for item in self.items:
            if isinstance(item, Menu) and item.toggle is not None:
                item.set(_item_name(item) == chosen)

    def walk(self):
        if self.toggle is not None:
            yield self
        if self.exclusive is not None:
            yield self.exclusive
        for item in self.items:
            yield from item.walk()

    def add(self, *items):
        self.items.extend(_flat(items))
        return self


def _item_name(item):
    return getattr(item, "tdlsym", None) or getattr(item, "symbol", None) or item.name


def _flat(items, runtime=False):
    for item in items:
        if isinstance(item, (list, tuple)):
            yield from _flat(item, runtime)
        elif isinstance(item, Item):
            yield item
        elif item is not None:
            yield from TDLStealOptions(item, runtime)


def _owner(path):
    return os.path.splitext(os.path.basename(path))[0]


def _caller():
    """The frame of the code that called this file."""
    frame = sys._getframe(1)
    while frame.f_code.co_filename == __file__:
        frame = frame.f_back
    return frame


def _namespace(options):
    if options.get("namespace") is None:
        options["namespace"] = _caller().f_globals
    return options


def _register(runtime, items):
    owner = _owner(_caller().f_code.co_filename)
    _declared[runtime].extend((owner, item) for item in items)


def TDLOption(symbol, name, value=None, **options):
    return Option(symbol, name, value, **_namespace(options))


def TDLMenu(title, *items, **options):
    return Menu(title, *items, **_namespace(options))


def TDLOptionSeparator(name="", **_):
    return Separator(name)


def TDLJob(action, name="", **options):
    return Job(action, name, **options)


def TDLFileSelect(*patterns, **options):
    return Files(*patterns, **options)


TDLDirSelect = TDLFileSelect


def TDLCompileOption(symbol, name, value=None, **options):
    item = TDLOption(symbol, name, value, **options)
    _register(False, [item])
    return item


def TDLRuntimeOption(symbol, name, value=None, **options):
    item = TDLOption(symbol, name, value, **options)
    _register(True, [item])
    return item


def TDLCompileOptions(*items, **_):
    _register(False, list(_flat(items)))


def TDLRuntimeOptions(*items, **_):
    _register(True, list(_flat(items, True)))


def TDLCompileMenu(title, *items, **options):
    item = TDLMenu(title, *items, **options)
    _register(False, [item])
    return item


def TDLRuntimeMenu(title, *items, **options):
    item = TDLMenu(title, *items, **options)
    _register(True, [item])
    return item


def TDLCompileOptionSeparator(name="", **_):
    _register(False, [Separator(name)])


def TDLRuntimeOptionSeparator(name="", **_):
    _register(True, [Separator(name)])


def TDLRuntimeJob(action, name="", **options):
    item = Job(action, name, **options)
    _register(True, [item])
    return item


def TDLStealOptions(module, is_runtime=False):
    """The options of a module or object: what its function returns if it has one, else those its file declared.

    The function is `compile_options` or `runtime_options`. Declared options are taken off the list.
    """
    function = getattr(module, "runtime_options" if is_runtime else "compile_options", None)
    if callable(function):
        return list(_flat(function(), is_runtime))
    path = getattr(module, "__file__", None)
    if path is None:
        return []
    owner, there = _owner(path), _declared[bool(is_runtime)]
    stolen = [item for who, item in there if who == owner]
    there[:] = [pair for pair in there if pair[0] != owner]
    return stolen


_taken: WeakKeyDictionary = WeakKeyDictionary()


def declared(module, is_runtime=False) -> list:
    """The options that a module's file has declared so far, each time anew; they are taken off the list."""
    taken = _taken.setdefault(module, {False: [], True: []})[bool(is_runtime)]
    path = getattr(module, "__file__", None)
    if path is not None:
        owner, there = _owner(path), _declared[bool(is_runtime)]
        taken += [item for who, item in there if who == owner]
        there[:] = [pair for pair in there if pair[0] != owner]
    return list(taken)


def symbols(items) -> dict[str, Option]:
    """All options below these items, by key."""
    return {option.key: option for option in _options(items)}


def _options(items) -> list[Option]:
    return [option for item in _flat(items) for option in item.walk() if isinstance(option, Option)]


def assign(items, settings) -> None:
    """Set options by key, or by symbol where only one key has it; raises OptionError for anything else.

    Options of one key (such as those of a module's several models) are set together.
    """
    every = _options(items)
    for key, value in settings.items():
        named = [o for o in every if o.key == key] or [o for o in every if o.symbol == key]
        keys = sorted({option.key for option in named})
        if len(keys) != 1:
            what = f"There are several options {key}." if named else f"There is no option {key}."
            keys = keys or sorted({option.key for option in every})
            raise OptionError(what, got=f"{key}: {value!r}", expected=f"one of {keys}")
        for option in named:
            option.set(value)
