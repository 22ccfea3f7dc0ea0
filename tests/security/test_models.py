"""S13 and O9: requests hold nothing unknown and nothing unbounded; answers hold what their model names."""

import re
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from fastapi import FastAPI
from pydantic import BaseModel, RootModel, TypeAdapter

from services.tasks.kinds.registry import BUILT_IN
from services.topology import SERVICES
from shared.door import Bounds, GuardedRoute
from shared.schemas import LargeModel
from shared.web import routes_of
from tests.architecture.apps import app_of
from tests.security.spec import OPERATIONS, Operation, Schema, fields, parts, resolved

# Members whose own members are the caller's business, by name, and what bounds them instead.
FREE_FORM = {
    "metadata": "a tenant's own values, given back as they are; bounded in number, names and size",
    "attributes": "of a file: a tenant's own values, bounded like metadata",
    "input": "what a kind of task asks for; checked against the kind's own schema, bounded in bytes",
    "tasks": "each the body of a submit, held against its model one by one; bounded in number and bytes",
    "problem": "a problem, as the document says of errors",
    "input_schema": "a JSON Schema",
    "response_schema": "a JSON Schema; bounded in bytes and in what it asks of who holds it against a value",
    "document": "of OpenAPI; bounded in bytes, values and depth, and read as far as the operations asked for go",
    "operations": "by names of tools; bounded in number, names and length",
    "secrets": "names of secrets by those of a document's schemes; bounded likewise",
    "schema": "a JSON Schema, bounded as a `response_schema`",
    "parameters": "a JSON Schema, bounded likewise, of a tool's arguments",
    "arguments": "of a tool call, as its schema wants them",
    "headers": "names and texts of HTTP headers; bounded in number and length",
    "result": "what a kind of task returned",
    "data": "of an event that a webhook is told: what its type has to say",
    "provider_specific_fields": "what LiteLLM writes beside an answer; bounded in number and names, and read by nobody",
    "filters": "of a search of files, as it was asked for; bounded by its schema",
    "details": "of an audit entry: what its action has to say",
}
# Numbers that are compared and never counted or allocated: every finite one is as good as another.
COMPARED = {
    "value": "in a filter, against metadata",
    "metadata": "a tenant's own values",
    "attributes": "likewise",
}
# How text is named by which its reader may act.
SECRET = re.compile(r"(^|_)(token|ticket|key|secret|password|credential)s?$")
NO_SECRETS = (
    "concurrency.key",
    "concurrency_key",
    "filters.key",
    "prompt_cache_key",
)  # by the end of its place: a caller's own word for what runs one at a time
with_body = pytest.mark.parametrize("operation", [one for one in OPERATIONS if one.bodies], ids=str)
every_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=str)


def levels(schema: Schema) -> Iterator[tuple[str, Schema]]:
    """The schema and every one inside of it, alternatives apart, by place."""
    for place, part in [("", schema), *fields(schema)]:
        waiting = [part]
        while waiting:
            one = resolved(waiting.pop())
            waiting += parts(one)
            yield place, one


def names(place: str) -> set[str]:
    return set(place.replace("[]", "").split("."))


@with_body
def test_a_body_refuses_what_it_does_not_know_at_every_level(operation: Operation) -> None:
    open_ones = [
        place or "the body"
        for body in operation.bodies.values()
        for place, schema in levels(body)
        if schema.get("type") == "object" and schema.get("additionalProperties") is not False
        if not names(place) & FREE_FORM.keys()
    ]

    assert open_ones == []


@every_operation
def test_everything_a_caller_sends_has_a_bound(operation: Operation) -> None:
    sent = [level for body in operation.bodies.values() for level in levels(body)]
    for parameter in operation.parameters:
        sent += [(f"{parameter['in']} {parameter['name']}", schema) for _, schema in levels(parameter["schema"])]

    assert [place for place, schema in sent if is_unbounded(schema) and not is_excused(place, schema)] == []


def is_excused(place: str, schema: Schema) -> bool:
    excuses = COMPARED if schema.get("type") in ("integer", "number") else FREE_FORM
    return bool(names(place) & excuses.keys())


def is_unbounded(schema: Schema) -> bool:
    match schema.get("type"):
        case "string":
            return not ({"maxLength", "enum", "const", "pattern"} & schema.keys() or is_of_fixed_length(schema))
        case "array":
            return "maxItems" not in schema
        case "integer" | "number":
            low, high = {"minimum", "exclusiveMinimum"}, {"maximum", "exclusiveMaximum"}
            return "enum" not in schema and not (low & schema.keys() and high & schema.keys())
        case "object":
            return "properties" not in schema and "maxProperties" not in schema
    return False


def is_of_fixed_length(schema: Schema) -> bool:
    return schema.get("format") in ("date-time", "date", "uuid")


def test_where_a_body_may_hold_thousands_of_values_no_object_may_have_thousands_of_unknown_members() -> None:
    documented = [route for app in SERVICES for route in routes(app_of(app), documented=True)]
    large = [route.body_field.field_info.annotation for route in documented if is_large(route)]
    kinds = [kind.input_model for kind in BUILT_IN.list()]

    found = set().union(*map(models, [*large, *kinds]))

    assert large
    assert [model for model in found if not issubclass(model, LargeModel | RootModel)] == []


def is_large(route: GuardedRoute) -> bool:
    return route.body_field is not None and route.bounds.values > Bounds().values


def models(annotation: Any) -> set[type[BaseModel]]:
    """Those it names, and those in their fields."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        inner = (field.annotation for field in annotation.model_fields.values())
        return {annotation}.union(*map(models, inner))
    return set().union(*map(models, get_args(annotation)))


@every_operation
def test_an_answer_holds_what_its_model_names(operation: Operation) -> None:
    """A JSON answer has a schema, and no object in it is without named members; one without content has none."""
    answers = {status: answer for status, answer in operation.described["responses"].items() if status[0] == "2"}

    found = [(status, *level) for status, answer in answers.items() for level in answered(answer)]

    assert answers
    assert [(status, place) for status, place, schema in found if not is_explicit(place, schema)] == []


def answered(answer: dict[str, Any]) -> Iterator[tuple[str, Schema]]:
    for media_type, content in answer.get("content", {}).items():
        if media_type.endswith("json"):
            yield from levels(content["schema"]) if content.get("schema") else [("the answer", {})]


def is_explicit(place: str, schema: Schema) -> bool:
    if names(place) & FREE_FORM.keys():
        return True
    if schema.get("type") == "object":
        return bool(schema.get("properties") or is_map(schema))
    return bool(place) or "properties" in schema or bool(parts(schema))  # each of which is a level too


def is_map(schema: Schema) -> bool:
    """Named by what it holds instead of one by one: the checks of the health report."""
    return isinstance(schema.get("additionalProperties"), dict) and bool(resolved(schema["additionalProperties"]))


@every_operation
def test_an_answer_with_a_secret_is_declared_to_be_kept_by_nobody(operation: Operation) -> None:
    for status, answer in operation.described["responses"].items():
        declared = {name: one["schema"].get("const") for name, one in answer.get("headers", {}).items()}
        holds_secret = status[0] == "2" and any(is_secret(*level) for level in answered(answer))

        assert (declared.get("Cache-Control") == "no-store", declared.get("Pragma") == "no-cache") == (
            holds_secret,
        ) * 2


@pytest.mark.parametrize("service", SERVICES)
def test_a_secret_between_services_is_kept_by_nobody_either(service: str) -> None:
    for route in routes(app_of(service), documented=False):
        schema = TypeAdapter(route.response_model).json_schema() if route.response_model else {}

        assert route.shows_secret == any(name for name in schema.get("properties", ()) if SECRET.search(name)), route


def is_secret(place: str, schema: Schema) -> bool:
    if place.endswith(NO_SECRETS):
        return False
    return schema.get("type") == "string" and bool(SECRET.search(place.replace("[]", "").rpartition(".")[2]))


def routes(app: FastAPI, *, documented: bool) -> Iterator[Any]:
    """Those that its document names, or the others."""
    for route in routes_of(app):
        if isinstance(route, GuardedRoute) and route.include_in_schema is documented:
            yield route
