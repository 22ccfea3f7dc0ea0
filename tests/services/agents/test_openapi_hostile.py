"""Documents that nobody means well with, or few would write: read at the price of their size, or refused by place."""

import json
import threading
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from local.suite import Suite
from services.agents.errors import OperationInexpressible
from services.agents.openapi import service
from services.agents.openapi.schemas import ToolsImport
from services.agents.openapi.shapes import Shapes
from shared.json_schema import JsonSchema
from tests.fixtures.apps import open_service
from tests.fixtures.identity import RegisterUser, User
from tests.services.agents.conftest import AGENTS
from tests.services.agents.test_openapi_import import Document, imported
from tests.services.agents.test_secrets import write

SERVER = [{"url": "https://example.com"}]
STRING = {"type": "string"}


@pytest.fixture(scope="module")
async def shared_app(suite: Suite) -> AsyncIterator[httpx.AsyncClient]:
    suite.up(["neo4j", "redis-cache"])
    async with open_service(suite, is_watched=False)("agents") as client:
        yield client


@pytest.fixture
async def owner(register_user: RegisterUser) -> User:
    """A tenant without tools."""
    return await register_user()


def document(operation: Document, *, method: str = "post", path: str = "/a", **more: Any) -> Document:
    """With one operation, `a`."""
    paths = {path: {method: {"operationId": "a"} | operation}}
    return {"openapi": "3.1.0", "servers": SERVER, "paths": paths} | more


def body(schema: Any, *, required: Any = True, **more: Any) -> Document:
    content = {"application/json": {"schema": schema}}
    return document({"requestBody": {"required": required, "content": content}}, **more)


def query(schema: Any, **more: Any) -> Document:
    return {"name": "q", "in": "query", "schema": schema} | more


def made(given: Document, names: int = 1, **more: Any) -> dict[str, Any]:
    """The tools, by their names, as the service makes them of it."""
    asked = {"operations": {f"t{at}": "a" for at in range(names)}, "document": given} | more
    return dict(service._made(ToolsImport.model_validate(asked), given))


def refused(given: Document, names: int = 1, **more: Any) -> tuple[str, str]:
    """Place and code of the first problem."""
    with pytest.raises(OperationInexpressible) as told:
        made(given, names, **more)
    first = told.value.errors[0]
    return first.pointer, first.code


REFERRED = {"$ref": "#/components/schemas/X"}
CROWD = {f"p{at}": REFERRED for at in range(900)}
LARGE = "a" * 500_000


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "description": LARGE},
        {"type": "string", "default": LARGE},
        {"enum": [f"{at}" for at in range(40_000)]},
        {"const": [["x" * 100] * 3_000]},
        {f"x-{at}": at for at in range(45_000)},
        {"$ref": "#/components/schemas/X/x-0", **{f"x-{at}": STRING for at in range(20_000)}},
        {"properties": {f"a{at}": {"readOnly": True} for at in range(20_000)}},
        {"properties": {"n" * 500_000: {}}},
    ],
    ids=["description", "default", "enum", "const", "extensions", "beside", "hidden", "name"],
)
def test_what_references_copy_is_paid_for(schema: Document, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty tools of it, each property the same large schema: none is made, and little work is done."""
    looked = 0
    keyword = Shapes._keyword

    def counted(*given: Any) -> Any:
        nonlocal looked
        looked += 1
        return keyword(*given)

    monkeypatch.setattr(Shapes, "_keyword", counted)
    given = body({"type": "object", "properties": CROWD}, components={"schemas": {"X": schema}})

    assert refused(given, 20)[1] == "schema_too_large"
    assert looked < 50_000


def test_after_one_that_is_too_large_no_other_is_read() -> None:
    paths = {
        f"/{at}": {"get": {"operationId": f"o{at}", "parameters": [query({"default": LARGE}, required=True)]}}
        for at in range(20)
    }
    given = {"openapi": "3.1.0", "servers": SERVER, "paths": paths}

    with pytest.raises(OperationInexpressible) as told:
        service._made(ToolsImport(operations={f"o{at}": f"o{at}" for at in range(20)}, document=given), given)

    assert [one.code for one in told.value.errors] == ["schema_too_large"]


def test_a_long_reference_is_refused_and_a_short_one_looked_up_once() -> None:
    long = {"$ref": "#/components/schemas/" + "%61" * 300_000}
    same = "#/components/schemas/" + "%61" * 300
    given = body({"type": "object", "properties": {f"p{at}": {"$ref": same} for at in range(50)}})
    given["components"] = {"schemas": {"a" * 300: STRING}}

    assert refused(body({"type": "object", "properties": {"p": long}}))[1] == "reference_too_long"
    assert len(made(given)["t0"].definition.parameters["properties"]) == 50


TWICE = [{"name": name, "in": "header", "required": True, "schema": {"const": "1"}} for name in ("X-A", "x-a")]
ODD = [
    (body({"type": "object", "properties": {"a": {"type": None}}}), "document_invalid"),
    (body({"type": 5, "properties": {}}), "document_invalid"),
    (body({"type": [["object"]], "properties": {}}), "document_invalid"),
    (body({"type": "object", "properties": {"a": {}}, "required": 5}), "document_invalid"),
    (body({"type": "object", "properties": {"a": {}}, "required": None}), "document_invalid"),
    (body({"type": "object", "properties": {"a": {}}, "required": [[1]]}), "document_invalid"),
    (body({"type": "object", "properties": {"a": {}}, "required": [{}]}), "document_invalid"),
    (body({"type": "object", "properties": {"a": {}}}, required="yes"), "document_invalid"),
    (body({"type": "object", "properties": {"a": {"enum": [10**30]}}}), "document_invalid"),
    (document({"requestBody": {"required": True, "content": 5}}), "document_invalid"),
    (document({"security": 5}), "document_invalid"),
    (document({"security": {}}), "document_invalid"),
    (document({"security": [{"a": []}] * 65}), "document_invalid"),
    (document({"parameters": [query(STRING)] * 201}), "parameters_too_many"),
    (document({"parameters": [query(STRING, required="yes")]}), "document_invalid"),
    (document({"parameters": [{"name": "\ud800", "in": "cookie"}]}), "document_invalid"),
    (body({"type": "object", "properties": {"a": {"\ud800": 1}}}), "document_invalid"),
    (body({"type": "object", "properties": {"a": {"default": float("nan")}}}), "document_invalid"),
    (document({"x-a": float("inf")}), "document_invalid"),
    (document({}, path="/" + "a" * 3_000), "path_invalid"),
    (body({"type": "object", "properties": {"a": {}}, "required": ["a", "b"]}), "property_missing"),
    (body({"type": "object", "properties": {"a": {}}, "not": {"required": ["a"]}}), "body_combined"),
    (body({"type": "object", "properties": {"a": {}}, "minProperties": 1}), "body_combined"),
    (body({"type": "object", "properties": {"a": {}}, "dependentRequired": {"a": []}}), "body_combined"),
    (
        body({"type": "object", "properties": {"a": REFERRED | {"minLength": 1}}}, components={"schemas": {"X": {}}}),
        "reference_siblings",
    ),
    (body({"type": "object", "properties": {}}, method="get"), "body_unsent"),
    (
        document(
            {"parameters": TWICE}
        ),
        "header_twice",
    ),
    *(
        (
            document({"parameters": [{"name": "a", "in": "path", "required": True, "schema": schema}]}, path="/{a}"),
            "parameter_style",
        )
        for schema in (
            {"allOf": [{"type": "object"}]},
            {"anyOf": [STRING, {"oneOf": [{"type": "array"}]}]},
        )
    ),
]  # fmt: skip


@pytest.mark.parametrize(("given", "code"), ODD, ids=range(len(ODD)))
def test_an_odd_document_is_refused_by_its_place(given: Document, code: str) -> None:
    pointer, found = refused(given)

    assert found == code
    assert json.dumps(pointer, ensure_ascii=False).encode().startswith(b'"/document')


def test_what_may_be_left_out_is() -> None:
    fixed = [{"name": name, "in": "header", "schema": {"const": name}} for name in ("X-A", "x-a")]
    given = body({"type": "object", "properties": {}}, required=False, method="get")
    given["paths"]["/a"]["get"]["parameters"] = fixed

    tool = made(given)["t0"]

    assert (tool.definition.headers, tool.left_out) == ({"X-A": "X-A"}, ["header x-a", "body"])


def test_what_only_answers_have_may_be_required() -> None:
    given = body(
        {"type": "object", "required": ["id", "a"], "properties": {"a": STRING, "id": STRING | {"readOnly": True}}}
    )

    assert made(given)["t0"].definition.parameters["required"] == ["a"]


@pytest.mark.parametrize(("version", "said"), [("3.1.0", "here"), ("3.0.3", "there")])
def test_a_description_beside_a_reference_counts_from_3_1_on(version: str, said: str) -> None:
    given = body(
        {"type": "object", "properties": {"a": REFERRED | {"description": "here"}}},
        components={"schemas": {"X": STRING | {"description": "there"}}},
        openapi=version,
    )

    schema = made(given)["t0"].definition.parameters

    assert schema["properties"]["a"] == {"type": "string", "description": said}
    JsonSchema(schema)


def test_a_path_that_is_elsewhere_is_in_the_way_of_what_may_be_there_only() -> None:
    given = document({})
    given["paths"] = {"/b": {"$ref": "other.json#/b"}} | given["paths"]

    assert list(made(given)) == ["t0"]
    given["paths"]["/a"]["post"]["operationId"] = "another"
    assert refused(given) == ("/document/paths/~1b", "reference_elsewhere")


def test_a_secret_is_for_a_scheme_that_is_used() -> None:
    schemes = {"key": {"type": "apiKey", "in": "header", "name": "X-Key"}}
    given = document({"security": [{"key": []}]}, components={"securitySchemes": schemes})

    assert made(given, secrets={"key": "KEY"})["t0"].definition.headers == {"X-Key": "${secret:KEY}"}
    assert refused(given, secrets={"key": "KEY", "a/b": "KEY"}) == ("/secrets/a~1b", "secret_unused")
    assert refused(document({}), secrets={"key": "KEY"}) == ("/secrets/key", "secret_unused")


@pytest.mark.parametrize("server", ["https://example.com/?a=b", "https://example.com/#a"])
def test_a_server_has_no_query(server: str) -> None:
    with pytest.raises(ValidationError, match="neither"):
        ToolsImport(operations={"a": "a"}, document=document({}), server=server)


async def test_no_document_is_read_on_the_event_loop(
    client: httpx.AsyncClient, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_here, threads = service._made, set[int]()

    def watched(*given: Any) -> Any:
        threads.add(threading.get_ident())
        return made_here(*given)

    monkeypatch.setattr(service, "_made", watched)

    assert (await imported(client, owner, {"tool": "b"}, document=document({}))).status_code == 422
    assert threads
    assert threading.get_ident() not in threads


@pytest.mark.parametrize("what", ["\ud800", "a"])
async def test_what_no_answer_can_name_is_refused_before_anything_is_made(
    client: httpx.AsyncClient, owner: User, what: str
) -> None:
    given = document({"parameters": [{"name": what, "in": "cookie"}]})
    asked = json.dumps({"operations": {"tool": "a"}, "document": given})

    answer = await client.post(
        f"{AGENTS}/tools/import", content=asked, headers=owner.headers | {"Content-Type": "application/json"}
    )

    assert answer.status_code == (200 if what == "a" else 422), answer.text
    if what != "a":
        assert answer.json()["errors"][0]["code"] == "document_invalid"
        assert (await client.get(f"{AGENTS}/tools/tool", headers=owner.headers)).status_code == 404


@pytest.mark.parametrize(("hosts", "code"), [(None, "secret_unknown"), (["elsewhere.example"], "secret_elsewhere")])
async def test_what_is_wrong_with_a_secret_is_told_at_its_operation(
    client: httpx.AsyncClient, owner: User, hosts: list[str] | None, code: str
) -> None:
    schemes = {"key": {"type": "apiKey", "in": "header", "name": "X-Key"}}
    given = document({"security": [{"key": []}]}, components={"securitySchemes": schemes})
    if hosts:
        await write(client, owner, "KEY", hosts=hosts)

    answer = await imported(client, owner, {"tool": "a"}, document=given, secrets={"key": "KEY"})

    first = answer.json()["errors"][0]
    assert (answer.status_code, first["pointer"], first["code"]) == (422, "/operations/tool", code)
