"""Values of the ports as replicas and the node send them: JSON, and the numbers of vectors apart as they are in memory.

How a value is written follows from its declared type, so both sides read it from the port's own signature, and a method
more in a port needs nothing here. What does not fit its type is refused: nothing is made but what was declared.
"""

import functools
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

import numpy as np

from services.vectors.domain import Vector

_PLAIN: Final = {bool: (bool,), int: (int,), float: (int, float), str: (str,), type(None): (type(None),)}


class Floats:
    """The numbers of one message: put one after another, taken in the same order."""

    def __init__(self, blob: bytes = b"") -> None:
        self._put: list[bytes] = []
        self._given = np.frombuffer(blob, dtype=np.float32)
        self._at = 0
        self.lengths: set[int] = set()
        """Of the vectors taken."""

    def put(self, vector: Vector) -> int:
        self._put.append(vector.astype(np.float32, copy=False).tobytes())
        return len(vector)

    def take(self, length: Any) -> Vector:
        """Raises ValueError where there are not as many."""
        if type(length) is not int or not 0 <= length <= len(self._given) - self._at:
            raise ValueError("fewer numbers than the message says")
        self._at += length
        self.lengths.add(length)
        return self._given[self._at - length : self._at]

    @property
    def are_finite(self) -> bool:
        return bool(np.isfinite(self._given).all())

    @property
    def blob(self) -> bytes:
        return b"".join(self._put)


@dataclass(frozen=True, slots=True)
class Kind:
    """How one type is written and read. `read` raises ValueError, TypeError or KeyError for what is no value of it."""

    write: Callable[[Any, Floats], Any]
    read: Callable[[Any, Floats], Any]


@functools.cache
def kind_of(hint: Any) -> Kind:
    """Raises TypeError for a type that no port uses yet."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is np.ndarray:
        return Kind(lambda vector, floats: floats.put(vector), lambda length, floats: floats.take(length))
    if origin in (Union, types.UnionType):
        return _one_of(arguments)
    if origin in (list, Sequence) or (origin is tuple and arguments[1:] == (...,)):
        return _many(arguments[0], tuple if origin is tuple else list)
    if origin is tuple:
        return _members(lambda: [kind_of(one) for one in arguments], tuple, lambda *values: values)
    if hint is Any or origin in (dict, Mapping):
        return _as_it_is(object if hint is Any else dict)
    if hint in _PLAIN:
        return _as_it_is(*_PLAIN[hint])
    if isinstance(hint, type) and issubclass(hint, Enum):
        return Kind(lambda value, _: value.value, lambda value, _: hint(value))
    if hint is datetime:
        return Kind(lambda moment, _: moment.isoformat(), lambda text, _: datetime.fromisoformat(text))
    if isinstance(hint, type) and is_dataclass(hint):
        return _fields(hint)
    raise TypeError(f"{hint!r} has no form in which it is sent")


def _as_it_is(*kinds: type) -> Kind:
    def read(value: Any, _: Floats) -> Any:
        if not isinstance(value, kinds):
            raise TypeError("another type than was declared")
        return value

    return Kind(lambda value, _: value, read)


def _many(hint: Any, container: type) -> Kind:
    one = functools.cache(lambda: kind_of(hint))  # later, as it may hold itself

    def read(values: Any, floats: Floats) -> Any:
        kind = one()
        return container([kind.read(value, floats) for value in _list(values)])

    def write(values: Any, floats: Floats) -> Any:
        kind = one()
        return [kind.write(value, floats) for value in values]

    return Kind(write, read)


def _members(kinds: Callable[[], list[Kind]], apart: Callable[[Any], Sequence[Any]], make: Callable[..., Any]) -> Kind:
    """Something of a fixed number of parts, as a list of them."""
    kinds = functools.cache(kinds)

    def write(value: Any, floats: Floats) -> Any:
        return [kind.write(part, floats) for kind, part in zip(kinds(), apart(value), strict=True)]

    def read(parts: Any, floats: Floats) -> Any:
        return make(*(kind.read(part, floats) for kind, part in zip(kinds(), _list(parts), strict=True)))

    return Kind(write, read)


def _fields(made: type) -> Kind:
    names = [field.name for field in fields(made)]

    def kinds() -> list[Kind]:
        hints = get_type_hints(made)
        return [kind_of(hints[name]) for name in names]

    return _members(kinds, lambda value: [getattr(value, name) for name in names], made)


def _one_of(hints: Sequence[Any]) -> Kind:
    """One type or None as it is; of several, the name of the type comes first."""
    named = {hint.__name__: hint for hint in hints if hint is not type(None)}
    single = kind_of(next(iter(named.values()))) if len(named) == 1 else None

    def write(value: Any, floats: Floats) -> Any:
        if value is None:
            return None
        if single:
            return single.write(value, floats)
        name = type(value).__name__
        return [name, kind_of(named[name]).write(value, floats)]

    def read(value: Any, floats: Floats) -> Any:
        if value is None and type(None) in hints:
            return None
        if single:
            return single.read(value, floats)
        name, inner = _list(value)
        return kind_of(named[name]).read(inner, floats)

    return Kind(write, read)


def _list(values: Any) -> list[Any]:
    if not isinstance(values, list):
        raise TypeError("no list where there should be one")
    return values
