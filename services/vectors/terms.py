"""What engines index of a record's metadata, so that one filter language means the same on all of them.

Engines disagree about booleans, integers and floats, lists, missing fields, negation, and which characters a key may
have. So none of them is asked to filter metadata: each keeps a list of *terms* (opaque text, one per field and value)
and the numbers of numeric fields, and a filter is read as a *condition*, made of three questions they all answer alike:
is this term there, is one of these there, is a number of this field past a bound. Each engine translates a condition
once, into its own language. The metadata itself is kept apart, as it was given.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from services.vectors.domain import Metadata, MetadataScalar, Op
from services.vectors.metadata import is_number

_MAX_TERM_TEXT = 96  # longer texts are indexed by their digest, which bounds the size of an index entry


@dataclass(frozen=True, slots=True)
class HasTerm:
    term: str


@dataclass(frozen=True, slots=True)
class HasAnyTerm:
    terms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NumberPast:
    """A number of the field is `op` (gt, gte, lt, lte) `bound`; `key` is the field's escaped name."""

    key: str
    op: Op
    bound: float


@dataclass(frozen=True, slots=True)
class AllOf:
    of: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    of: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class NoneOf:
    of: "Condition"


Condition = HasTerm | HasAnyTerm | NumberPast | AllOf | AnyOf | NoneOf


@dataclass(frozen=True, slots=True)
class Terms:
    """`numbers` maps the escaped name of a numeric field to its numbers."""

    terms: list[str]
    numbers: dict[str, list[float]]


def terms_of(metadata: Metadata) -> Terms:
    """What to index of `metadata`."""
    terms: list[str] = []
    numbers: dict[str, list[float]] = {}
    for name, value in metadata.items():
        key = escaped(name)
        values = value if isinstance(value, list) else [value]
        terms.append(_presence(key))
        terms.extend(_term(key, one) for one in values)
        if numeric := [float(one) for one in values if is_number(one)]:
            numbers[key] = numeric
            terms.append(has_numbers(key))
    return Terms(list(dict.fromkeys(terms)), numbers)


def has_field(name: str) -> Condition:
    """The field is there, with values or an empty list."""
    return HasTerm(_presence(escaped(name)))


def has_any_value(name: str, values: Iterable[MetadataScalar]) -> Condition:
    """One of the field's values equals one of `values`."""
    key = escaped(name)
    terms = tuple(dict.fromkeys(_term(key, value) for value in values))
    return HasTerm(terms[0]) if len(terms) == 1 else HasAnyTerm(terms)


def number_past(name: str, op: Op, bound: float) -> Condition:
    """One of the field's numbers is `op` (gt, gte, lt, lte) `bound`."""
    return NumberPast(escaped(name), op, bound)


def escaped(name: str) -> str:
    """`name` in the letters that every engine's paths allow; snake_case stays as it is, and no two names meet."""
    return "".join(char if char.isascii() and (char.isalnum() or char == "_") else f"-{ord(char):x}-" for char in name)


def has_numbers(key: str) -> str:
    """The term of a record whose field holds a number."""
    return f"#:{key}"


def _presence(key: str) -> str:
    return f"?:{key}"


def _term(key: str, value: MetadataScalar) -> str:
    match value:
        case bool():
            return f"b:{key}={value}"
        case str() if len(value) <= _MAX_TERM_TEXT:
            return f"s:{key}={value}"
        case str():
            return f"h:{key}={hashlib.blake2b(value.encode(), digest_size=16).hexdigest()}"
        case _:
            return f"n:{key}={float(value) + 0.0!r}"  # 1 and 1.0 are one number, 0.0 and -0.0 too
