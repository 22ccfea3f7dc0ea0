"""A key narrowed to one object opens that object and nothing beside it."""

from typing import Any

import httpx
import pytest

from shared.schemas import new_id
from tests.fixtures.identity import RegisterUser, User

AGENT = {"name": "Narrow", "instructions": "Be brief."}


@pytest.fixture(scope="session")
async def owner(gateway: httpx.AsyncClient, register_user: RegisterUser) -> User:
    return await register_user()


async def with_key(gateway: httpx.AsyncClient, owner: User, *scopes: str) -> dict[str, str]:
    body = {"name": "narrow", "scopes": list(scopes)}
    answer = await gateway.post("/api/v1/auth/api-keys", json=body, headers=owner.headers)
    return {"X-API-Key": answer.raise_for_status().json()["key"]}


async def make_agent(gateway: httpx.AsyncClient, owner: User, name: str) -> str:
    answer = await gateway.post("/api/v1/agents/create", json=AGENT | {"name": name}, headers=owner.headers)
    return str(answer.raise_for_status().json()["id"])


async def test_a_key_for_one_agent_reads_that_agent_only(gateway: httpx.AsyncClient, owner: User) -> None:
    mine, other = await make_agent(gateway, owner, "Mine"), await make_agent(gateway, owner, "Other")
    narrow = await with_key(gateway, owner, f"agents:{mine}:read")

    found = {
        "it": (await gateway.get(f"/api/v1/agents/{mine}", headers=narrow)).status_code,
        "it, spelled otherwise": (await gateway.get(f"/api/v1/agents/{mine.upper()}", headers=narrow)).status_code,
        "another": (await gateway.get(f"/api/v1/agents/{other}", headers=narrow)).status_code,
        "all": (await gateway.get("/api/v1/agents/list", headers=narrow)).status_code,
        "changing it": (await gateway.patch(f"/api/v1/agents/{mine}", json={"name": "X"}, headers=narrow)).status_code,
        "deleting it": (await gateway.delete(f"/api/v1/agents/{mine}", headers=narrow)).status_code,
    }

    assert found.pop("it") == found.pop("it, spelled otherwise") == 200
    assert set(found.values()) == {403}, found


async def test_a_key_for_one_agent_reaches_no_other_by_their_relations(gateway: httpx.AsyncClient, owner: User) -> None:
    mine, other = await make_agent(gateway, owner, "Related"), await make_agent(gateway, owner, "Related to")
    narrow = await with_key(gateway, owner, f"agents:{mine}:read", f"agents:{mine}:write")
    at, relation = f"/api/v1/agents/{mine}", f"/api/v1/agents/{mine}/relations/delegates_to/{other}"
    both = await with_key(gateway, owner, f"agents:{mine}:write", f"agents:{other}:write")
    asked = {"capabilities": ["sums"], "start_id": mine}

    refused = [
        await gateway.put(relation, json={}, headers=narrow),
        await gateway.put(f"/api/v1/agents/{other}/relations/delegates_to/{mine}", json={}, headers=narrow),
        await gateway.delete(relation, headers=narrow),
        await gateway.get(f"{at}/graph", headers=narrow),
        await gateway.post("/api/v1/agents/match", json=asked, headers=narrow),
        await gateway.get(f"/api/v1/agents/{other}/versions", headers=narrow),
        await gateway.get(f"/api/v1/agents/{other}/export", headers=narrow),
    ]
    opened = [await gateway.get(f"{at}/{below}", headers=narrow) for below in ("versions", "relations", "export")]

    assert {answer.status_code for answer in refused} == {403}
    assert {answer.status_code for answer in opened} == {200}
    assert (await gateway.put(relation, json={}, headers=both)).status_code == 201


async def test_a_key_for_one_collection_stores_and_searches_there_only(gateway: httpx.AsyncClient, owner: User) -> None:
    for name in ("open", "closed"):
        body = {"name": name, "engine": "faiss"}
        (await gateway.post("/api/v1/vectors/collections", json=body, headers=owner.headers)).raise_for_status()
    narrow = await with_key(gateway, owner, "vectors:open:read", "vectors:open:write")

    def item(collection: str) -> dict[str, Any]:
        return {"collection": collection, "items": [{"text": "Tea is steeped."}]}

    stored = [
        (await gateway.post("/api/v1/vectors/store", json=item(name), headers=narrow)).status_code
        for name in ("open", "closed", "new")
    ]
    searched = [
        (
            await gateway.post("/api/v1/vectors/search", json={"collection": name, "query": "tea"}, headers=narrow)
        ).status_code
        for name in ("open", "closed")
    ]

    assert stored == [200, 403, 403]
    assert searched == [200, 403]


async def test_a_batch_of_searches_needs_the_scope_itself(gateway: httpx.AsyncClient, owner: User) -> None:
    body = {"name": "batched", "engine": "faiss"}
    (await gateway.post("/api/v1/vectors/collections", json=body, headers=owner.headers)).raise_for_status()
    item = {"collection": "batched", "items": [{"id": "tea", "text": "Tea is steeped."}]}
    (await gateway.post("/api/v1/vectors/store", json=item, headers=owner.headers)).raise_for_status()
    searches = {"searches": [{"collection": "batched", "query": "tea", "mode": "hybrid"}]}

    answers = [
        await gateway.post("/api/v1/vectors/search/batch", json=searches, headers=headers)
        for headers in (
            await with_key(gateway, owner, "vectors:batched:read"),
            await with_key(gateway, owner, "vectors:read"),
        )
    ]

    assert [answer.status_code for answer in answers] == [403, 200]
    assert answers[1].json()["results"][0]["results"][0]["id"] == "tea"


async def test_an_alias_opens_its_collection_to_who_has_the_scope_for_both(
    gateway: httpx.AsyncClient, owner: User
) -> None:
    """Else whoever may switch an alias would choose what its readers see, and the other way round."""
    for name in ("inside", "outside"):
        item = {"collection": name, "items": [{"id": name, "vector": [1.0, 0.0]}]}
        (await gateway.post("/api/v1/vectors/store", json=item, headers=owner.headers)).raise_for_status()
    for_alias = ("vectors:door:read", "vectors:door:write")
    both = await with_key(gateway, owner, *for_alias, "vectors:inside:read", "vectors:inside:write")
    reading = await with_key(gateway, owner, *for_alias, "vectors:inside:read")
    alias_only = await with_key(gateway, owner, *for_alias)
    target_only = await with_key(gateway, owner, "vectors:inside:read", "vectors:inside:write")

    async def pointing(headers: dict[str, str], collection: str) -> int:
        body = {"collection": collection}
        return (await gateway.put("/api/v1/vectors/aliases/door", json=body, headers=headers)).status_code

    async def used(headers: dict[str, str]) -> list[int]:
        item = {"collection": "door", "items": [{"id": "x", "vector": [1.0, 0.0]}]}
        search = {"collection": "door", "vector": [1.0, 0.0]}
        answers = [
            await gateway.post("/api/v1/vectors/search", json=search, headers=headers),
            await gateway.get("/api/v1/vectors/collections/door", headers=headers),
            await gateway.get("/api/v1/vectors/collections/door/records", headers=headers),
            await gateway.post("/api/v1/vectors/store", json=item, headers=headers),
            await gateway.post("/api/v1/vectors/delete", json={"collection": "door", "ids": ["x"]}, headers=headers),
        ]
        return [answer.status_code for answer in answers]

    assert [await pointing(one, "inside") for one in (alias_only, reading, target_only)] == [403] * 3
    assert await pointing(both, "inside") == 201
    assert await used(both) == [200] * 5
    assert await used(reading) == [200, 200, 200, 403, 403]
    assert await used(alias_only) == await used(target_only) == [403] * 5
    assert await pointing(both, "outside") == 403
    assert await pointing(owner.headers, "outside") == 200
    assert await used(both) == [403] * 5, "the collection is another now"


async def test_a_large_body_is_judged_by_the_collection_it_names(gateway: httpx.AsyncClient, owner: User) -> None:
    """What is long is read elsewhere, and must be known by its name all the same, also when it is not valid."""
    narrow = await with_key(gateway, owner, "vectors:large:write")
    body = {"name": "large", "engine": "faiss", "dimension": 2}
    (await gateway.post("/api/v1/vectors/collections", json=body, headers=owner.headers)).raise_for_status()
    items = [{"vector": [1, 0], "metadata": {"filling": "x" * 400}} for _ in range(100)]

    def storing(collection: str, items: list[dict[str, Any]]) -> dict[str, Any]:
        return {"json": {"collection": collection, "items": items}, "headers": narrow}

    answers = [
        (await gateway.post("/api/v1/vectors/store", **storing(name, given))).status_code
        for name, given in (("large", items), ("large", [*items, {}]), ("other", items), ("other", [*items, {}]))
    ]

    assert answers == [200, 422, 403, 403]


async def test_bytes_are_judged_by_the_collection_that_their_header_names(
    gateway: httpx.AsyncClient, owner: User
) -> None:
    narrow = await with_key(gateway, owner, "vectors:bytes:write", "vectors:bytes:read")
    for name in ("bytes", "beside"):
        body = {"name": name, "engine": "faiss", "dimension": 1}
        (await gateway.post("/api/v1/vectors/collections", json=body, headers=owner.headers)).raise_for_status()

    async def asked(path: str, header: bytes) -> int:
        content = len(header).to_bytes(8, "little") + header + bytes(3) + b"\x40"
        headers = narrow | {"Content-Type": "application/octet-stream"}
        return (await gateway.post(f"/api/v1/vectors/{path}", content=content, headers=headers)).status_code

    assert await asked("store", b'{"collection": "bytes", "items": [{}]}') == 200
    assert await asked("search", b'{"collection": "bytes"}') == 200
    assert await asked("store", b'{"collection": "beside", "items": [{}]}') == 403
    assert await asked("search", b'{"collection": "beside"}') == 403
    assert await asked("search", b"[") in (403, 422)


async def test_a_body_that_names_no_object_or_a_malformed_one_opens_nothing(
    gateway: httpx.AsyncClient, owner: User
) -> None:
    narrow = await with_key(gateway, owner, "vectors:open:read")
    headers = narrow | {"Content-Type": "application/json"}

    answers = [
        (await gateway.post("/api/v1/vectors/search", content=body, headers=headers)).status_code
        for body in ("{}", "[]", "{", '{"collection": ["open"]}', '"open"', "")
    ]

    assert set(answers) <= {403, 422}


async def test_nobody_widens_what_they_hold(gateway: httpx.AsyncClient, register_user: RegisterUser) -> None:
    narrow = await register_user(scope="auth:keys agents:0198c0de-0000-7000-8000-000000000001:read")

    def asked(scope: str) -> dict[str, Any]:
        return {"name": "wider", "scopes": [scope]}

    answers = {
        scope: (await gateway.post("/api/v1/auth/api-keys", json=asked(scope), headers=narrow.headers)).status_code
        for scope in (
            "agents:0198c0de-0000-7000-8000-000000000001:read",
            "agents:0198c0de-0000-7000-8000-000000000002:read",
            "agents:read",
            "agents:*",
            "agents:0198c0de-0000-7000-8000-000000000001:write",
            "admin",
        )
    }

    assert list(answers.values()) == [201, 422, 422, 422, 422, 422], answers


async def test_a_wildcard_is_every_action_the_owner_may_take(gateway: httpx.AsyncClient, owner: User) -> None:
    body = {"name": "wild", "scopes": ["agents:*"]}

    key = (await gateway.post("/api/v1/auth/api-keys", json=body, headers=owner.headers)).json()

    assert key["scopes"] == ["agents:read", "agents:write"]


async def test_what_openais_clients_ask_is_of_no_conversation_that_a_key_is_narrowed_to(
    gateway: httpx.AsyncClient, owner: User
) -> None:
    messages = [{"role": "user", "content": "Hello."}]
    narrow = await with_key(gateway, owner, f"chat:{new_id()}:write", f"chat:{new_id()}:read")

    asked = await gateway.post("/api/v1/chat/completions", json={"model": "any", "messages": messages}, headers=narrow)
    listed = await gateway.get("/api/v1/models", headers=narrow)
    responses = "/api/v1/responses"
    made = await gateway.post(responses, json={"model": "any", "input": "Hello."}, headers=narrow)
    short = await gateway.post(f"{responses}/compact", json={"model": "any", "input": "Hello."}, headers=narrow)
    read = await gateway.get(f"{responses}/resp_{new_id()}", headers=narrow)
    deleted = await gateway.delete(f"{responses}/resp_{new_id()}", headers=narrow)

    answers = (asked, listed, made, short, read, deleted)
    assert {(one.status_code, one.json()["error"]["type"]) for one in answers} == {(403, "permission_error")}


async def test_a_key_for_one_conversation_opens_its_items_only(gateway: httpx.AsyncClient, owner: User) -> None:
    body = {"items": [{"role": "user", "content": "Hello."}]}
    mine, other = [
        str((await gateway.post("/api/v1/conversations", json=body, headers=owner.headers)).json()["id"]) for _ in "ab"
    ]
    within = mine.removeprefix("conv_")
    narrow = await with_key(gateway, owner, f"chat:{within}:read", f"chat:{within}:write")

    async def asked(name: str) -> list[int]:
        at = f"/api/v1/conversations/{name}"
        answers = [
            await gateway.get(at, headers=narrow),
            await gateway.post(at, json={"metadata": {}}, headers=narrow),
            await gateway.get(f"{at}/items", headers=narrow),
            await gateway.post(f"{at}/items", json=body, headers=narrow),
        ]
        return [answer.status_code for answer in answers]

    assert await asked(mine) == [200] * 4
    assert await asked(other) == [403] * 4
    assert (await gateway.post("/api/v1/conversations", json=body, headers=narrow)).status_code == 403
