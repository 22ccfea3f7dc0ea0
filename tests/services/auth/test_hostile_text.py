"""No text and no date that somebody sends is a fault of auth: each field of its document, with the worst of both."""

import json
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote_from_bytes

import httpx
import pytest

from shared.identity import api_keys
from tests.fixtures.identity import register_with
from tests.security.spec import OPERATIONS, Operation, Schema, example, fields, parts, resolved

UNKEPT: Final = ("\x00", "before\x00after", "\ud800", "before\udfffafter", "\ud83d" * 8)
"""What no store keeps: NUL, and halves of characters."""
ODD: Final = (
    "\uffff" * 8,
    "\U0010ffff" * 8,
    "\u202efdp.exe\u202c",
    "e\u0301" * 8,
    "\r\nSet-Cookie: a=b",
    "%00",
    "9" * 400,
    "1e400",
    "0000-00-00T00:00:00Z",
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59.999999Z",
    "9999-12-31T23:59:59.999999-23:59",
    "10000-01-01T00:00:00Z",
    "2999-02-30T00:00:00Z",
    "2999-12-31T23:59:60Z",
)
# RFC 7009 and RFC 7662: whatever is no token of ours is one that works no more, and the answer says that with a 200.
COMPARED: Final = {
    (operation_id, name) for operation_id in ("auth_revoke", "auth_introspect") for name in ("token", "client_id")
}
OF_AUTH: Final = [one for one in OPERATIONS if one.path.startswith("/api/v1/auth/")]
FORM: Final = "application/x-www-form-urlencoded"


def takes_text(schema: Schema) -> bool:
    schema = resolved(schema)
    return schema.get("type") == "string" or any(takes_text(part) for part in parts(schema))


def fields_of(operation: Operation) -> Iterator[tuple[str, str]]:
    """Where a text is sent: the media type, `query` or `path`, and the name."""
    for media_type, schema in operation.bodies.items():
        for name, part in fields(schema):
            if takes_text(part) and "." not in name:
                yield media_type, name
    for parameter in operation.parameters:
        if takes_text(parameter["schema"]) and parameter["in"] in {"query", "path"}:
            yield parameter["in"], parameter["name"]


PLACES: Final = [(operation, place, name) for operation in OF_AUTH for place, name in fields_of(operation)]
every_place = pytest.mark.parametrize(
    ("operation", "place", "name"), PLACES, ids=lambda one: str(one).removeprefix("application/")
)


def encoded(value: str) -> str:
    return quote_from_bytes(value.encode("utf-8", "surrogatepass"), safe="")


def body_of(operation: Operation, media_type: str, name: str, value: str) -> str:
    """The valid example with `value` in one place of it."""
    sent: dict[str, Any] = example(operation.bodies[media_type])
    sent[name.removesuffix("[]")] = [value] if name.endswith("[]") else value
    if media_type == FORM:
        return "&".join(f"{one}={encoded(str(text))}" for one, text in sent.items())
    return json.dumps(sent)


async def send(
    client: httpx.AsyncClient, headers: dict[str, str], operation: Operation, place: str, name: str, value: str
) -> httpx.Response:
    path = operation.filled({name: encoded(value)} if place == "path" else None)
    query = f"?{name}={encoded(value)}" if place == "query" else ""
    content, media_type = None, place if place in operation.bodies else next(iter(operation.bodies), None)
    if media_type == place:
        content = body_of(operation, place, name, value)
    elif media_type:
        content = json.dumps(example(operation.bodies[media_type]))
    told = {"Content-Type": media_type} if media_type else {}
    return await client.request(operation.method, path + query, content=content, headers=headers | told)


@every_place
async def test_what_cannot_be_kept_is_refused(
    client: httpx.AsyncClient, admin: dict[str, str], operation: Operation, place: str, name: str
) -> None:
    answers = {value: await send(client, admin, operation, place, name, value) for value in UNKEPT}

    statuses = {ascii(value): answer.status_code for value, answer in answers.items() if can_send(place, value)}
    assert {status // 100 for status in statuses.values()} == {2 if (operation.id, name) in COMPARED else 4}, statuses
    assert [answer.status_code for answer in answers.values() if answer.status_code >= 500] == []


def can_send(place: str, value: str) -> bool:
    """Half a character arrives as one in JSON only; elsewhere it is no UTF-8, and U+FFFD stands for it."""
    return "json" in place or not any("\ud800" <= one <= "\udfff" for one in value)


@every_place
async def test_odd_text_and_the_ends_of_the_calendar_are_no_fault_of_ours(
    client: httpx.AsyncClient, operation: Operation, place: str, name: str
) -> None:
    headers = (await register_with(client)()).headers

    answers = {value: await send(client, headers, operation, place, name, value) for value in ODD}

    assert {ascii(value): answer.status_code for value, answer in answers.items() if answer.status_code >= 500} == {}


@pytest.mark.parametrize("value", ["%FF", "%C0%80", "%ED%A0%80", "%F4%90%80%80", "%", "%0"])
async def test_a_form_or_a_query_that_is_no_utf8_is_refused(
    client: httpx.AsyncClient, admin: dict[str, str], value: str
) -> None:
    form = f"grant_type=password&username={value}&password={value}"
    login = await client.post("/api/v1/auth/token", content=form, headers={"Content-Type": FORM})
    audit = await client.get(f"/api/v1/auth/audit?since={value}", headers=admin)

    assert (login.status_code, audit.status_code) == (422, 422)


async def test_a_key_with_a_right_checksum_and_a_public_id_that_nothing_keeps_is_wrong(
    client: httpx.AsyncClient,
) -> None:
    body = f"{api_keys.PREFIX}{'a' * 12}\x00_{'b' * 32}"
    form = {
        "grant_type": "client_credentials",
        "client_id": api_keys.PREFIX + "a" * 12,
        "client_secret": body + api_keys._checksum(body),
    }
    answer = await client.post("/api/v1/auth/token", data=form)

    assert (answer.status_code, answer.json()["code"]) == (401, "auth.wrong_client")
