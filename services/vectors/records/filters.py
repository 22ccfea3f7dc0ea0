"""The filter language, the same for all engines: its form, its bounds, and what each leaf asks of what is indexed.

A leaf is true of a record when the field is present and one of its values (the value, or any element of a list) passes.
`eq` compares within a type: text, boolean, or number (1 equals 1.0, and never true). `gt gte lt lte` compare numbers.
`ne` and `nin` are the negations of `eq` and `in`, so they hold where the field is missing. Nothing is unknown: `not`
holds exactly where its operand does not.
"""

from typing import Any

from services.vectors.domain import MAX_METADATA_KEY_CHARS, MetadataScalar, Op
from services.vectors.errors import FilterInvalid
from services.vectors.metadata import is_number, scalar_problem
from services.vectors.terms import AllOf, AnyOf, Condition, NoneOf, has_any_value, has_field, number_past
from shared.errors import Invalid

MAX_DEPTH = 8
MAX_LEAVES = 64
MAX_VALUES = 100


def parse(data: object, pointer: str = "/filter") -> Condition:
    """What the filter that is JSON `data` asks. Raises FilterInvalid, pointing at the first part that is wrong.

    `pointer` is where the filter stands.
    """
    return _Parser().node(data, pointer, depth=1)


class _Parser:
    def __init__(self) -> None:
        self._leaves = 0

    def node(self, data: object, pointer: str, depth: int) -> Condition:
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
                return AllOf(self._parts(operand, f"{pointer}/and", depth))
            case "or":
                return AnyOf(self._parts(operand, f"{pointer}/or", depth))
            case "not":
                return NoneOf(self.node(operand, f"{pointer}/not", depth + 1))
            case _:
                raise _refused(
                    pointer, "filter_form", f"Unknown member {word[:64]!r}; known are 'and', 'or', 'not', 'field'."
                )

    def _parts(self, data: object, pointer: str, depth: int) -> tuple[Condition, ...]:
        if not isinstance(data, list) or not 1 <= len(data) <= MAX_LEAVES:
            raise _refused(pointer, "filter_form", f"Must be a list of 1 to {MAX_LEAVES} filters.")
        return tuple(self.node(part, f"{pointer}/{index}", depth + 1) for index, part in enumerate(data))

    def _leaf(self, data: dict[str, Any], pointer: str) -> Condition:
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
        return _asked(name, Op(op), data, f"{pointer}/value")


def _asked(name: str, op: Op, leaf: dict[str, Any], pointer: str) -> Condition:
    value = leaf.get("value")
    match op:
        case Op.EXISTS:
            return has_field(name) if _truth(leaf.get("value", True), pointer) else NoneOf(has_field(name))
        case Op.EQ:
            return has_any_value(name, [_scalar(value, pointer)])
        case Op.NE:
            return NoneOf(has_any_value(name, [_scalar(value, pointer)]))
        case Op.IN:
            return has_any_value(name, _scalars(value, pointer))
        case Op.NIN:
            return NoneOf(has_any_value(name, _scalars(value, pointer)))
        case Op.GT | Op.GTE | Op.LT | Op.LTE:
            return number_past(name, op, _number(value, pointer))


def _truth(value: object, pointer: str) -> bool:
    if not isinstance(value, bool):
        raise _refused(pointer, "filter_value", "Must be true or false.")
    return value


def _number(value: object, pointer: str) -> float:
    if not is_number(value):
        raise _refused(pointer, "filter_value", "Must be a number: only numbers are ordered.")
    return float(_scalar(value, pointer))


def _scalars(value: object, pointer: str) -> list[MetadataScalar]:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_VALUES:
        raise _refused(pointer, "filter_value", f"Must be a list of 1 to {MAX_VALUES} values.")
    return [_scalar(one, f"{pointer}/{index}") for index, one in enumerate(value)]


def _scalar(value: object, pointer: str) -> MetadataScalar:
    if problem := scalar_problem(value):
        raise _refused(pointer, "filter_value", f"Must be text, a number or a boolean; {problem}.")
    return value  # type: ignore[return-value] # scalar_problem let nothing else pass


def _refused(pointer: str, code: str, detail: str) -> Invalid:
    return FilterInvalid.field(pointer, code, detail)
