"""The filter language as callers write it: what it means, said once and independently of the service, and samples."""

from operator import ge, gt, le, lt
from typing import Any

from hypothesis import strategies as st

from services.vectors.domain import MAX_INTEGER, Metadata, MetadataScalar

Filter = dict[str, Any]
RANGES = {"gt": gt, "gte": ge, "lt": lt, "lte": le}

# Few fields and values, so that filters hit; awkward ones, so that engines trip.
FIELDS = ["year", "kind", "a.b", "a b", "snake_case", "a-b", 'quo"te', "größe", "年", "$and", "x=1", "[0]", "#document"]
TEXTS = ["", "x", "X", "1", "true", "naïve", "日本", "a=b", "with 'quotes' \"\\", "%", "l" * 97, "l" * 98, "🙂"]
NUMBERS = [0, -0.0, 1, 1.0, 1.5, -3, 2020, 2020.5, 1e-300, 1e300, MAX_INTEGER, -MAX_INTEGER, 0.1]


def leaf(field: str, op: str, value: object) -> Filter:
    return {"field": field, "op": op, "value": value}


# A draw for each part and none thrown away: drawing is what takes the time, and a slow draw fails a test under load.
_scalars = st.sampled_from([*TEXTS, *NUMBERS, True, False])
_fields = st.sampled_from([*FIELDS, "absent"])
_leaves = st.one_of(
    st.builds(leaf, _fields, st.sampled_from(["eq", "ne"]), _scalars),
    st.builds(leaf, _fields, st.sampled_from(list(RANGES)), st.sampled_from(NUMBERS)),
    st.builds(leaf, _fields, st.sampled_from(["in", "nin"]), st.lists(_scalars, min_size=1, max_size=4)),
    st.builds(leaf, _fields, st.just("exists"), st.booleans()),
)
_values = st.one_of(_scalars, _scalars, st.lists(_scalars, max_size=4))
metadata = st.lists(st.tuples(st.sampled_from(FIELDS), _values), max_size=5).map(dict)


def _joined(inner: st.SearchStrategy[Filter]) -> st.SearchStrategy[Filter]:
    some = st.lists(inner, min_size=1, max_size=3)
    return st.one_of(
        st.builds(lambda of: {"and": of}, some),
        st.builds(lambda of: {"or": of}, some),
        inner.map(lambda of: {"not": of}),
    )


_second = st.one_of(_leaves, _joined(_leaves))
filters = st.one_of(_leaves, _joined(_leaves), _joined(_second), _joined(_second).map(lambda of: {"not": of}))


def matches(condition: Filter, metadata: Metadata) -> bool:
    """Whether a record of `metadata` meets `condition`, which must be well formed."""
    match condition:
        case {"and": parts}:
            return all(matches(part, metadata) for part in parts)
        case {"or": parts}:
            return any(matches(part, metadata) for part in parts)
        case {"not": part}:
            return not matches(part, metadata)
        case {"field": name, "op": "exists"}:
            return (name in metadata) is condition.get("value", True)
        case {"field": name, "op": op, "value": value}:
            found = metadata.get(name, [])
            return _passes(op, found if isinstance(found, list) else [found], value)
    raise ValueError(condition)


def _passes(op: str, found: list[MetadataScalar], wanted: Any) -> bool:
    match op:
        case "eq":
            return any(_equal(value, wanted) for value in found)
        case "ne":
            return not any(_equal(value, wanted) for value in found)
        case "in":
            return any(_equal(value, one) for value in found for one in wanted)
        case "nin":
            return not any(_equal(value, one) for value in found for one in wanted)
        case _:
            return any(RANGES[op](value, wanted) for value in found if type(value) in (int, float))


def _equal(value: MetadataScalar, wanted: MetadataScalar) -> bool:
    if type(value) in (int, float) and type(wanted) in (int, float):
        return value == wanted
    return type(value) is type(wanted) and value == wanted
