"""Every read through the gateway: it has a tag, answers 304 to whoever has that, and answers HEAD as it answers GET."""

import asyncio
import secrets
from typing import Any

import httpx
import pytest

from local.suite import Suite
from tests.fixtures.identity import User, admin_headers
from tests.security.belongings import AGENT, API, FILE, Tenant, places
from tests.security.spec import FOR_ADMINS, OPERATIONS, Operation

READS = [one for one in OPERATIONS if one.method == "GET"]
# In a path, what is no id of the table of belongings: where it stands, and which there is.
WITHIN = {"{version}": "2", "{type}": "delegates_to"}
_OF_EACH_ANSWER = {
    "date",
    "x-request-id",
    "x-trace-id",
    "x-envoy-upstream-service-time",
    "ratelimit",
    "transfer-encoding",
}


def answers_json(operation: Operation) -> bool:
    return "application/json" in operation.described["responses"].get("200", {}).get("content", {})


def is_single(operation: Operation) -> bool:
    return operation.path.endswith("}")


@pytest.fixture(scope="module")
async def owner(gateway: httpx.AsyncClient, user: User) -> Tenant:
    return Tenant(gateway, user)


async def asked(owner: Tenant, operation: Operation, suite: Suite, gateway: httpx.AsyncClient) -> tuple[str, Any]:
    """The path of something that is there, and the headers of somebody who may read it."""
    if FOR_ADMINS.intersection(operation.scopes):
        headers = await admin_headers(gateway, suite)
        return operation.filled({"id": owner.user.user_id}), headers
    path = operation.path
    for word, value in WITHIN.items():
        path = path.replace(word, value)
    if "{version}" in operation.path:
        await owner.call("PATCH", f"{API}/agents/{await owner.id_of(AGENT)}", json={"instructions": "Say no."})
    given = {place.name: await owner.id_of(place.kind) for place in places(operation) if place.kind}
    if "other_id" in given:
        other = await owner.post("/agents/create", {"name": secrets.token_hex(4), "instructions": "Yes."})
        given["other_id"] = str(other["id"])
        await owner.call("PUT", path.format(**given), json={})
    if "vector_store_id" in given and operation.path.count("{") > 1:
        given |= await attached(owner, given["vector_store_id"])
    return path.format(**given), owner.user.headers


async def attached(owner: Tenant, store: str) -> dict[str, str]:
    """The file that a batch has brought into the store, once that is done."""
    file = await owner.id_of(FILE)
    batch = await owner.post(f"/vector_stores/{store}/file_batches", {"file_ids": [file]})
    async with asyncio.timeout(60):
        while (await owner.get(f"/vector_stores/{store}/file_batches/{batch['id']}"))["status"] == "in_progress":  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.1)
    return {"file_id": file, "batch_id": str(batch["id"])}


@pytest.mark.parametrize("operation", [one for one in READS if answers_json(one)], ids=str)
async def test_a_read_has_a_tag_and_is_not_repeated_for_whoever_has_it(
    owner: Tenant, gateway: httpx.AsyncClient, suite: Suite, operation: Operation
) -> None:
    path, headers = await asked(owner, operation, suite, gateway)

    for _ in range(5):  # what goes on by itself may change meanwhile
        first = await gateway.get(path, headers=headers)
        tag = first.raise_for_status().headers["etag"]
        again = await gateway.get(path, headers=headers | {"If-None-Match": tag})
        head = await gateway.head(path, headers=headers | {"If-None-Match": tag})
        if again.status_code == 304 or not is_single(operation):
            break

    assert again.status_code == 304 or (not is_single(operation) and again.headers["etag"] != tag)
    if again.status_code == head.status_code == 304:
        assert (again.content, again.headers["etag"], head.headers["etag"]) == (b"", tag, tag)


@pytest.mark.parametrize("operation", READS, ids=str)
async def test_head_answers_as_get_does(
    owner: Tenant, gateway: httpx.AsyncClient, suite: Suite, operation: Operation
) -> None:
    path, headers = await asked(owner, operation, suite, gateway)
    own = "head" in {one.method.lower() for one in OPERATIONS if one.path == operation.path}

    head = await gateway.head(path, headers=headers)
    async with gateway.stream("GET", path, headers=headers) as get:
        assert (head.status_code, head.content) == (get.status_code, b"")
        assert own or head.headers.keys() - _OF_EACH_ANSWER == get.headers.keys() - _OF_EACH_ANSWER


@pytest.mark.parametrize("operation", [one for one in READS if answers_json(one)], ids=str)
def test_the_document_says_so(operation: Operation) -> None:
    responses = operation.described["responses"]

    assert "ETag" in responses["200"]["headers"]
    assert "ETag" in responses["304"]["headers"]
    assert "content" not in responses["304"]
    [told] = [one for one in operation.parameters if one["name"].lower() == "if-none-match"]
    assert (told["in"], told["schema"]["maxLength"]) == ("header", 1024)


async def test_nobody_learns_by_a_tag_what_is_not_theirs(
    owner: Tenant, gateway: httpx.AsyncClient, other_user: User
) -> None:
    agent = (await owner.post("/agents/create", {"name": secrets.token_hex(4), "instructions": "Yes."}))["id"]
    path = f"{API}/agents/{agent}"
    tag = {"If-None-Match": (await owner.call("GET", path)).headers["etag"]}

    assert (await gateway.get(path, headers=other_user.headers | tag)).status_code == 404
    assert (await gateway.get(path, headers=tag)).status_code == 401
    assert (await gateway.head(path, headers=other_user.headers | tag)).status_code == 404
