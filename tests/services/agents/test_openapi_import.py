"""Tools made of operations of an OpenAPI document: all or none, and what no tool can say is refused by its place."""

import copy
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from local.suite import Suite
from tests.fixtures.apps import open_service
from tests.fixtures.identity import RegisterUser, User
from tests.services.agents.conftest import AGENTS, Create
from tests.services.agents.test_calls import called, echoed
from tests.services.agents.test_secrets import write
from tests.services.agents.toolbox import TOOLBOX, serving

IMPORT = f"{AGENTS}/tools/import"
Document = dict[str, Any]
PET: Document = {
    "type": "object",
    "required": ["id", "name"],
    "properties": {
        "id": {"type": "integer", "readOnly": True},
        "name": {"type": "string", "example": "Rex"},
        "owner": {"$ref": "#/components/schemas/Name"},
        "example": {"type": "number", "minimum": 0, "exclusiveMinimum": True},
    },
}
DOCUMENT: Document = {
    "openapi": "3.0.3",
    "info": {"title": "Pets", "version": "1"},
    "servers": [{"url": "https://{region}.example.com/v1/", "variables": {"region": {"default": "eu"}}}],
    "security": [{"key": []}],
    "components": {
        "securitySchemes": {
            "key": {"type": "apiKey", "in": "header", "name": "X-Pets"},
            "token": {"type": "http", "scheme": "bearer"},
            "login": {"type": "http", "scheme": "Basic"},
            "in_query": {"type": "apiKey", "in": "query", "name": "key"},
            "oauth": {"type": "oauth2", "flows": {}},
        },
        "schemas": {
            "Name": {"type": "string", "nullable": True},
            "Pet": PET,
            "Tree": {"type": "object", "properties": {"left": {"$ref": "#/components/schemas/Tree"}}},
        },
        "parameters": {
            "Tags": {"name": "tag", "in": "query", "schema": {"type": "array", "items": {"type": "string"}}}
        },
    },
    "paths": {
        "/pets/{petId}": {
            "parameters": [{"name": "petId", "in": "path", "required": True, "schema": {"type": "string"}}],
            "get": {
                "operationId": "getPet",
                "summary": "One pet.",
                "description": "With its tags.",
                "parameters": [
                    {"$ref": "#/components/parameters/Tags"},
                    {"name": "session", "in": "cookie", "schema": {"type": "string"}},
                    {"name": "X-Version", "in": "header", "required": True, "schema": {"enum": ["2"]}},
                ],
            },
            "put": {
                "operationId": "putPet",
                "security": [{"token": []}, {"login": []}],
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Pet"}}},
                },
            },
            "delete": {"operationId": "deletePet", "security": []},
        }
    },
}


@pytest.fixture(scope="module")
async def shared_app(suite: Suite) -> AsyncIterator[httpx.AsyncClient]:
    suite.up(["neo4j", "redis-cache"])
    async with open_service(suite, is_watched=False)("agents", outbound_allow="127.0.0.1") as client:
        yield client


@pytest.fixture
async def owner(register_user: RegisterUser) -> User:
    """A tenant without tools."""
    return await register_user()


async def imported(client: httpx.AsyncClient, user: User, operations: dict[str, str], **more: Any) -> httpx.Response:
    body = {"operations": operations} | ({} if "url" in more else {"document": DOCUMENT}) | more
    return await client.post(IMPORT, json=body, headers=user.headers)


def changed(path: str, value: Any) -> Document:
    """The document with another value at the path; `None` takes it away."""
    document = copy.deepcopy(DOCUMENT)
    *above, last = path.split(" ")
    place = document
    for part in above:
        place = place[part]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return document


async def refusal(client: httpx.AsyncClient, user: User, document: Document, operation: str) -> tuple[str, str]:
    """The place in the document, and the code, of the first problem; nothing was made."""
    answer = await imported(
        client,
        user,
        {"fine": "deletePet", "tool": operation},
        document=document,
        secrets={"key": "KEY", "token": "KEY"},
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "agents.operation_inexpressible"), answer.text
    missing = await client.get(f"{AGENTS}/tools/fine", headers=user.headers)
    assert missing.status_code == 404
    problem = answer.json()["errors"][0]
    return problem["pointer"], problem["code"]


async def test_tools_are_called_as_the_document_says(client: httpx.AsyncClient, owner: User, create: Create) -> None:
    await write(client, owner, "KEY", "k-0815-4711", hosts=["127.0.0.1"])
    operations = {"get_pet": "getPet", "put_pet": "putPet", "delete_pet": "deletePet"}
    async with serving(TOOLBOX) as address:
        made = await imported(
            client, owner, operations, server=f"{address}/v1/", secrets={"key": "KEY", "token": "KEY"}
        )
        assert made.status_code == 200, made.text
        agent = await create("Caller", by=owner, tools=list(operations))
        got = echoed(await called(client, owner, agent, "get_pet", {"petId": "a/b", "tag": ["x", "y"]}))
        put = echoed(await called(client, owner, agent, "put_pet", {"petId": "7", "name": "Rex", "owner": None}))
        deleted = echoed(await called(client, owner, agent, "delete_pet", {"petId": "7"}))
        wrong = await called(client, owner, agent, "put_pet", {"petId": "7", "id": 3})

    assert (got["method"], got["path"], parse_qsl(got["query"])) == (
        "GET",
        "/v1/pets/a%2Fb",
        [("tag", "x"), ("tag", "y")],
    )
    assert (got["headers"]["x-pets"], got["headers"]["x-version"]) == ("[KEY]", "2")
    assert (put["method"], json.loads(put["body"])) == ("PUT", {"name": "Rex", "owner": None})
    assert put["headers"]["authorization"] == "Bearer [KEY]"
    assert (deleted["method"], "x-pets" in deleted["headers"]) == ("DELETE", False)
    assert wrong.json()["code"] == "agents.tool_arguments_invalid"  # `id` is what answers have, `name` is missing


async def test_a_tool_says_what_its_operation_does(client: httpx.AsyncClient, owner: User) -> None:
    await write(client, owner, "KEY", hosts=["*.example.com"])

    answer = await imported(client, owner, {"pet": "getPet", "put": "putPet"}, secrets={"key": "KEY", "login": "KEY"})

    got, put = answer.json()["tools"]
    assert (got["operation"], got["is_new"], got["left_out"]) == ("getPet", True, ["cookie session"])
    assert got["tool"]["description"] == "One pet.\nWith its tags."
    assert got["tool"]["url"] == "https://eu.example.com/v1/pets/{petId}"
    assert got["tool"]["headers"] == {"X-Pets": "${secret:KEY}", "X-Version": "2"}
    assert put["tool"]["headers"] == {"Authorization": "Basic ${secret:KEY}"}
    assert put["tool"]["parameters"] == {
        "type": "object",
        "required": ["petId", "name"],
        "additionalProperties": False,
        "properties": {
            "petId": {"type": "string"},
            "name": {"type": "string"},
            "owner": {"type": ["string", "null"]},
            "example": {"type": "number", "exclusiveMinimum": 0},
        },
    }


async def test_the_same_again_changes_nothing_and_another_does(client: httpx.AsyncClient, owner: User) -> None:
    first = (await imported(client, owner, {"tool": "deletePet"})).json()["tools"][0]
    again = (await imported(client, owner, {"tool": "deletePet"})).json()["tools"][0]
    other = (await imported(client, owner, {"tool": "deletePet"}, needs_approval=True)).json()["tools"][0]

    assert (first["is_new"], again["is_new"], other["is_new"]) == (True, False, False)
    assert first["tool"] == again["tool"]
    assert other["tool"]["needs_approval"] is True


GET = "paths /pets/{petId} get"
PUT = "paths /pets/{petId} put"
SCHEMA = f"{PUT} requestBody content application/json schema"
IN_BODY = "/document/paths/~1pets~1{petId}/put/requestBody/content/application~1json/schema"
SCHEMES, TREE = "components securitySchemes", "/document/components/schemas/Tree"
KEY_SCHEME = "/document/components/securitySchemes/key"
HERE = "/document/paths/~1pets~1{petId}"


@pytest.mark.parametrize(
    ("path", "value", "operation", "pointer", "code"),
    [
        ("openapi", "2.0", "getPet", "/document/openapi", "document_invalid"),
        ("openapi", "3.2.0", "getPet", "/document/openapi", "document_invalid"),
        ("info", {}, "nothing", "/operations/tool", "operation_unknown"),
        (f"{PUT} operationId", "getPet", "getPet", f"{HERE}/put", "operation_twice"),
        (
            f"{GET} parameters",
            [{"name": "s", "in": "cookie", "required": True, "schema": {}}],
            "getPet",
            f"{HERE}/get/parameters/0",
            "parameter_place",
        ),
        (
            f"{GET} parameters",
            [{"name": "q", "in": "query", "required": True, "style": "deepObject", "schema": {"type": "object"}}],
            "getPet",
            f"{HERE}/get/parameters/0",
            "parameter_style",
        ),
        (
            f"{GET} parameters",
            [{"name": "q", "in": "query", "required": True, "explode": False, "schema": {"type": "array"}}],
            "getPet",
            f"{HERE}/get/parameters/0",
            "parameter_style",
        ),
        (
            f"{GET} parameters",
            [{"name": "q", "in": "query", "required": True, "content": {"application/json": {}}}],
            "getPet",
            f"{HERE}/get/parameters/0",
            "parameter_content",
        ),
        (
            f"{GET} parameters",
            [{"name": "q[a]", "in": "query", "required": True, "schema": {"type": "string"}}],
            "getPet",
            f"{HERE}/get/parameters/0",
            "argument_name",
        ),
        (
            f"{GET} parameters",
            [{"name": "X-Any", "in": "header", "required": True, "schema": {"type": "string"}}],
            "getPet",
            f"{HERE}/get/parameters/0",
            "header_parameter",
        ),
        ("paths /pets/{petId} parameters", [], "getPet", HERE, "parameter_missing"),
        (
            f"{PUT} requestBody content",
            {"multipart/form-data": {"schema": {"type": "object"}}},
            "putPet",
            f"{HERE}/put/requestBody/content",
            "body_media_type",
        ),
        (SCHEMA, {"type": "array", "items": {}}, "putPet", IN_BODY, "body_no_object"),
        (SCHEMA, {"$ref": "#/components/schemas/Tree"}, "putPet", TREE, "schema_recursive"),
        (SCHEMA, {"$ref": "#/nowhere"}, "putPet", IN_BODY, "reference_unknown"),
        (SCHEMA, {"$ref": "other.json#/a"}, "putPet", IN_BODY, "reference_elsewhere"),
        (SCHEMA, {"$ref": "https://example.com/"}, "putPet", IN_BODY, "reference_elsewhere"),
        (
            SCHEMA,
            {"type": "object", "properties": {"petId": {"type": "string"}}},
            "putPet",
            f"{HERE}/put/requestBody",
            "argument_twice",
        ),
        (
            SCHEMA,
            {"type": "object", "properties": {"a": {"$dynamicRef": "#x"}}},
            "putPet",
            f"{IN_BODY}/properties/a/$dynamicRef",
            "keyword_unknown",
        ),
        (f"{GET} security", [{"in_query": []}], "getPet", f"{HERE}/get/security", "secret_missing"),
        (f"{SCHEMES} key", {"type": "apiKey", "in": "query", "name": "k"}, "getPet", KEY_SCHEME, "security_scheme"),
        (f"{SCHEMES} key", {"type": "oauth2", "flows": {}}, "getPet", KEY_SCHEME, "security_scheme"),
        ("servers", [{"url": "/v1"}], "getPet", "/document/servers/0", "server_missing"),
        ("servers", None, "getPet", "/document/servers", "server_missing"),
        ("servers", [{"url": "https://{host}/v1"}], "getPet", "/document/servers/0", "server_invalid"),
        ("servers", [{"url": "https://a:b@example.com"}], "getPet", "/operations/fine", "url_refused"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.isidentifier() else "",
)  # fmt: skip
async def test_what_no_tool_can_say_is_refused_by_its_place(
    client: httpx.AsyncClient, owner: User, path: str, value: Any, operation: str, pointer: str, code: str
) -> None:
    found = await refusal(client, owner, changed(path, value), operation)

    assert found == (pointer, code)


@pytest.mark.parametrize(
    "schemas",
    [
        {f"s{at}": {"allOf": [{"$ref": f"#/components/schemas/s{at + 1}"}] * 10} for at in range(10)} | {"s10": {}},
        {f"s{at}": {"items": {"$ref": f"#/components/schemas/s{at + 1}"}} for at in range(500)} | {"s500": {}},
        {"s0": {"$ref": "#/components/schemas/s1"}, "s1": {"$ref": "#/components/schemas/s0"}},
        {"s0": {"properties": {f"p{at}": {"description": "x" * 500} for at in range(100)}}},
    ],
    ids=["wide", "deep", "in turns", "long"],
)
async def test_a_schema_that_expands_is_refused(client: httpx.AsyncClient, owner: User, schemas: Document) -> None:
    document = changed("components schemas", schemas)
    parameter = {"name": "q", "in": "query", "required": True, "schema": {"items": {"$ref": "#/components/schemas/s0"}}}
    document["paths"]["/pets/{petId}"]["get"]["parameters"] = [parameter]

    pointer, code = await refusal(client, owner, document, "getPet")

    assert code in {"schema_too_large", "reference_cycle", "json_schema"}
    assert pointer.startswith(("/document/", "/operations/"))


async def test_large_documents_are_read_or_refused(client: httpx.AsyncClient, owner: User) -> None:
    paths = {f"/p{at}": {"get": {"operationId": f"o{at}"}} for at in range(10_000)}
    document = {"openapi": "3.1.0", "servers": [{"url": "https://example.com"}], "paths": paths}

    made = await imported(client, owner, {"last": "o9999"}, document=document)
    deep = await imported(client, owner, {"tool": "o"}, document=json.loads('{"a":' * 100 + "1" + "}" * 100))
    heavy = await imported(client, owner, {"tool": "o"}, document={"openapi": "x" * 6 * 2**20})
    crowded = await imported(client, owner, {"tool": "o"}, document={"paths": [0] * 60_000})

    assert made.status_code == 200, made.text
    assert (deep.json()["code"], heavy.status_code) == ("common.too_complex", 413)
    assert crowded.json()["code"] == "common.too_complex"


async def document_of(request: Request) -> Response:
    match request.path_params["what"]:
        case "whole":
            own = {"servers": [{"url": "../v1"}], "security": []}
            return Response(json.dumps(DOCUMENT | own), media_type="application/json")
        case "redirect":
            return RedirectResponse("/whole")
        case "yaml":
            return Response("openapi: 3.0.0")
        case "list":
            return Response("[]")
        case "deep":
            return Response('{"a":' * 100 + "1" + "}" * 100)
        case "large":
            return Response(b'{"a":"' + b"x" * 3 * 2**20 + b'"}')
    return Response(status_code=404)


async def test_a_document_is_read_from_its_address(client: httpx.AsyncClient, owner: User) -> None:
    async with serving(Starlette(routes=[Route("/docs/{what}", document_of)])) as address:
        made = await imported(client, owner, {"pet": "getPet"}, url=f"{address}/docs/whole")
        refused = [
            await imported(client, owner, {"pet": "getPet"}, url=url)
            for url in (
                *(f"{address}/docs/{what}" for what in ("redirect", "yaml", "list", "deep", "large", "nothing")),
                f"{address}/docs/whole".replace("127.0.0.1", "127.0.0.2"),
                "http://169.254.169.254/openapi.json",
            )
        ]

    assert made.status_code == 200, made.text
    assert made.json()["tools"][0]["tool"]["url"] == f"{address}/v1/pets/{{petId}}"
    assert {(answer.status_code, answer.json()["code"]) for answer in refused} == {(422, "agents.openapi_unreadable")}
    assert {answer.json()["errors"][0]["pointer"] for answer in refused} == {"/url"}


@pytest.mark.parametrize(
    "body",
    [
        {"operations": {"tool": "o"}},
        {"operations": {"tool": "o"}, "document": {}, "url": "https://example.com/"},
        {"operations": {}, "document": {}},
        {"operations": {f"t{at}": "o" for at in range(21)}, "document": {}},
        {"operations": {"a.b": "o"}, "document": {}},
        {"operations": {"vectors": "o"}, "document": {}},
        {"operations": {"tool": "o"}, "document": {}, "secrets": {"key": "no name"}},
        {"operations": {"tool": "o"}, "document": {}, "server": "ftp://example.com"},
        {"operations": {"tool": "o"}, "url": "https://{host}/"},
    ],
    ids=["none", "both", "no operation", "21", "dotted", "built in", "secret", "server", "template"],
)
async def test_an_import_that_cannot_be_meant_is_refused(
    client: httpx.AsyncClient, owner: User, body: dict[str, Any]
) -> None:
    assert (await client.post(IMPORT, json=body, headers=owner.headers)).status_code == 422


async def test_a_secret_goes_to_its_hosts_only_and_nothing_is_made(client: httpx.AsyncClient, owner: User) -> None:
    await write(client, owner, "KEY", hosts=["elsewhere.example"])

    refused = await imported(client, owner, {"fine": "deletePet", "pet": "getPet"}, secrets={"key": "KEY"})

    assert (refused.status_code, refused.json()["code"]) == (422, "agents.secret_elsewhere")
    assert (await client.get(f"{AGENTS}/tools/fine", headers=owner.headers)).status_code == 404


async def test_who_only_reads_imports_nothing(client: httpx.AsyncClient, register_user: RegisterUser) -> None:
    reader = await register_user(scope="agents:read")

    assert (await imported(client, reader, {"tool": "deletePet"})).status_code == 403
