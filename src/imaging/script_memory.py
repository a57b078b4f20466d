"""What a script remembers from one call to the next: its globals and the attributes of its functions and classes.

WSClean executes a script once and calls it in every major cycle; here every cycle executes it anew and then gives it
back what has changed since it was executed.
"""

from __future__ import annotations

import io
import pickle
import random
import sys
from collections.abc import Iterator
from importlib import import_module
from types import FunctionType, ModuleType
from typing import Any

PROTOCOL = 5
RANDOM = "random numbers"
Place = tuple[str, str]
"""Of a value: the global, and the attribute of that, or ""."""


class _Pickler(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        return (import_module, (value.__name__,)) if isinstance(value, ModuleType) else NotImplemented


def _pickled(value: Any) -> bytes:
    file = io.BytesIO()
    _Pickler(file, PROTOCOL).dump(value)
    return file.getvalue()


def _try(value: Any) -> bytes | None:
    """`value` as bytes from which it can be made again; None where there are none."""
    try:
        return _pickled(value)
    except Exception:  # whatever a class does that is asked to be pickled
        return None


class Memory:
    """The memory of `module`, just executed. `restore` what was kept, call the function, `keep` what has changed."""

    def __init__(self, module: ModuleType):
        self.module = module
        self.fresh = {place: (value, _try(value)) for place, value in self._values()}

    def _values(self) -> Iterator[tuple[Place, Any]]:
        for name, value in list(vars(self.module).items()):
            if name.startswith("__") or _is_compiled(value):
                continue
            yield (name, ""), value
            if getattr(value, "__module__", None) != self.module.__name__:
                continue
            if isinstance(value, FunctionType):
                defaults = ("__defaults__", value.__defaults__), ("__kwdefaults__", value.__kwdefaults__)
                for attribute, inner in (*vars(value).items(), *defaults):
                    yield (name, attribute), inner
            elif isinstance(value, type):
                for attribute, inner in list(vars(value).items()):
                    if not (attribute.startswith("__") or callable(inner) or hasattr(inner, "__get__")):
                        yield (name, attribute), inner
        yield (RANDOM, "random"), random.getstate()
        if "numpy.random" in sys.modules:
            yield (RANDOM, "numpy"), sys.modules["numpy.random"].get_state()

    def restore(self, kept: bytes) -> None:
        for (name, attribute), value in pickle.loads(kept).items() if kept else ():
            if name == RANDOM:
                (random.setstate if attribute == "random" else sys.modules["numpy.random"].set_state)(value)
            else:
                holder = getattr(self.module, name) if attribute else self.module
                setattr(holder, attribute or name, value)

    def keep(self) -> tuple[bytes, list[str]]:
        """What has changed since the module was executed, and the names of what cannot be kept."""
        changed, lost = {}, {}
        for place, value in self._values():
            before, text = self.fresh.get(place, (None, None))
            now = _try(value)
            if now is None and value is before and isinstance(value, (FunctionType, type)):
                continue
            if now is None or (now != text and not _can_be_read(now)):
                lost[place] = type(value).__name__
            elif now != text and (place[0], "") not in lost:
                changed[place] = value
        # All in one, so that what they share they share again.
        names = [f"{'.'.join(filter(None, place))} ({kind})" for place, kind in lost.items()]
        return (_pickled(changed) if changed else b""), names


def _can_be_read(text: bytes) -> bool:
    try:
        pickle.loads(text)
    except Exception:
        return False
    return True


def _is_compiled(value: Any) -> bool:
    """A compiled function (numba's), which remembers its compilations."""
    return hasattr(value, "py_func")
