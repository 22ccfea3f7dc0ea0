"""S24: no id is accepted that a client, proxy or server may rewrite; each accepted one is found by its path."""

import asyncio
import http.client
import itertools
import json
import os
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from typing import Final
from urllib.parse import quote

import httpx
import jsonschema
import pytest
from pydantic import TypeAdapter, ValidationError

from services.tasks.kinds.registry import BUILT_IN
from shared.schemas import PathText
from tests.fixtures import attacks
from tests.fixtures.identity import RegisterUser
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.security.belongings import IN_BODIES
from tests.security.hard_ids import REWRITTEN, TAKEN, generated
from tests.security.spec import OPERATIONS, Schema, fields, resolved
from tests.security.test_tenants import inlined

API: Final = "/api/v1"
ENGINES: Final = ("qdrant", "chroma", "faiss")
GENERATED: Final = 20
ON_AN_ENGINE: Final = 2_800 if "ATTACKS" in os.environ else GENERATED
"""With these, ten thousand ids are taken by all engines together."""
BATCH: Final = 250  # so many that one search finds them all


def is_taken(value: str) -> bool:
    try:
        TypeAdapter(PathText).validate_python(value)
    except ValidationError:
        return False
    return True


def test_what_may_be_rewritten_is_told_from_what_arrives() -> None:
    assert [value for value in REWRITTEN if is_taken(value)] == []
    assert [value for value in TAKEN if not is_taken(value)] == []


# --- Every place of an id ---------------------------------------------------------------------------------------------

NAMES: Final = {"kind"}
"""What is no id and could stand in a path."""
ELSEWHERE: Final = {
    "client_id": "a client's own name, which no path has",
    "chat_complete:model": "an agent's name too, which may be any text",
    "chat_create_response:model": "an agent's name too, which may be any text",
    "chat_begin_conversation:items[].id": "as an answer had it; not kept",
    "chat_add_items:items[].id": "as an answer had it; not kept",
    "items[].call_id": "of what a conversation tells",
    "items[].citations[].collection": "of an answer that is told back",
    "items[].citations[].record_id": "of an answer that is told back",
    "chat_create_response:input[].id": "as an answer had it; not kept",
    "chat_compact_response:input[].id": "as an answer had it; not kept",
    "chat_compact_response:model": "an agent's name too, which may be any text",
    "input[].results[].file_id": "of an answer that is told back",
    "input[].content[].annotations[].file_id": "of an answer that is told back",
    "input[].output[].annotations[].file_id": "of an answer that is told back",
    "input[].summary[].annotations[].file_id": "of an answer that is told back",
    "items[].content[].annotations[].file_id": "of an answer that is told back",
    "items[].output[].annotations[].file_id": "of an answer that is told back",
    "input[].call_id": "of what the body itself tells",
    "input[].citations[].collection": "of an answer that is told back",
    "input[].citations[].record_id": "of an answer that is told back",
    "messages[].tool_calls[].id": "of the history that the body itself tells",
    "messages[].tool_call_id": "of the history that the body itself tells",
    "messages[].citations[].collection": "of an answer that is told back",
    "messages[].citations[].record_id": "of an answer that is told back",
}


def ids_in(owner: str, body: Schema) -> Iterator[tuple[str, Schema]]:
    """The places of ids and names below `body`, of the operation or kind of task `owner`."""
    for place, schema in dict(fields(body)).items():
        names = {place, f"{owner}:{place}"}
        if names & (IN_BODIES.keys() | NAMES) and not names & ELSEWHERE.keys():
            yield f"{owner}: {place}", schema


def places() -> Iterator[tuple[str, Schema]]:
    """Everywhere that the documents take an id or a name: in paths, in queries, in bodies, in the inputs of tasks."""
    for operation in OPERATIONS:
        for parameter in operation.parameters:
            if parameter["in"] == "path" or parameter["name"] in NAMES:
                yield f"{operation.id}: {parameter['in']} {parameter['name']}", parameter["schema"]
        for body in operation.bodies.values():
            yield from ids_in(operation.id, body)
    for kind in BUILT_IN.list():
        schema = kind.input_model.model_json_schema()
        yield from ids_in(kind.name, inlined(schema, schema.get("$defs", {})))


PLACES: Final = list(places())


def takes(schema: Schema, value: str) -> bool:
    """Whether the schema lets `value` in, by the regular expressions of JSON Schema, where `$` is the very end."""
    for choice in resolved(schema).get("anyOf", [schema]):
        whole = resolved(choice)
        pattern = {"pattern": whole["pattern"].replace("$", r"\Z")} if "pattern" in whole else {}
        if jsonschema.Draft202012Validator(whole | pattern).is_valid(value):
            return True
    return False


@pytest.mark.parametrize(("place", "schema"), PLACES, ids=[place for place, _ in PLACES])
def test_no_place_of_an_id_takes_what_may_be_rewritten(place: str, schema: Schema) -> None:
    assert [value for value in REWRITTEN if takes(schema, value)] == []


def test_a_scope_is_narrowed_to_no_such_id() -> None:
    [create] = [operation for operation in OPERATIONS if operation.id == "auth_create_api_key"]
    scope = dict(fields(create.bodies["application/json"]))["scopes[]"]

    assert [value for value in REWRITTEN if takes(scope, f"vectors:{value}:read")] == []
    assert takes(scope, "vectors:handbook:read")


# --- Through the gateway ----------------------------------------------------------------------------------------------

Client = Callable[[str, str, dict[str, str]], Awaitable[tuple[int, bytes]]]
"""Method, address, headers → status and body."""


def of_httpx(gateway: httpx.AsyncClient) -> Client:
    async def asked(method: str, address: str, headers: dict[str, str]) -> tuple[int, bytes]:
        answer = await gateway.request(method, address, headers=headers)
        return answer.status_code, answer.content

    return asked


def _of_urllib(method: str, address: str, headers: dict[str, str]) -> tuple[int, bytes]:
    try:
        request = urllib.request.Request(address, None, headers, method=method)  # noqa: S310 - of the gateway
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:  # noqa: S310
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


async def of_urllib(method: str, address: str, headers: dict[str, str]) -> tuple[int, bytes]:
    return await asyncio.to_thread(_of_urllib, method, address, headers)


def _of_http_client(method: str, address: str, headers: dict[str, str]) -> tuple[int, bytes]:
    url = httpx.URL(address)
    connection = http.client.HTTPConnection(url.host, url.port, timeout=PATIENCE_SECONDS)
    try:
        connection.request(method, address.partition(str(url.port))[2], headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


async def of_http_client(method: str, address: str, headers: dict[str, str]) -> tuple[int, bytes]:
    return await asyncio.to_thread(_of_http_client, method, address, headers)


async def of_curl(method: str, address: str, headers: dict[str, str]) -> tuple[int, bytes]:
    named = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
    command = ("curl", "-s", "-g", "-X", method, *named, "-w", "%{stderr}%{http_code}", address)
    curl = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    body, status = await curl.communicate()
    return int(status), body


ENCODINGS: Final = ("", "!$&'()*+,;=:@~")
"""All that can be percent-encoded, and no more than must be (RFC 3986, section 3.3)."""


@pytest.mark.timeout(900)
@pytest.mark.parametrize("engine", ENGINES)
async def test_an_id_that_is_taken_is_read_found_and_deleted_by_its_path(
    gateway: httpx.AsyncClient, register_user: RegisterUser, record_property: attacks.Record, engine: str
) -> None:
    headers = (await register_user()).headers
    made = {"name": "paths", "engine": engine, "dimension": 2}
    (await gateway.post(f"{API}/vectors/collections", json=made, headers=headers)).raise_for_status()
    records = f"{str(gateway.base_url).rstrip('/')}{API}/vectors/collections/paths/records"
    quick = itertools.cycle(itertools.product((of_httpx(gateway), of_urllib, of_http_client), ENCODINGS))
    ids = list(dict.fromkeys(one for one in [*TAKEN, *generated(ON_AN_ENGINE, ENGINES.index(engine))] if is_taken(one)))
    wrong = {}
    for batch in [ids[start : start + BATCH] for start in range(0, len(ids), BATCH)]:
        await store(gateway, headers, batch)
        assert await found(gateway, headers) == set(batch)
        for one in batch:
            client, plain = (of_curl, "") if one in TAKEN[::4] else next(quick)
            ends = await read_and_deleted(client, f"{records}/{quote(one, safe=plain)}", headers)
            if ends != (200, one, 204):
                wrong[one] = client, ends
        assert await found(gateway, headers) == set()

    attacks.record(record_property, {"ids": len(ids)})

    assert wrong == {}
    assert len(ids) > 80


async def read_and_deleted(client: Client, address: str, headers: dict[str, str]) -> tuple[int, str | None, int]:
    """The status of reading, the id that was read, the status of deleting."""
    status, body = await client("GET", address, headers)
    return status, json.loads(body).get("id"), (await client("DELETE", address, headers))[0]


async def store(gateway: httpx.AsyncClient, headers: dict[str, str], ids: list[str]) -> None:
    items = [{"id": one, "vector": [1, 0]} for one in ids]
    answer = await gateway.post(f"{API}/vectors/store", json={"collection": "paths", "items": items}, headers=headers)
    assert (answer.status_code, answer.json().get("ids")) == (200, ids), answer.text


async def found(gateway: httpx.AsyncClient, headers: dict[str, str]) -> set[str]:
    body = {"collection": "paths", "vector": [1, 0], "k": BATCH}
    answer = await gateway.post(f"{API}/vectors/search", json=body, headers=headers)
    return {result["id"] for result in answer.raise_for_status().json()["results"]}


async def test_an_id_that_may_be_rewritten_is_refused_in_every_body(
    gateway: httpx.AsyncClient, register_user: RegisterUser, record_property: attacks.Record
) -> None:
    headers = (await register_user()).headers
    ids = [*REWRITTEN, *(one for one in generated(GENERATED) if not is_taken(one))]

    def bodies(one: str) -> Iterator[tuple[str, object]]:
        yield "vectors/store", {"collection": "paths", "items": [{"id": one, "vector": [1, 0]}]}
        yield "vectors/delete", {"collection": "paths", "ids": [one]}
        yield "tasks/submit", {"kind": one}
        document = {"id": one, "text": "x"}
        yield "tasks/submit", {"kind": "vectors.ingest", "input": {"collection": "paths", "documents": [document]}}

    answers = {
        (one, path): await gateway.post(f"{API}/{path}", json=body, headers=headers)
        for one in ids
        for path, body in bodies(one)
    }
    attacks.record(record_property, {"ids": len(answers)})

    assert {place: answer.text for place, answer in answers.items() if answer.status_code != 422} == {}
    assert (await gateway.get(f"{API}/vectors/collections", headers=headers)).json()["items"] == []
