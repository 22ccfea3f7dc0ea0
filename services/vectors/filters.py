"""The filter language, the same for all engines: its form, its bounds, and what it means.

A leaf is true of a record when the field is present and one of its values (the value, or any element of a list) passes.
`eq` compares within a type: text, boolean, or number (1 equals 1.0, and never true). `gt gte lt lte` compare numbers.
`ne` and `nin` are the negations of `eq` and `in`, so they hold where the field is missing. Nothing is unknown: `not`
holds exactly where its operand does not.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from operator import ge, gt, le, lt
from typing import Any

from services.vectors.domain import (
    MAX_INTEGER,
    MAX_METADATA_KEY_CHARS,
    MAX_METADATA_STRING_CHARS,
    Metadata,
    MetadataScalar,
)
from services.vectors.errors import FilterInvalid
from shared.errors import Invalid

MAX_DEPTH = 8
MAX_LEAVES = 64
MAX_VALUES = 100


class Op(StrEnum):
    EQ = "eq"
    NE = "ne"
    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"
    IN = "in"
    NIN = "nin"
    EXISTS = "exists"


RANGES: Mapping[Op, Callable[[float, float], bool]] = {Op.GT: gt, Op.GTE: ge, Op.LT: lt, Op.LTE: le}


@dataclass(frozen=True, slots=True)
class Leaf:
    """`value` is a scalar for eq and ne, a number for ranges, a tuple for in and nin, a boolean for exists."""

    field: str
    op: Op
    value: MetadataScalar | tuple[MetadataScalar, ...]


@dataclass(frozen=True, slots=True)
class And:
    of: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Or:
    of: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Not:
    of: "Filter"


Filter = And | Or | Not | Leaf


def matches(condition: Filter, metadata: Metadata) -> bool:
    """What the language means, said once; engines are held to it by the contract suite."""
    match condition:
        case And(of):
            return all(matches(part, metadata) for part in of)
        case Or(of):
            return any(matches(part, metadata) for part in of)
        case Not(of):
            return not matches(of, metadata)
        case Leaf(name, Op.EXISTS, value):
            return (name in metadata) is value
        case Leaf(name, op, value):
            found = metadata.get(name, [])
            return _passes(op, found if isinstance(found, list) else [found], value)


def _passes(op: Op, found: list[MetadataScalar], wanted: Any) -> bool:
    match op:
        case Op.EQ:
            return any(_equal(value, wanted) for value in found)
        case Op.NE:
            return not any(_equal(value, wanted) for value in found)
        case Op.IN:
            return any(_equal(value, one) for value in found for one in wanted)
        case Op.NIN:
            return not any(_equal(value, one) for value in found for one in wanted)
        case _:
            return any(RANGES[op](float(value), wanted) for value in found if is_number(value))


def _equal(value: MetadataScalar, wanted: MetadataScalar) -> bool:
    if is_number(value) and is_number(wanted):
        return value == wanted
    return type(value) is type(wanted) and value == wanted


def is_number(value: object) -> bool:
    """Whether it is a number: a boolean is none, though Python says so."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def parse(data: object, pointer: str = "/filter") -> Filter:
    """The filter that JSON `data` stands for. Raises FilterInvalid, pointing at the first part that is wrong."""
    return _Parser().node(data, pointer, depth=1)


class _Parser:
    def __init__(self) -> None:
        self._leaves = 0

    def node(self, data: object, pointer: str, depth: int) -> Filter:
        if depth > MAX_DEPTH:
            raise _refused(pointer, "filter_too_deep", f"A filter may be {MAX_DEPTH} levels deep.")
        if not isinstance(data, dict):
            raise _refused(pointer, "filter_form", "Must be an object: a leaf, or one of 'and', 'or', 'not'.")
        if "field" in data or "op" in data:
            return self._leaf(data, pointer)
        if len(data) != 1:
            raise _refused(pointer, "filter_form", "Must have exactly one of 'and', 'or', 'not', or be a leaf.")
        word, operand = next(iter(data.items()))
        match word:
            case "and":
                return And(self._parts(operand, f"{pointer}/and", depth))
            case "or":
                return Or(self._parts(operand, f"{pointer}/or", depth))
            case "not":
                return Not(self.node(operand, f"{pointer}/not", depth + 1))
            case _:
                raise _refused(
                    pointer, "filter_form", f"Unknown member {word[:64]!r}; known are 'and', 'or', 'not', 'field'."
                )

    def _parts(self, data: object, pointer: str, depth: int) -> tuple[Filter, ...]:
        if not isinstance(data, list) or not 1 <= len(data) <= MAX_LEAVES:
            raise _refused(pointer, "filter_form", f"Must be a list of 1 to {MAX_LEAVES} filters.")
        return tuple(self.node(part, f"{pointer}/{index}", depth + 1) for index, part in enumerate(data))

    def _leaf(self, data: dict[str, Any], pointer: str) -> Leaf:
        self._leaves += 1
        if self._leaves > MAX_LEAVES:
            raise _refused(pointer, "filter_too_large", f"A filter may have {MAX_LEAVES} leaves.")
        if unknown := set(data) - {"field", "op", "value"}:
            raise _refused(pointer, "extra_forbidden", f"Unknown member {min(unknown)[:64]!r} in a leaf.")
        name, op = data.get("field"), data.get("op")
        if not isinstance(name, str) or not 1 <= len(name) <= MAX_METADATA_KEY_CHARS:
            raise _refused(
                f"{pointer}/field", "filter_field", f"Must be text of 1 to {MAX_METADATA_KEY_CHARS} characters."
            )
        if not isinstance(op, str) or op not in set(Op):
            raise _refused(f"{pointer}/op", "filter_op", f"Must be one of {', '.join(Op)}.")
        return Leaf(name, Op(op), _value(Op(op), data, f"{pointer}/value"))


def _value(op: Op, data: dict[str, Any], pointer: str) -> MetadataScalar | tuple[MetadataScalar, ...]:
    value = data.get("value", True if op is Op.EXISTS else None)
    if op is Op.EXISTS:
        if not isinstance(value, bool):
            raise _refused(pointer, "filter_value", "Must be true or false.")
        return value
    if op in (Op.IN, Op.NIN):
        if not isinstance(value, list) or not 1 <= len(value) <= MAX_VALUES:
            raise _refused(pointer, "filter_value", f"Must be a list of 1 to {MAX_VALUES} values.")
        return tuple(_scalar(one, f"{pointer}/{index}") for index, one in enumerate(value))
    if op in RANGES and not is_number(value):
        raise _refused(pointer, "filter_value", "Must be a number: only numbers are ordered.")
    return _scalar(value, pointer)


def _scalar(value: object, pointer: str) -> MetadataScalar:
    if problem := scalar_problem(value):
        raise _refused(pointer, "filter_value", f"Must be text, a number or a boolean; {problem}.")
    return value  # type: ignore[return-value] # scalar_problem let nothing else pass


def scalar_problem(value: object) -> str | None:
    """Why `value` may not stand in metadata or in a filter, None when it may."""
    match value:
        case bool():
            return None
        case str():
            return _text_problem(value)
        case int():
            return None if abs(value) <= MAX_INTEGER else "an integer beyond 2^53 - 1 must be sent as text"
        case float():
            return None if math.isfinite(value) else "a number must be finite"
    return f"{'null' if value is None else type(value).__name__} is not allowed"


def _text_problem(value: str) -> str | None:
    if len(value) > MAX_METADATA_STRING_CHARS:
        return f"text may have {MAX_METADATA_STRING_CHARS} characters"
    return None if storable(value) else "text may hold neither NUL nor lone surrogates"


def storable(text: str) -> bool:
    """Whether every store can keep `text`: no NUL, and it encodes as UTF-8."""
    if "\x00" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _refused(pointer: str, code: str, detail: str) -> Invalid:
    return FilterInvalid.field(pointer, code, detail)
