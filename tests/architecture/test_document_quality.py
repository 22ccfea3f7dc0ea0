"""What clients, testers and readers need of a document, beside what `test_documents.py` asks of an operation."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.portal.merge import merge
from tests.architecture.apps import APPS, Operation, app_of, operations

EVERY = pytest.mark.parametrize("operation", list(operations(*APPS)), ids=lambda one: f"{one[1]} {one[2]}")
ANNOTATIONS = {"title", "description", "default", "examples", "deprecated"}


def nodes(node: Any, place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    match node:
        case dict():
            yield place, node
            for name, part in node.items():
                if name not in {"examples", "example", "default"}:
                    yield from nodes(part, f"{place}/{name}")
        case list():
            for number, part in enumerate(node):
                yield from nodes(part, f"{place}/{number}")


@pytest.mark.parametrize("app", APPS)
def test_a_reference_stands_alone(app: str) -> None:
    """Beside it a tool of OpenAPI 3.0 reads nothing, and one of 3.1 reads both as one."""
    crowded = [
        place for place, node in nodes(app_of(app).openapi()) if "$ref" in node and node.keys() - {"$ref"} - ANNOTATIONS
    ]

    assert crowded == []


@pytest.mark.parametrize("app", APPS)
def test_what_no_operation_takes_or_answers_is_in_no_document(app: str) -> None:
    """Clients are generated from it, with a class for each schema."""
    document = app_of(app).openapi()
    schemas, reached = document["components"]["schemas"], set[str]()
    looking = [document["paths"]]
    while looking:
        named = {node["$ref"].rpartition("/")[2] for _, node in nodes(looking.pop()) if "$ref" in node}
        looking += [schemas[name] for name in named - reached if name in schemas]
        reached |= named

    assert schemas.keys() - reached == set()


@pytest.mark.parametrize("app", APPS)
def test_a_document_says_where_its_paths_are(app: str) -> None:
    document = app_of(app).openapi()

    assert document["servers"]
    assert all(document["info"].get(name) for name in ("title", "version", "description", "license"))


@pytest.mark.parametrize("app", APPS)
def test_every_tag_is_explained(app: str) -> None:
    used = {tag for *_, one in operations(app) for tag in one["tags"]}

    assert used == {tag["name"] for tag in app_of(app).openapi()["tags"] if tag["description"]}


@EVERY
def test_an_operation_says_who_may_call_it(operation: Operation) -> None:
    """Also where that is anybody."""
    assert "security" in operation[3]


@EVERY
def test_every_parameter_of_a_path_is_described(operation: Operation) -> None:
    _, _, path, described = operation
    stated = {one["name"] for one in described.get("parameters", []) if one["in"] == "path" and one["required"]}

    assert set(re.findall(r"\{(\w+)\}", path)) == stated


@EVERY
def test_an_answer_with_a_body_shows_its_schema(operation: Operation) -> None:
    answers = operation[3]["responses"]

    assert any(status[0] in "23" for status in answers)
    assert all(answer["description"] for answer in answers.values())
    assert [s for s, one in answers.items() for body in one.get("content", {}).values() if not body["schema"]] == []


@EVERY
def test_what_makes_a_thing_leads_to_it(operation: Operation) -> None:
    app, method, path, described = operation
    made = described["responses"].get("201" if method == "POST" else "none", {})
    paths = app_of(app).openapi()["paths"]
    single = [
        other for other in paths if re.fullmatch(rf"{re.escape(path)}/\{{\w+\}}", other) and "get" in paths[other]
    ]

    linked = {link["operationId"] for link in made.get("links", {}).values()}

    assert not made or {paths[other]["get"]["operationId"] for other in single} <= linked


@pytest.mark.parametrize("app", APPS)
def test_links_lead_to_operations_by_their_own_parameters(app: str) -> None:
    known = {
        one["operationId"]: {parameter["name"] for parameter in one.get("parameters", [])}
        for *_, one in operations(*APPS)
    }
    links = [
        link
        for _, _, _, one in operations(app)
        for answer in one["responses"].values()
        for link in answer.get("links", {}).values()
    ]

    assert [link for link in links if not set(link["parameters"]) <= known[link["operationId"]]] == []


def unbounded(app: str, schema: dict[str, Any], place: str, seen: frozenset[str] = frozenset()) -> Iterator[str]:
    """The places below `schema` where a caller may send as much as they like."""
    if reference := schema.get("$ref"):
        if reference in seen:
            return
        seen |= {reference}
        schema = app_of(app).openapi()["components"]["schemas"][reference.rpartition("/")[2]]
    for part in [*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())]:
        yield from unbounded(app, part, place, seen)
    match schema.get("type"):
        case "string" if not _is_bounded_text(schema):
            yield place
        case "integer" if not {"minimum", "exclusiveMinimum"} & schema.keys():
            yield place
        case "integer" if not {"maximum", "exclusiveMaximum"} & schema.keys():
            yield place
        case "array" if "maxItems" not in schema:
            yield place
    if isinstance(schema.get("items"), dict):
        yield from unbounded(app, schema["items"], f"{place}[]", seen)
    for name, part in schema.get("properties", {}).items():
        yield from unbounded(app, part, f"{place}.{name}", seen)


def _is_bounded_text(schema: dict[str, Any]) -> bool:
    if {"maxLength", "enum", "const"} & schema.keys() or schema.get("format") in {
        "uuid",
        "date-time",
        "date",
        "binary",
    }:
        return True
    pattern = schema.get("pattern", "*")
    return (
        pattern.startswith("^")
        and pattern.endswith("$")
        and not re.search(r"(?<!\\)[*+](?![^\[]*\])|\{\d+,\}", pattern)
    )


@EVERY
def test_no_input_is_without_bounds(operation: Operation) -> None:
    app, _, _, described = operation
    found = [
        place
        for parameter in described.get("parameters", [])
        for place in unbounded(app, parameter["schema"], f"{parameter['in']} {parameter['name']}")
    ]
    for content in described.get("requestBody", {}).get("content", {}).values():
        found += unbounded(app, content["schema"], "body")

    assert found == []


def test_every_schema_has_one_name() -> None:
    """Over all documents: generated clients make a class of each. A name with a module in it is one of two."""
    documents = {name: app_of(name).openapi() for name in APPS}
    merged = merge(documents, {})["components"]["schemas"]

    titles = Counter(schema.get("title", name) for name, schema in merged.items())

    assert [name for name in merged if "__" in name or any(name.startswith(f"{app}_") for app in APPS)] == []
    assert [title for title, count in titles.items() if count > 1] == []


WITHOUT_VERSION = {
    "chat_forget_conversation": "of OpenAI's dialect, whose clients send no condition",
    "chat_delete_response": "of OpenAI's dialect, whose clients send no condition",
    "chat_delete_item": "of OpenAI's dialect, whose clients send no condition",
    "vectors_update_record": "engines keep no version of a record",
    "vectors_delete_record": "engines keep no version of a record",
    "vectors_delete_openai_file": "of OpenAI's dialect, whose clients send no condition",
    "vectors_delete_vector_store": "of OpenAI's dialect, whose clients send no condition",
    "vectors_detach_file": "of OpenAI's dialect, whose clients send no condition",
}


@EVERY
def test_what_is_read_can_be_changed_on_condition(operation: Operation) -> None:
    """`If-Match` with the tag of the read: else 412."""
    app, method, path, described = operation
    is_change = method in {"PUT", "PATCH", "DELETE"} and "get" in app_of(app).openapi()["paths"][path]

    takes_tag = any(one["name"].lower() == "if-match" for one in described.get("parameters", []))

    if is_change and described["operationId"] not in WITHOUT_VERSION:
        assert takes_tag
        assert "412" in described["responses"]
