"""The table of the two matrices: what can belong to somebody, how it is made, and where operations name it.

One matrix has two tenants (`test_tenants.py`), the other two members of one tenant (`test_members.py`).

A new operation with an id is covered when its places are found here; otherwise the matrix fails with its name.
"""

import asyncio
import contextlib
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx

from tests.fixtures.identity import User
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.security.spec import MISSING_ID, Operation, Schema, fields

API: Final = "/api/v1"


class Tenant:
    """A user of a tenant of their own, with one of everything, each made when it is first asked for."""

    def __init__(self, gateway: httpx.AsyncClient, user: User) -> None:
        self._gateway, self.user = gateway, user
        self.owned: dict[str, str] = {}

    async def call(self, method: str, path: str, **request: Any) -> httpx.Response:
        headers = self.user.headers | request.pop("headers", {})
        async with self._gateway.stream(method, path, headers=headers, **request) as answer:
            if method == "GET" and answer.headers.get("content-type", "").startswith("text/event-stream"):
                return httpx.Response(answer.status_code, content=await _begun(answer), request=answer.request)
            await answer.aread()
        return answer

    async def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = await self.call("POST", API + path, json=body)
        assert answer.is_success, f"{path}: {answer.text}"
        return dict(answer.json())

    async def get(self, path: str) -> dict[str, Any]:
        answer = await self.call("GET", API + path)
        assert answer.is_success, f"{path}: {answer.text}"
        return dict(answer.json())

    async def id_of(self, kind: "Kind") -> str:
        """The id of one's own."""
        if kind.name not in self.owned:
            self.owned[kind.name] = await kind.make(self)
        return self.owned[kind.name]

    async def read(self, kind: "Kind") -> list[Any]:
        """All that the owner sees of it, to be compared with later."""
        await self.id_of(kind)
        answers = [await self._read(API + path.format(**self.owned)) for path in kind.reads]
        return [(answer.status_code, answer.json()) for answer in answers]

    async def _read(self, path: str) -> httpx.Response:
        """What a store says that had the time to: of a collection whose engine was slow, that it is not to be had."""
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while True:
            answer = await self.call("GET", path)
            is_there = answer.status_code < 500 and '"status":"unavailable"' not in answer.text
            if is_there or time.monotonic() > give_up_at:
                return answer
            await asyncio.sleep(0.2)


async def _begun(stream: httpx.Response) -> bytes:
    """What a stream tells within a second: it may have no end."""
    told = b""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1):
            async for piece in stream.aiter_bytes():
                told += piece
    return told


@dataclass(frozen=True)
class Kind:
    """Something that belongs to a tenant, or within it to whoever made it."""

    name: str
    make: Callable[[Tenant], Awaitable[str]]
    reads: tuple[str, ...]
    missing: str = MISSING_ID
    makers: tuple[str, ...] = ()
    """The roles that may make one, where it is its maker's; none where it is the tenant's."""
    also: tuple[str, ...] = ()
    """The roles that see and change it besides."""
    is_listed: bool = True
    """Whether a list names it that is beneath no other thing."""

    @property
    def is_personal(self) -> bool:
        return bool(self.makers)


async def _agent(tenant: Tenant) -> str:
    body = {"name": f"agent {secrets.token_hex(4)}", "instructions": "Say yes."}
    return str((await tenant.post("/agents/create", body))["id"])


async def _conversation(tenant: Tenant) -> str:
    body = {"agent_id": await tenant.id_of(AGENT), "content": "Say yes."}
    return str((await tenant.post("/chat/message", body))["conversation_id"])


async def _dialogue(tenant: Tenant) -> str:
    return str((await tenant.post("/conversations", {}))["id"])


async def _item(tenant: Tenant) -> str:
    body = {"items": [{"role": "user", "content": "Say yes."}]}
    added = await tenant.post(f"/conversations/{await tenant.id_of(DIALOGUE)}/items", body)
    return str(added["data"][0]["id"])


async def _response(tenant: Tenant) -> str:
    body = {"model": await tenant.id_of(AGENT), "input": "Say yes."}
    return str((await tenant.post("/responses", body))["id"])


async def _run(tenant: Tenant) -> str:
    body = {"agent_id": await tenant.id_of(AGENT), "content": "Say yes."}
    return str((await tenant.post("/chat/message", body))["run_id"])


async def _collection(tenant: Tenant) -> str:
    body = {"name": f"private-{secrets.token_hex(4)}"}
    return str((await tenant.post("/vectors/collections", body))["name"])


async def _record(tenant: Tenant) -> str:
    item = {"id": f"record-{secrets.token_hex(4)}", "text": "mine"}
    body = {"collection": await tenant.id_of(COLLECTION), "items": [item]}
    return str((await tenant.post("/vectors/store", body))["ids"][0])


async def _alias(tenant: Tenant) -> str:
    name = f"alias-{secrets.token_hex(4)}"
    made = await tenant.call("PUT", f"{API}/vectors/aliases/{name}", json={"collection": await _collection(tenant)})
    assert made.is_success, made.text
    return name


async def _file(tenant: Tenant) -> str:
    made = await tenant.call("POST", f"{API}/vectors/files", files={"file": ("mine.txt", b"mine")})
    assert made.is_success, made.text
    return str(made.json()["id"])


async def _tool(tenant: Tenant) -> str:
    name, body = f"tool_{secrets.token_hex(4)}", {"kind": "http", "description": "mine", "url": "https://example.com/"}
    made = await tenant.call("PUT", f"{API}/agents/tools/{name}", json=body)
    assert made.is_success, made.text
    return name


async def _secret(tenant: Tenant) -> str:
    name = f"SECRET_{secrets.token_hex(4)}"
    made = await tenant.call(
        "PUT", f"{API}/agents/secrets/{name}", json={"value": "mine-alone", "hosts": ["example.com"]}
    )
    assert made.is_success, made.text
    return name


async def _task(tenant: Tenant) -> str:
    tomorrow = datetime.now(UTC) + timedelta(days=1)  # it stays queued, so that a cancel would show
    return str((await tenant.post("/tasks/submit", {"kind": "echo", "run_at": tomorrow.isoformat()}))["id"])


async def _schedule(tenant: Tenant) -> str:
    body = {"name": "mine", "kind": "echo", "cron": "0 0 1 1 *"}
    return str((await tenant.post("/tasks/schedules", body))["id"])


async def _webhook(tenant: Tenant) -> str:
    body = {"url": f"http://localhost/{secrets.token_hex(4)}", "events": ["webhook.disabled"]}
    return str((await tenant.post("/tasks/webhooks", body))["id"])


async def _delivery(tenant: Tenant) -> str:
    """Once it has failed for the first time: the webhook says so, and changes no more by itself."""
    path = f"/tasks/webhooks/{await tenant.id_of(WEBHOOK)}"
    made = await tenant.post(f"{path}/test", {})
    async with asyncio.timeout(60):
        while (await tenant.call("GET", API + path)).json()["failing_since"] is None:  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.1)
    return str(made["id"])


async def _api_key(tenant: Tenant) -> str:
    return str((await tenant.post("/auth/api-keys", {"name": "mine", "scopes": ["agents:read"]}))["id"])


async def _invitation(tenant: Tenant) -> str:
    body = {"email": f"{secrets.token_hex(4)}@example.com", "role": "viewer"}
    return str((await tenant.post("/auth/invitations", body))["id"])


async def _member(tenant: Tenant) -> str:
    return tenant.user.user_id


async def _tenant(tenant: Tenant) -> str:
    return tenant.user.tenant_id


AGENT: Final = Kind("agent", _agent, ("/agents/{agent}", "/agents/{agent}/versions", "/agents/{agent}/relations"))
CONVERSATION: Final = Kind(
    "conversation",
    _conversation,
    ("/chat/conversations/{conversation}", "/chat/conversations/{conversation}/messages"),
    makers=("member", "owner"),
)
DIALOGUE: Final = Kind(
    "OpenAI conversation",
    _dialogue,
    ("/conversations/{OpenAI conversation}", "/conversations/{OpenAI conversation}/items"),
    f"conv_{MISSING_ID}",
    makers=("member", "owner"),
    is_listed=False,
)
ITEM: Final = Kind(
    "item",
    _item,
    ("/conversations/{OpenAI conversation}/items/{item}",),
    f"msg_{MISSING_ID}",
    makers=("member", "owner"),
    is_listed=False,
)
RESPONSE: Final = Kind(
    "response",
    _response,
    ("/responses/{response}", "/responses/{response}/input_items"),
    f"resp_{MISSING_ID}",
    makers=("member", "owner"),
    is_listed=False,
)
RUN: Final = Kind("run", _run, ("/chat/runs/{run}",), makers=("member", "owner"))
COLLECTION: Final = Kind("collection", _collection, ("/vectors/collections/{collection}",), "missing")
RECORD: Final = Kind("record", _record, ("/vectors/collections/{collection}/records/{record}",), "missing")
ALIAS: Final = Kind("alias", _alias, ("/vectors/aliases/{alias}",), "missing")
FILE: Final = Kind("file", _file, ("/vectors/files/{file}", "/vectors/files"))
TOOL: Final = Kind("tool", _tool, ("/agents/tools/{tool}",), "missing")
SECRET: Final = Kind("secret", _secret, ("/agents/secrets",), "missing")
TASK: Final = Kind("task", _task, ("/tasks/status/{task}",), makers=("member", "owner"), also=("owner",))
SCHEDULE: Final = Kind(
    "schedule",
    _schedule,
    ("/tasks/schedules/{schedule}", "/tasks/schedules/{schedule}/runs"),
    makers=("member", "owner"),
)
WEBHOOK: Final = Kind("webhook", _webhook, ("/tasks/webhooks/{webhook}",), makers=("member", "owner"), also=("owner",))
DELIVERY: Final = Kind(
    "delivery",
    _delivery,
    ("/tasks/webhooks/{webhook}",),
    makers=("member", "owner"),
    also=("owner",),
    is_listed=False,
)
API_KEY: Final = Kind("API key", _api_key, ("/auth/api-keys",), makers=("viewer", "member", "owner"))
INVITATION: Final = Kind("invitation", _invitation, ("/auth/invitations",))
MEMBER: Final = Kind("member", _member, ("/auth/members",))
TENANT: Final = Kind("tenant", _tenant, ("/auth/me",))
KINDS: Final = (
    AGENT,
    CONVERSATION,
    DIALOGUE,
    ITEM,
    RESPONSE,
    RUN,
    COLLECTION,
    RECORD,
    ALIAS,
    FILE,
    TOOL,
    SECRET,
    TASK,
    SCHEDULE,
    WEBHOOK,
    DELIVERY,
    API_KEY,
    INVITATION,
    MEMBER,
    TENANT,
)

# --- Where ids stand --------------------------------------------------------------------------------------------------

# A parameter of a path, by the path up to it: what lies below `/agents/{id}/…` needs no line of its own.
IN_PATHS: Final[dict[str, Kind | None]] = {
    "/api/v1/agents/{id}": AGENT,
    "/api/v1/agents/{id}/versions/{version}": None,  # a number within the agent
    "/api/v1/agents/{id}/relations/{type}": None,  # one of three words
    "/api/v1/agents/{id}/relations/{type}/{other_id}": AGENT,
    "/api/v1/agents/tools/{name}": TOOL,
    "/api/v1/agents/secrets/{name}": SECRET,
    "/api/v1/chat/conversations/{id}": CONVERSATION,
    "/api/v1/conversations/{conversation_id}": DIALOGUE,
    "/api/v1/conversations/{conversation_id}/items/{item_id}": ITEM,
    "/api/v1/responses/{response_id}": RESPONSE,
    "/api/v1/chat/runs/{id}": RUN,
    "/api/v1/chat/runs/{id}/approvals/{call_id}": None,  # a call within the run
    "/api/v1/models/{model}": AGENT,  # or a model, which is everybody's
    "/api/v1/vectors/collections/{name}": COLLECTION,
    "/api/v1/vectors/collections/{name}/records/{record_id}": RECORD,
    "/api/v1/vectors/aliases/{name}": ALIAS,
    "/api/v1/vectors/files/{file_id}": FILE,
    "/api/v1/files/{file_id}": FILE,
    "/api/v1/vector_stores/{vector_store_id}": COLLECTION,
    "/api/v1/vector_stores/{vector_store_id}/files/{file_id}": FILE,
    "/api/v1/vector_stores/{vector_store_id}/file_batches/{batch_id}": None,  # a batch within the store
    "/api/v1/tasks/status/{task_id}": TASK,
    "/api/v1/tasks/schedules/{id}": SCHEDULE,
    "/api/v1/tasks/webhooks/{id}": WEBHOOK,
    "/api/v1/tasks/webhooks/{id}/deliveries/{delivery_id}": DELIVERY,
    "/api/v1/tasks/{id}": TASK,
    "/api/v1/auth/api-keys/{id}": API_KEY,
    "/api/v1/auth/invitations/{id}": INVITATION,
    "/api/v1/auth/members/{user_id}": MEMBER,
}
# A member of a body, by its place, or by `operation:place` where the same name means different things.
IN_BODIES: Final[dict[str, Kind | None]] = {
    "agent_id": AGENT,
    "start_id": AGENT,
    "conversation_id": CONVERSATION,
    "message_id": None,  # a message within the conversation
    "chat_complete:model": AGENT,
    "chat_create_response:model": AGENT,
    "previous_response_id": RESPONSE,
    "chat_create_response:input[].id": None,  # as an answer had it, or of a stored one (test_response_items.py)
    "chat_compact_response:input[].id": None,
    "chat_compact_response:model": AGENT,
    "chat_create_response:previous_response_id": None,  # not beside a conversation, and looked up as to compact it
    "chat_create_response:conversation": DIALOGUE,
    "chat_create_response:conversation.id": None,  # the same as `conversation`
    "tools[].vector_store_ids": None,  # searched later with the caller's rights (test_file_search.py)
    "tools[].vector_store_ids[]": None,
    "input[].results[].file_id": None,
    "input[].content[].file_id": None,  # of an image, and refused whatever it says
    "items[].content[].file_id": None,
    "input[].content[].annotations[].file_id": None,
    "input[].output[].annotations[].file_id": None,
    "input[].summary[].annotations[].file_id": None,
    "items[].content[].annotations[].file_id": None,
    "items[].output[].annotations[].file_id": None,
    "input[].call_id": None,  # of what the body itself tells, and the response before
    "input[].citations[].collection": None,
    "input[].citations[].record_id": None,
    "messages[].tool_calls[].id": None,  # of the history that the body itself tells
    "messages[].tool_call_id": None,
    "messages[].citations[].collection": None,
    "messages[].citations[].record_id": None,
    "chat_begin_conversation:items[].id": None,  # as an answer had it; not kept
    "chat_add_items:items[].id": None,
    "items[].call_id": None,  # of what a conversation tells
    "items[].citations[].collection": None,
    "items[].citations[].record_id": None,
    "collection": COLLECTION,
    "searches[].collection": COLLECTION,
    "knowledge[]": COLLECTION,
    "agent.knowledge[]": COLLECTION,
    "after.ids[]": TASK,
    "parent_id": TASK,
    "ids[]": RECORD,
    "vectors_store:items[].id": RECORD,
    "vectors_create_collection:name": COLLECTION,
    "auth_token:tenant_id": TENANT,
    "client_id": None,  # a client's own name, proved by its secret
    "vectors.import:file_id": FILE,
    "vectors_attach_file:file_id": FILE,
    "attached_as.file_id": None,  # held against what is attached to the collection, which decides whose it is
    "attached_as.version": None,
    "file_ids[]": FILE,
    "files[].file_id": None,  # instead of `file_ids`, and looked up alike
    "vectors.ingest:documents[].file_id": None,  # read later as the user; another's fails the task (tests/e2e)
    "vectors.ingest:documents[].id": None,  # one's own name for a document; the collection decides whose it is
}
# A parameter of a query that only leaves out of a list of the caller's own what does not have this id.
FILTERS: Final = {
    ("tasks_list", "parent_id"),
    ("agents_list", "knowledge"),
    ("chat_list_conversations", "agent_id"),
}
_NAMES_A_RECORD = re.compile(r"(^|_)ids?$|^(collections?|knowledge|subject|member|owner|tenant)$")

# What a request needs beside the ids and the required members with examples.
BODIES: Final[dict[str, Callable[[User], dict[str, Any]]]] = {
    "auth_token": lambda user: {"grant_type": "password", "username": user.email, "password": user.password},
    "tasks_submit": lambda _: {"kind": "echo", "after": {}},
    "vectors_store": lambda _: {"items": [{"text": "theirs"}]},
    "vectors_search": lambda _: {"query": "mine"},
    "vectors_search_batch": lambda _: {"searches": [{"query": "mine"}]},
    "vectors_delete": lambda _: {"ids": ["none"]},
    "vectors_search_vector_store": lambda _: {"query": "mine"},
}
# What stands in headers of a request, and its body where that is no object.
PIECES: Final[dict[str, dict[str, Any]]] = {
    "vectors_append_to_file": {
        "headers": {
            "Content-Type": "application/offset+octet-stream",
            "Tus-Resumable": "1.0.0",
            "Upload-Offset": "0",
        },
        "content": b"theirs",
    },
}
# Where an id of nothing is not answered with 404, and what it is answered with.
TOLERANT: Final[dict[tuple[str, str], int]] = {
    ("auth_token", "tenant_id"): 401,  # like wrong credentials
    ("agents_create", "knowledge[]"): 201,  # named, not checked: it may be made later
    ("agents_update", "knowledge[]"): 200,
    ("agents_import", "agent.knowledge[]"): 201,
    ("agents_put_tool", "name"): 201,  # names are unique within a tenant only
    ("agents_put_secret", "name"): 201,
    ("vectors_create_collection", "name"): 201,  # names are unique within a tenant only
    ("vectors_point_alias", "name"): 201,  # likewise
    ("vectors_store", "collection"): 200,  # made when missing
    ("vectors_store", "items[].id"): 200,
    ("vectors_delete", "ids[]"): 200,  # nothing of that id to delete
}


@dataclass(frozen=True)
class Place:
    """Where an operation takes an id, and of what; `kind` is None where the table does not know."""

    where: str
    name: str
    kind: Kind | None


def places(operation: Operation) -> list[Place]:
    """Every place of an id in the operation. Raises UnknownPlace for one that the table does not know."""
    found = list(_in_path(operation))
    _has_none_in_its_query(operation)
    for schema in operation.bodies.values():
        found += in_body(operation.id, schema)
    return found


class UnknownPlace(Exception):
    """Add the place to the table above."""


def _in_path(operation: Operation) -> Iterator[Place]:
    for found in re.finditer(r"\{(\w+)\}", operation.path):
        up_to = operation.path[: found.end()]
        if up_to not in IN_PATHS:
            raise UnknownPlace(f"{operation}: {up_to}")
        if kind := IN_PATHS[up_to]:
            yield Place("path", found[1], kind)


def _has_none_in_its_query(operation: Operation) -> None:
    for parameter in operation.parameters:
        is_known = (operation.id, parameter["name"]) in FILTERS
        if parameter["in"] == "query" and not is_known and _NAMES_A_RECORD.search(parameter["name"]):
            raise UnknownPlace(f"{operation}: query {parameter['name']}")


def in_body(owner: str, schema: Schema) -> Iterator[Place]:
    """The same for a body, or for the input of a kind of task, of the operation or kind `owner`."""
    for place, part in dict(fields(schema)).items():
        named = f"{owner}:{place}" if f"{owner}:{place}" in IN_BODIES else place
        if named in IN_BODIES:
            if kind := IN_BODIES[named]:
                yield Place("body", place, kind)
        elif _could_be_an_id(place, part) and f"{place}[]" not in IN_BODIES:
            raise UnknownPlace(f"{owner}: body {place}")


def _could_be_an_id(place: str, schema: Schema) -> bool:
    name = place.removesuffix("[]").rpartition(".")[2]
    return bool(_NAMES_A_RECORD.search(name)) or schema.get("format") == "uuid"


def put(body: dict[str, Any], place: str, value: str) -> None:
    """`value` at `place` of `body`: `agent_id`, `ids[]`, `items[].id`."""
    name, _, rest = place.partition(".")
    if rest:
        inside = body[name.removesuffix("[]")]
        put(inside[0] if name.endswith("[]") else inside, rest, value)
    elif name.endswith("[]"):
        body[name.removesuffix("[]")] = [value]
    else:
        body[name] = value
