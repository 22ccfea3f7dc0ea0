"""Each service's OpenAPI document keeps the conventions, so that what is generated from it can rely on them."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from services.topology import SERVICES
from shared.openai import OPENAI
from tests.architecture.apps import Operation, app_of, dialect_of, operations


def named(operation: Operation) -> str:
    return f"{operation[1]} {operation[2]}"


every_operation = pytest.mark.parametrize("operation", list(operations(*SERVICES)), ids=named)


def schemas() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for service in SERVICES:
        for name, schema in app_of(service).openapi()["components"]["schemas"].items():
            yield service, name, schema


def test_operation_ids_are_unique_over_all_services() -> None:
    ids = Counter(operation["operationId"] for *_, operation in operations(*SERVICES))

    assert [name for name, count in ids.items() if count > 1] == []


@every_operation
def test_an_operation_says_what_it_is(operation: Operation) -> None:
    service, _, path, described = operation

    assert described["operationId"].startswith(f"{service}_")
    assert described["tags"]
    assert described["summary"]
    assert described["description"]
    is_where_openais_clients_look = dialect_of(operation) is OPENAI
    assert path.startswith(f"/api/v1/{service}") != is_where_openais_clients_look


@every_operation
def test_an_operation_declares_its_errors_as_it_words_them(operation: Operation) -> None:
    *_, described = operation
    dialect = dialect_of(operation)
    errors = {status: answer for status, answer in described["responses"].items() if status[0] in "45"}

    assert {str(dialect.status_of(422)), "429", "500", "503"} <= errors.keys()
    assert all(dialect.media_type in answer["content"] for answer in errors.values())


def bodies(operation: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        yield media_type, content["schema"]


def resolved(service: str, schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = app_of(service).openapi()["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return schema


@every_operation
def test_a_json_body_shows_an_example(operation: Operation) -> None:
    service, *_, described = operation

    for media_type, schema in bodies(described):
        if media_type == "application/json":
            body = resolved(service, schema)
            has_own = bool(body.get("examples") or described["requestBody"]["content"][media_type].get("examples"))
            of_fields = [resolved(service, part).get("examples") for part in body.get("properties", {}).values()]
            assert has_own or any(of_fields)
