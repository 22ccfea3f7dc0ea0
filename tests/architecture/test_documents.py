"""Each service's OpenAPI document keeps the conventions, so that what is generated from it can rely on them."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.architecture.apps import SERVICES, app_of

Operation = tuple[str, str, str, dict[str, Any]]
PUBLIC = {"auth_register", "auth_token", "auth_revoke", "auth_jwks", "auth_metadata"}


def operations() -> Iterator[Operation]:
    for service in SERVICES:
        for path, methods in app_of(service).openapi()["paths"].items():
            for method, operation in methods.items():
                yield service, method.upper(), path, operation


def named(operation: Operation) -> str:
    return f"{operation[1]} {operation[2]}"


every_operation = pytest.mark.parametrize("operation", list(operations()), ids=named)


def schemas() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for service in SERVICES:
        for name, schema in app_of(service).openapi()["components"]["schemas"].items():
            yield service, name, schema


def test_operation_ids_are_unique_over_all_services() -> None:
    ids = Counter(operation["operationId"] for *_, operation in operations())

    assert [name for name, count in ids.items() if count > 1] == []


@every_operation
def test_an_operation_says_what_it_is(operation: Operation) -> None:
    service, _, path, described = operation

    assert described["operationId"].startswith(f"{service}_")
    assert described["tags"]
    assert described["summary"]
    assert described["description"]
    assert path.startswith(f"/api/v1/{service}")


@every_operation
def test_an_operation_demands_a_scope_or_is_known_to_be_public(operation: Operation) -> None:
    *_, described = operation
    scopes = [
        scope for alternative in described.get("security", []) for granted in alternative.values() for scope in granted
    ]

    assert bool(scopes) != (described["operationId"] in PUBLIC)


@every_operation
def test_an_operation_declares_its_errors_as_problems(operation: Operation) -> None:
    *_, described = operation
    errors = {status: answer for status, answer in described["responses"].items() if status[0] in "45"}

    assert {"422", "429", "500", "503"} <= errors.keys()
    assert all("application/problem+json" in answer["content"] for answer in errors.values())


def bodies(operation: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        yield media_type, content["schema"]


def resolved(service: str, schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = app_of(service).openapi()["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return schema


@every_operation
def test_a_body_refuses_what_it_does_not_know(operation: Operation) -> None:
    service, *_, described = operation

    assert all(resolved(service, schema)["additionalProperties"] is False for _, schema in bodies(described))


def unbounded(service: str, schema: dict[str, Any], place: str, seen: frozenset[str] = frozenset()) -> Iterator[str]:
    """Where a string, list, map or number inside of `schema` has no bound."""
    if "$ref" in schema:
        if schema["$ref"] in seen:
            return
        seen |= {schema["$ref"]}
        schema = resolved(service, schema)
    for name, part in schema.get("properties", {}).items():
        yield from unbounded(service, part, f"{place}/{name}", seen)
    for part in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())):
        yield from unbounded(service, part, place, seen)
    if isinstance(schema.get("items"), dict):
        yield from unbounded(service, schema["items"], f"{place}[]", seen)
    if is_unbounded(schema):
        yield place


def is_unbounded(schema: dict[str, Any]) -> bool:
    match schema.get("type"):
        case "string":
            closed = {"maxLength", "enum", "const", "pattern"} & schema.keys() or schema.get("format") in (
                "date-time",
                "uuid",
            )
            return not closed
        case "array":
            return "maxItems" not in schema
        case "integer" | "number":
            low, high = {"minimum", "exclusiveMinimum"}, {"maximum", "exclusiveMaximum"}
            return "enum" not in schema and not (low & schema.keys() and high & schema.keys())
        case "object":
            return "properties" not in schema and "maxProperties" not in schema
    return False


# A number in a filter or in metadata is compared, never counted or allocated: every finite one is as good as another.
FREE = ("/value", "/metadata", "/vector", "/input", "/filter")


@every_operation
def test_everything_a_caller_sends_has_a_bound(operation: Operation) -> None:
    service, *_, described = operation
    found = [place for _, schema in bodies(described) for place in unbounded(service, schema, "")]
    for parameter in described.get("parameters", []):
        found += list(unbounded(service, parameter["schema"], parameter["name"]))

    assert [place for place in found if not any(free in place for free in FREE)] == []


@every_operation
def test_a_json_body_shows_an_example(operation: Operation) -> None:
    service, *_, described = operation

    for media_type, schema in bodies(described):
        if media_type == "application/json":
            body = resolved(service, schema)
            has_own = bool(body.get("examples") or described["requestBody"]["content"][media_type].get("examples"))
            of_fields = [resolved(service, part).get("examples") for part in body.get("properties", {}).values()]
            assert has_own or any(of_fields)
