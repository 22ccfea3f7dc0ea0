"""The filter language: what it means, what it refuses, and where it points."""

from typing import Any

import pytest
from hypothesis import given

from services.vectors.domain import MAX_INTEGER, Metadata
from services.vectors.records.filters import MAX_DEPTH, MAX_LEAVES, parse
from services.vectors.terms import AllOf, AnyOf, Condition, HasAnyTerm, HasTerm, NoneOf, NumberPast, Terms, terms_of
from shared.errors import Invalid
from tests.contracts.vectors.language import RANGES, Filter, filters, leaf, matches, metadata

RECORD: dict[str, Any] = {
    "year": 2020,
    "price": 1.0,
    "draft": True,
    "title": "Ärger",
    "tags": ["a", 7, False],
    "none": [],
}


def meets(indexed: Terms, condition: Condition) -> bool:
    """What an engine answers that keeps `indexed` of one record."""
    match condition:
        case AllOf(of):
            return all(meets(indexed, part) for part in of)
        case AnyOf(of):
            return any(meets(indexed, part) for part in of)
        case NoneOf(of):
            return not meets(indexed, of)
        case HasTerm(term):
            return term in indexed.terms
        case HasAnyTerm(terms):
            return not set(terms).isdisjoint(indexed.terms)
        case NumberPast(key, op, bound):
            return any(RANGES[op](number, bound) for number in indexed.numbers.get(key, []))


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        (leaf("year", "eq", 2020.0), True),
        (leaf("year", "eq", "2020"), False),
        (leaf("price", "eq", 1), True),
        (leaf("price", "eq", True), False),
        (leaf("draft", "eq", True), True),
        (leaf("draft", "eq", 1), False),
        (leaf("title", "eq", "ärger"), False),
        (leaf("tags", "eq", "a"), True),
        (leaf("tags", "eq", False), True),
        (leaf("tags", "eq", 0), False),
        (leaf("tags", "gt", 6), True),
        (leaf("tags", "lt", 7), False),
        (leaf("draft", "gte", 0), False),
        (leaf("absent", "eq", 1), False),
        (leaf("absent", "ne", 1), True),
        (leaf("absent", "nin", [1]), True),
        (leaf("absent", "lt", 1), False),
        ({"not": leaf("absent", "lt", 1)}, True),
        (leaf("year", "in", ["2020", 2020]), True),
        (leaf("year", "nin", [2019, 2021]), True),
        (leaf("none", "exists", True), True),
        (leaf("none", "eq", ""), False),
        ({"field": "year", "op": "exists"}, True),
        (leaf("absent", "exists", False), True),
        ({"and": [leaf("year", "gte", 2020), leaf("year", "lte", 2020)]}, True),
        ({"or": [leaf("year", "gt", 2020), leaf("draft", "ne", True)]}, False),
    ],
)
def test_meaning(condition: Filter, holds: bool) -> None:
    assert matches(condition, RECORD) is holds
    assert meets(terms_of(RECORD), parse(condition)) is holds


@given(one=metadata, asked=filters)
def test_what_is_asked_of_the_index_is_what_the_filter_means(one: Metadata, asked: Filter) -> None:
    assert meets(terms_of(one), parse(asked)) is matches(asked, one)


def test_forms_are_read_as_written() -> None:
    data = {"and": [{"not": leaf("a", "in", [1, "x"])}, {"or": [{"field": "b", "op": "exists"}]}]}

    assert parse(data) == AllOf((NoneOf(HasAnyTerm(("n:a=1.0", "s:a=x"))), AnyOf((HasTerm("?:b"),))))


@pytest.mark.parametrize(
    ("data", "pointer", "code"),
    [
        ([], "/filter", "filter_form"),
        ({}, "/filter", "filter_form"),
        ({"and": [leaf("a", "eq", 1)], "or": []}, "/filter", "filter_form"),
        ({"xor": []}, "/filter", "filter_form"),
        ({"and": []}, "/filter/and", "filter_form"),
        ({"and": leaf("a", "eq", 1)}, "/filter/and", "filter_form"),
        ({"not": [leaf("a", "eq", 1)]}, "/filter/not", "filter_form"),
        (leaf("", "eq", 1), "/filter/field", "filter_field"),
        (leaf("a", "like", 1), "/filter/op", "filter_op"),
        (leaf("a", ["eq"], 1), "/filter/op", "filter_op"),  # type: ignore[arg-type]
        ({"field": "a", "op": "eq"}, "/filter/value", "filter_value"),
        (leaf("a", "eq", None), "/filter/value", "filter_value"),
        (leaf("a", "eq", [1]), "/filter/value", "filter_value"),
        (leaf("a", "gt", True), "/filter/value", "filter_value"),
        (leaf("a", "gt", "2020"), "/filter/value", "filter_value"),
        (leaf("a", "in", 1), "/filter/value", "filter_value"),
        (leaf("a", "in", []), "/filter/value", "filter_value"),
        (leaf("a", "in", [1, {}]), "/filter/value/1", "filter_value"),
        (leaf("a", "exists", 1), "/filter/value", "filter_value"),
        (leaf("a", "eq", MAX_INTEGER + 1), "/filter/value", "filter_value"),
        (leaf("a", "eq", "nul \x00"), "/filter/value", "filter_value"),
        (leaf("a", "eq", "lone \ud800"), "/filter/value", "filter_value"),
        (leaf("a", "eq", "x" * 4097), "/filter/value", "filter_value"),
        ({**leaf("a", "eq", 1), "boost": 2}, "/filter", "extra_forbidden"),
    ],
)
def test_refusals_point_at_the_part(data: object, pointer: str, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse(data)

    (problem,) = refused.value.errors
    assert (problem.pointer, problem.code) == (pointer, code)


def test_size_is_bounded() -> None:
    nested: object = leaf("a", "eq", 1)
    for _ in range(MAX_DEPTH - 1):
        nested = {"not": nested}
    parse(nested)
    parse({"or": [leaf("a", "eq", 1)] * MAX_LEAVES})

    for too_large in ({"not": nested}, {"and": [{"or": [leaf("a", "eq", 1)] * MAX_LEAVES}, leaf("a", "eq", 1)]}):
        with pytest.raises(Invalid):
            parse(too_large)
