"""Two tenants: every operation with an id in its path answers a foreign id like a missing one."""

import re
import secrets
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.architecture.test_documents import operations
from tests.fixtures.identity import User

API = "/api/v1"
MISSING = {
    "id": "01890a5d-ac96-774b-bcce-b302099a8057",
    "task_id": "01890a5d-ac96-774b-bcce-b302099a8057",
    "name": "missing",
    "record_id": "missing",
}
WITH_ID = [(method, path) for _, method, path, _ in operations() if "{" in path]
BODIES: dict[str, Any] = {
    "/api/v1/agents/{id}": {"description": "mine now"},
    "/api/v1/chat/conversations/{id}": {"title": "mine"},
}


@dataclass(frozen=True, slots=True)
class Belongings:
    """One record of each kind, all of one tenant."""

    ids: dict[str, dict[str, str]]

    def path(self, template: str) -> str:
        owned = self.ids[
            template.split("/")[3]
            + ("/" + template.split("/")[4] if "conversations" in template or "collections" in template else "")
        ]
        return re.sub(r"\{(\w+)\}", lambda found: owned[found[1]], template)


@pytest.fixture(scope="session")
async def belongings(gateway: httpx.AsyncClient, user: User) -> Belongings:
    async def post(path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = await gateway.post(f"{API}{path}", json=body, headers=user.headers)
        assert answer.is_success, answer.text
        return dict(answer.json())

    agent = await post("/agents/create", {"name": secrets.token_hex(4), "instructions": "Say yes."})
    turn = await post("/chat/message", {"agent_id": agent["id"], "content": "Say yes."})
    name = f"private-{secrets.token_hex(4)}"
    await post("/vectors/store", {"collection": name, "items": [{"id": "secret", "text": "mine"}]})
    task = await post("/tasks/submit", {"kind": "echo", "input": {}})
    key = await post("/auth/api-keys", {"name": "k", "scopes": ["auth:profile"]})
    return Belongings(
        {
            "agents": {"id": agent["id"]},
            "chat/conversations": {"id": turn["conversation_id"]},
            "vectors/collections": {"name": name, "record_id": "secret"},
            "tasks": {"id": task["id"], "task_id": task["id"]},
            "auth": {"id": key["id"]},
        }
    )


@pytest.mark.parametrize(("method", "template"), WITH_ID, ids=[f"{method} {path}" for method, path in WITH_ID])
async def test_a_foreign_id_is_like_a_missing_one(
    gateway: httpx.AsyncClient, belongings: Belongings, other_user: User, method: str, template: str
) -> None:
    missing = re.sub(r"\{(\w+)\}", lambda found: MISSING[found[1]], template)
    body = {"json": BODIES[template]} if method in ("PATCH", "PUT") else {}

    foreign = await gateway.request(method, belongings.path(template), headers=other_user.headers, **body)
    absent = await gateway.request(method, missing, headers=other_user.headers, **body)

    assert (foreign.status_code, foreign.json()["code"]) == (404, absent.json()["code"])
    assert absent.status_code == 404


async def test_the_owner_still_has_all_of_it(gateway: httpx.AsyncClient, belongings: Belongings, user: User) -> None:
    """Runs after the strangers' attempts: none of their deletes and changes took effect."""
    reads = [path for method, path in WITH_ID if method == "GET"]

    answers = {path: await gateway.get(belongings.path(path), headers=user.headers) for path in reads}

    assert {path: answer.status_code for path, answer in answers.items()} == dict.fromkeys(reads, 200)


async def test_a_search_finds_nothing_of_another_tenant(
    gateway: httpx.AsyncClient, belongings: Belongings, other_user: User
) -> None:
    name = belongings.ids["vectors/collections"]["name"]

    found = await gateway.post(
        f"{API}/vectors/search", json={"collection": name, "query": "mine"}, headers=other_user.headers
    )

    assert found.status_code == 404


async def test_lists_hold_nothing_of_another_tenant(
    gateway: httpx.AsyncClient, belongings: Belongings, register_user: Any
) -> None:
    newcomer = await register_user()
    lists = ["agents/list", "chat/conversations", "vectors/collections", "tasks/list", "auth/api-keys"]

    answers = [(await gateway.get(f"{API}/{path}", headers=newcomer.headers)).json() for path in lists]

    assert [answer["items"] for answer in answers] == [[]] * len(lists)
