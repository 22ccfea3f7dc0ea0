"""Schemas of callers: refused where they reach out, and never slow."""

import time
from typing import Any

import pytest

from shared.json_schema import JsonSchema, SchemaProblem, SchemaRefused


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "no-type"},
        {"type": "object", "properties": []},
        {"$ref": "https://example.com/schema.json"},
        {"$ref": "file:///etc/passwd"},
        {"items": [{"$ref": "other.json#/x"}]},
        {"properties": {"a": {"$dynamicRef": "other"}}},
        {"$id": "https://example.com/own"},
        {"$schema": "http://json-schema.org/draft-07/schema#"},
        {"pattern": "("},
        {"pattern": "(?<=a)b"},
        {"pattern": "(a{1000}){1000}"},
        {"$ref": "#/$defs/missing"},
    ],
    ids=str,
)
def test_what_is_no_schema_of_its_own_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(SchemaRefused):
        JsonSchema(schema)


def test_problems_say_where() -> None:
    schema = JsonSchema({"type": "object", "properties": {"a/b": {"type": "array", "items": {"type": "integer"}}}})

    assert schema.problems({"a/b": [1]}) == []
    assert schema.problems({"a/b": [1, "x"]}) == [SchemaProblem("/a~1b/1", '"x" is not of type "integer"')]


def test_a_hostile_pattern_is_no_work() -> None:
    schema = JsonSchema({"type": "string", "pattern": "^(a+)+$"})
    began = time.process_time()

    assert len(schema.problems("a" * 100_000 + "b")) == 1
    assert time.process_time() - began < 1


def test_problems_are_few() -> None:
    assert len(JsonSchema({"items": {"type": "integer"}}).problems(["x"] * 1_000)) == 10


def test_a_schema_may_refer_to_itself() -> None:
    tree = JsonSchema({"$defs": {"t": {"type": "array", "items": {"$ref": "#/$defs/t"}}}, "$ref": "#/$defs/t"})

    assert tree.problems([[[]]]) == []
    assert [problem.pointer for problem in tree.problems([[1]])] == ["/0/0"]
