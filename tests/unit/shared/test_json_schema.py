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
        {"properties": {"a": {"$schema": "http://json-schema.org/draft-04/schema#"}}},
        {"$anchor": "a", "items": {"$ref": "#a"}},
        {"$ref": "#"},
        {"$ref": "#/enum/0", "enum": [{"$ref": "https://example.com/schema.json"}]},
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


@pytest.mark.parametrize("named", [False, True])
def test_many_large_patterns_are_refused(named: bool) -> None:
    """Five hundred of `.{900}` took five seconds and half a gigabyte to compile."""
    patterns = [f".{{900}}{number}" for number in range(500)]
    members = {f"p{at}": {"pattern": pattern} for at, pattern in enumerate(patterns)}
    schema = {"properties": members} if named else {"patternProperties": dict.fromkeys(patterns, True)}

    with pytest.raises(SchemaRefused):
        JsonSchema(schema)


def test_many_usual_patterns_are_taken() -> None:
    members = {f"p{number}": {"pattern": rf"^[\p{{L}} .-]{{1,3}}{number}$"} for number in range(100)}

    assert JsonSchema({"properties": members}).problems({"p7": "Zoë7"}) == []


def test_problems_are_few() -> None:
    assert len(JsonSchema({"items": {"type": "integer"}}).problems(["x"] * 1_000)) == 10


@pytest.mark.parametrize(
    ("items", "value"),
    [
        ({"required": [f"a{at}" for at in range(2_500)]}, {}),
        ({"dependentRequired": {"a": [f"a{at}" for at in range(2_500)]}}, {"a": 1}),
        ({"enum": [f"a{at}" for at in range(1_500)]}, "x"),
        ({"not": {"enum": [f"a{at}" for at in range(1_500)]}}, "a1"),
        ({"pattern": "a" * 15_000}, "x"),
    ],
    ids=["required", "dependentRequired", "enum", "not", "pattern"],
)
def test_many_complaints_about_little_are_no_work(items: dict[str, Any], value: Any) -> None:
    schema = JsonSchema({"items": items})
    began = time.process_time()

    assert schema.problems([value] * 4_000) == [
        SchemaProblem("", "it does not fit the schema, and is too large to say where")
    ]
    assert time.process_time() - began < 0.2


def test_what_a_usual_answer_lacks_is_told() -> None:
    names = [f"name{at}" for at in range(40)]
    row = {"type": "object", "properties": {name: {"type": "string"} for name in names}, "required": names}
    schema = JsonSchema({"type": "object", "properties": {"rows": {"type": "array", "items": row}}})
    rows = [dict.fromkeys(names, "x") for _ in range(8)]
    del rows[5]["name7"]

    assert [problem.pointer for problem in schema.problems({"rows": rows})] == ["/rows/5"]


def test_a_schema_may_refer_to_itself() -> None:
    tree = JsonSchema({"$defs": {"t": {"type": "array", "items": {"$ref": "#/$defs/t"}}}, "$ref": "#/$defs/t"})

    assert tree.problems([[[]]]) == []
    assert [problem.pointer for problem in tree.problems([[1]])] == ["/0/0"]


def chain(keyword: str, links: int) -> dict[str, Any]:
    """A schema that is `2 ** links` others on one value."""
    schemas = {f"a{at}": joined(keyword, {"$ref": f"#/$defs/a{at + 1}"}) for at in range(links)}
    return {"$ref": "#/$defs/a0", "$defs": schemas | {f"a{links}": {"type": "string"}}}


def joined(keyword: str, again: dict[str, Any]) -> dict[str, Any]:
    """`again`, twice on the same value."""
    match keyword:
        case "not":
            return {"not": again, "if": again}
        case "dependentSchemas":
            return {"dependentSchemas": {"a": again, "b": again}}
        case "then":
            return {"if": again, "then": again, "else": again}
        case "items":
            return {"items": again, "contains": again}
        case "patternProperties":
            return {"patternProperties": {"a": again, "^a": again}}
        case "unevaluatedProperties":
            return {"allOf": [{"properties": {"a": again}}], "unevaluatedProperties": again, "propertyNames": again}
    return {keyword: [again, again]}


@pytest.mark.parametrize(
    "keyword",
    [
        "anyOf",
        "allOf",
        "oneOf",
        "not",
        "then",
        "dependentSchemas",
        "items",
        "patternProperties",
        "unevaluatedProperties",
    ],
)
def test_what_multiplies_along_references_is_refused(keyword: str) -> None:
    with pytest.raises(SchemaRefused, match="too large"):
        JsonSchema(chain(keyword, 25))

    began = time.process_time()
    for value in (1, {"a": {"a": 1}}, [[[1]]]):
        JsonSchema(chain(keyword, 6)).problems(value)
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    "schema",
    [
        {"anyOf": [{"items": {"$ref": "#"}, "minItems": 1}, {"items": {"$ref": "#"}, "maxItems": 9}]},
        {"allOf": [{"properties": {"a": {"$ref": "#"}}}, {"additionalProperties": {"$ref": "#"}}]},
        {"items": {"$ref": "#"}, "contains": {"$ref": "#"}},
        {"patternProperties": {"a": {"$ref": "#"}}, "properties": {"a": {"$ref": "#"}}},
        {"not": {"items": {"$ref": "#"}}, "items": {"$ref": "#"}},
        {
            "$defs": {
                "a": {"allOf": [{"items": {"$ref": "#/$defs/a"}}, {"items": {"$ref": "#/$defs/b"}}]},
                "b": {"items": {"$ref": "#/$defs/b"}},
            },
            "$ref": "#/$defs/a",
        },
    ],
    ids=str,
)
def test_a_schema_that_recurs_twice_on_the_same_part_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(SchemaRefused, match="more than once"):
        JsonSchema(schema)


def test_recursions_on_different_parts_are_taken() -> None:
    again = {"$ref": "#"}
    node = {"properties": {"left": again, "right": again}, "additionalProperties": again}
    schema = JsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": again}, {"type": "object", **node}]})

    assert schema.problems({"left": ["a", {"x": "b"}], "right": {"left": "c"}}) == []
    assert len(schema.problems({"left": [1]})) == 1


@pytest.mark.parametrize(
    "within",
    [
        {"allOf": [{"$ref": "#/$defs/b"}, {"$ref": "#"}]},
        {"allOf": [{"items": {"$ref": "#/$defs/b"}}, {"$ref": "#"}]},
    ],
    ids=str,
)
def test_what_a_recursion_leads_to_is_bounded_too(within: dict[str, Any]) -> None:
    with pytest.raises(SchemaRefused, match="refers to itself"):
        JsonSchema({"items": {"$ref": "#/$defs/b"}, "$defs": {"b": within}})


def test_what_stands_unused_makes_no_recursion() -> None:
    text = {"type": "string"}
    branches = [{"properties": {"a": text}}, {"properties": {"a": text}}]

    assert JsonSchema({"$defs": {"unused": {"items": {"$ref": "#"}}}, "anyOf": branches}).problems({"a": "b"}) == []


def test_names_that_only_look_like_keywords_are_taken() -> None:
    names = {"$ref": {"type": "string"}, "$id": {"type": "integer"}}
    schema = JsonSchema({"properties": names, "examples": [{"$ref": "other"}], "default": {"$schema": "none"}})

    assert schema.problems({"$ref": "anything", "$id": 1}) == []
    assert [problem.pointer for problem in schema.problems({"$id": "x"})] == ["/$id"]


def test_a_deep_value_does_not_fit() -> None:
    value: Any = 1
    for _ in range(900):
        value = [value]

    assert JsonSchema({"items": {"$ref": "#"}}).problems(value) == [
        SchemaProblem("", "it nests deeper than 100 levels")
    ]


def test_a_large_value_is_no_work() -> None:
    branches = [{"type": "string", "minLength": at} for at in range(1, 500)]
    began = time.process_time()

    assert len(JsonSchema({"items": {"anyOf": branches}}).problems([""] * 10_000)) == 1
    assert len(JsonSchema({"items": {"anyOf": branches}}).problems([""] * 100_000)) == 1
    assert time.process_time() - began < 2


@pytest.mark.parametrize("name", ["items", "$defs"])
def test_a_deep_schema_is_refused(name: str) -> None:
    schema: dict[str, Any] = {}
    for _ in range(600):
        schema = {name: {"$defs": schema} if name == "$defs" else schema}

    with pytest.raises(SchemaRefused, match="nests"):
        JsonSchema(schema)
