import types

import pytest

from imaging.measurement.expressions import options
from imaging.measurement.expressions.errors import OptionError
from imaging.measurement.expressions.options import (
    TDLCompileMenu,
    TDLCompileOption,
    TDLCompileOptions,
    TDLFileSelect,
    TDLMenu,
    TDLOption,
    TDLRuntimeOption,
    TDLStealOptions,
    assign,
    symbols,
)


def declared(path, source):
    """A module whose options were declared by a file of that name."""
    module = types.ModuleType(path.split("/")[-1][:-3])
    module.__file__ = path
    names = {name: getattr(options, name) for name in vars(options) if name.startswith("TDL")}
    module.__dict__.update(names)
    exec(compile(source, path, "exec"), module.__dict__)
    return module


def test_the_value_lives_where_the_option_was_declared():
    here = types.SimpleNamespace()
    option = TDLOption("rms", "rms", [0.1, 0.2], more=float, namespace=here)
    assert here.rms == 0.1
    option.set("0.7")
    assert here.rms == 0.7
    module = declared("somewhere/one.py", "TDLCompileOption('size', 'size', [1, 2], default=1)")
    assert module.size == 2


def test_options_are_stolen_by_the_file_that_declared_them_and_once():
    one = declared("somewhere/thief_one.py", "TDLCompileOption('a', 'a', True)\nTDLRuntimeOption('r', 'r', 1)")
    two = declared("somewhere/thief_two.py", "TDLCompileOption('b', 'b', True)")
    assert list(symbols(TDLStealOptions(one))) == ["a"]
    assert TDLStealOptions(one) == []
    assert list(symbols(TDLStealOptions(one, is_runtime=True))) == ["r"]
    menu = TDLMenu("two", two)
    assert list(symbols([menu])) == ["b"]


def test_a_function_of_the_module_takes_the_place_of_its_globals():
    source = "TDLCompileOption('a', 'a', 3)\ndef compile_options(): return [TDLOption('c', 'c', 5)]"
    module = declared("somewhere/either_or.py", source)
    assert list(symbols(TDLStealOptions(module))) == ["c"]
    assert (module.a, module.c) == (3, 5)
    assert TDLStealOptions(types.SimpleNamespace()) == []


def test_listeners_hear_the_value_at_once_and_at_changes():
    heard = []
    option = TDLOption("x", "x", [("a", "first"), ("b", "second")], namespace=types.SimpleNamespace())
    option.when_changed(heard.append)
    option.set("second")
    assert heard == ["a", "b"]
    option.reset()
    assert heard == ["a", "b", "a"]


def test_menus_with_a_switch_and_with_a_choice():
    here = types.SimpleNamespace()
    items = [TDLMenu("First", name="one", namespace=here), TDLMenu("Second", name="two", namespace=here)]
    menu = TDLMenu("Use it", *items, toggle="use", exclusive="which", open=False, namespace=here)
    assert (here.use, here.which) == (False, "one")
    assign([menu], {"use": True, "which": "two"})
    assert (here.use, here.which) == (True, "two")


def test_a_choice_turns_the_switches_of_its_menus():
    here = types.SimpleNamespace()
    items = [TDLMenu(toggle, toggle=toggle, namespace=here) for toggle in ("sine", "wedge")]
    menu = TDLMenu("Model", *items, exclusive="model", namespace=here)
    assert (here.model, here.sine, here.wedge) == ("sine", True, False)
    assign([menu], {"model": "wedge"})
    assert (here.sine, here.wedge) == (False, True)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"colour": 1}, r"(?s)no option colour.*\['depth', 'on'\]"),
        ({"depth": "deep"}, r"(?s)depth has no such value.*'deep'.*\[1, 2\], or any int"),
        ({"on": "perhaps"}, r"(?s)on has no such value.*'perhaps'"),
    ],
)
def test_a_wrong_setting_is_an_error(settings, message):
    here = types.SimpleNamespace()
    items = [TDLOption("depth", "d", [1, 2], more=int, namespace=here), TDLOption("on", "o", True, namespace=here)]
    with pytest.raises(OptionError, match=message):
        assign(items, settings)


def test_validators_and_files():
    here = types.SimpleNamespace()
    option = TDLOption("name", "n", TDLFileSelect("*.fits", default="a.fits"), namespace=here)
    assert here.name == "a.fits"
    option.set_validator(lambda name: name.endswith(".fits"))
    with pytest.raises(OptionError, match="does not take"):
        option.set("b.txt")


def test_lists_of_options_declared_together():
    option = TDLOption("p", "p", 1, namespace=types.SimpleNamespace())
    TDLCompileOptions(option)
    TDLCompileMenu("m", TDLOption("q", "q", 1, namespace=types.SimpleNamespace()))
    TDLCompileOption("s", "s", 1, namespace=types.SimpleNamespace())
    TDLRuntimeOption("t", "t", 1, namespace=types.SimpleNamespace())
    me = types.SimpleNamespace(__file__=__file__)
    assert list(symbols(TDLStealOptions(me))) == ["p", "q", "s"]
    assert list(symbols(TDLStealOptions(me, True))) == ["t"]


def test_namespaces_that_name_themselves_part_equal_symbols():
    first, second = (types.SimpleNamespace(tdloption_namespace=name) for name in ("gain", "phase"))
    items = [TDLOption("rms", "r", 1.0, namespace=space) for space in (first, second)]
    assign(items, {"phase.rms": 2.0})
    assert (first.rms, second.rms) == (1.0, 2.0)
    with pytest.raises(OptionError, match=r"(?s)several options rms.*gain.rms"):
        assign(items, {"rms": 3.0})


def test_options_of_one_key_are_set_together():
    """As those of the models of errors, of which a module has one of each."""
    first, second = (types.SimpleNamespace(tdloption_namespace="gain") for _ in range(2))
    items = [TDLOption("offset", "o", [0.0, 1.0], more=float, namespace=space) for space in (first, second)]
    assign(items, {"offset": 0.5})
    assert (first.offset, second.offset) == (0.5, 0.5)
