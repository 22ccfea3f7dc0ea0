"""S12: whatever takes an id answers one of another tenant like one that never was, and changes nothing of it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from local.suite import Suite
from tests.fixtures.identity import RegisterUser, User
from tests.security.belongings import (
    API,
    BODIES,
    KINDS,
    PIECES,
    TOLERANT,
    Place,
    Tenant,
    UnknownPlace,
    in_body,
    places,
    put,
)
from tests.security.spec import FOR_ADMINS, OPERATIONS, Operation, example

pytestmark = pytest.mark.timeout(400)
Ids = dict[Place, str]
WITHOUT_ID = {"tasks_create_schedule": "its ids stand in the inputs of the kinds, which are asked below"}
FINAL = {"succeeded", "failed", "cancelled", "expired"}


@pytest.fixture(scope="session")
async def house(gateway: httpx.AsyncClient, register_user: RegisterUser) -> Tenant:
    """Whose records nobody else uses: of a key it is noted within a minute, and shown, when it was used last."""
    return Tenant(gateway, await register_user())


@pytest.fixture
def owner(house: Tenant, suite: Suite) -> Tenant:
    house.user.renew(suite)
    return house


@pytest.fixture(scope="session")
async def stranger(gateway: httpx.AsyncClient, other_user: User) -> Tenant:
    return Tenant(gateway, other_user)


@dataclass(frozen=True)
class Attempt:
    """One request with ids of another: at all places, or at one with the caller's own at the others."""

    operation: Operation
    foreign: tuple[Place, ...]
    own: tuple[Place, ...]

    @property
    def expected(self) -> int:
        """What an id that never was is answered with."""
        answers = [TOLERANT.get((self.operation.id, place.name), 404) for place in self.foreign]
        return max(answers)

    def __str__(self) -> str:
        return f"{self.operation} with a foreign {', '.join(place.name for place in self.foreign)}"


def attempts(operation: Operation, found: list[Place]) -> Iterator[Attempt]:
    yield Attempt(operation, tuple(found), ())
    if len(found) > 1:
        for place in found:
            yield Attempt(operation, (place,), tuple(other for other in found if other is not place))


def is_for_admins(operation: Operation) -> bool:
    return bool(FOR_ADMINS & set(operation.scopes))


async def test_the_two_tenant_matrix(
    gateway: httpx.AsyncClient, owner: Tenant, stranger: Tenant, register_user: RegisterUser
) -> None:
    with_id, unknown, skipped = {}, [], {}
    for operation in OPERATIONS:
        try:
            if is_for_admins(operation):
                skipped[str(operation)] = "for administrators, who see all tenants; nobody else passes its scope"
            elif not (found := places(operation)):
                skipped[str(operation)] = WITHOUT_ID.get(operation.id, "takes no id")
            else:
                with_id[operation] = found
        except UnknownPlace as error:
            unknown.append(str(error))

    async def newcomer() -> Tenant:
        return Tenant(gateway, await register_user())

    wrong, proven = {}, 0
    for operation, found in with_id.items():
        for attempt in attempts(operation, found):
            if differs := await difference(attempt, owner, stranger, newcomer):
                wrong[str(attempt)] = differs
        proven += not any(str(operation) in attempt for attempt in wrong)
    print(f"two-tenant matrix: {proven} of {len(with_id) + len(unknown)} operations with an id")  # noqa: T201
    for name, reason in skipped.items():
        print(f"  not in it: {name}: {reason}")  # noqa: T201

    assert (unknown, wrong) == ([], {})
    assert proven == len(with_id) > 0


async def difference(
    attempt: Attempt, owner: Tenant, stranger: Tenant, newcomer: Callable[[], Awaitable[Tenant]]
) -> str | None:
    """What gives a foreign id away; None when nothing does."""
    kinds = [place.kind for place in attempt.foreign if place.kind]
    foreign = {place: await owner.id_of(kind) for place in attempt.foreign if (kind := place.kind)}
    before = [await owner.read(kind) for kind in kinds]
    missing = {place: kind.missing for place in attempt.foreign if (kind := place.kind)}
    # Where the answer is no refusal it has effects, which the next request must not meet.
    callers = [stranger, stranger] if attempt.expected == 404 else [await newcomer(), await newcomer()]

    theirs, absent = [await ask(attempt, caller, ids) for caller, ids in zip(callers, (foreign, missing), strict=True)]

    if absent.status_code != attempt.expected:
        return f"an id that never was: {absent.status_code} {absent.text}, expected {attempt.expected}"
    if seen(theirs, foreign) != seen(absent, missing):
        return f"{theirs.status_code} {theirs.text} instead of {absent.status_code} {absent.text}"
    if [await owner.read(kind) for kind in kinds] != before:
        return f"changed what is not theirs: {before}"
    return None


async def ask(attempt: Attempt, caller: Tenant, ids: Ids) -> httpx.Response:
    given = dict(ids)
    for place in attempt.own:
        if place.kind:
            given[place] = await caller.id_of(place.kind)
    path = attempt.operation.filled({place.name: value for place, value in given.items() if place.where == "path"})
    request: dict[str, Any] = dict(PIECES.get(attempt.operation.id, {}))
    for media_type, schema in attempt.operation.bodies.items():
        if media_type.endswith("octet-stream"):  # the same in another form, or a piece of a file
            continue
        needed = BODIES.get(attempt.operation.id)
        body = example(schema) | (needed(caller.user) if needed else {})
        for place, value in given.items():
            if place.where == "body":
                put(body, place.name, value)
        request["json" if media_type.endswith("json") else "data"] = body
    return await caller.call(attempt.operation.method, path, **request)


def seen(answer: httpx.Response, ids: Ids) -> tuple[int, Any]:
    """What a caller sees, without what differs between any two requests."""
    if answer.is_success:
        return answer.status_code, shape(answer.json()) if answer.content else None
    if answer.request.method == "HEAD":
        return answer.status_code, None
    text = answer.text
    for value in ids.values():
        text = text.replace(value, "…")
    problem = httpx.Response(answer.status_code, text=text).json()
    return answer.status_code, {name: member for name, member in problem.items() if name != "trace_id"}


def shape(value: Any) -> Any:
    match value:
        case dict():
            return {name: shape(member) for name, member in value.items()}
        case list():
            return [shape(member) for member in value[:1]]
        case int() | float() if not isinstance(value, bool):
            return "number"
        case _:
            return type(value).__name__


async def test_a_list_holds_nothing_of_another_tenant(owner: Tenant, stranger: Tenant) -> None:
    theirs = {await owner.id_of(kind) for kind in KINDS}
    lists = [one for one in OPERATIONS if one.method == "GET" and "{" not in one.path and not is_for_admins(one)]

    answers = {str(one): await stranger.call("GET", one.path) for one in lists}

    assert {name for name, answer in answers.items() if any(one in answer.text for one in theirs)} == set()
    assert {name for name, answer in answers.items() if not answer.is_success} == set()


async def test_a_task_reaches_no_further_than_its_caller(
    gateway: httpx.AsyncClient, owner: Tenant, register_user: RegisterUser
) -> None:
    """The same for the ids in the inputs of tasks, where the answer is how the task ends."""
    kinds = (await owner.call("GET", f"{API}/tasks/kinds")).json()["items"]
    wrong, asked = {}, 0
    for kind in kinds:
        schema = inlined(kind["input_schema"], kind["input_schema"].get("$defs", {}))
        for place in in_body(kind["name"], schema):
            assert place.kind
            before = await owner.read(place.kind)
            ends = []
            for value in (await owner.id_of(place.kind), place.kind.missing):
                newcomer = Tenant(gateway, await register_user())
                given = example(schema)
                for other in in_body(kind["name"], schema):
                    if other.kind and (other.name in schema["required"] or other == place):
                        put(given, other.name, value if other == place else await newcomer.id_of(other.kind))
                ends.append(await end_of(newcomer, kind["name"], given))
            asked += 1
            if ends[0] != ends[1] or await owner.read(place.kind) != before:
                wrong[f"{kind['name']}: {place.name}"] = ends

    assert wrong == {}
    assert asked


async def end_of(tenant: Tenant, kind: str, given: dict[str, Any]) -> tuple[str, str | None]:
    task = await tenant.post("/tasks/submit", {"kind": kind, "input": given, "max_attempts": 1})
    async with asyncio.timeout(60):
        while task["status"] not in FINAL:
            await asyncio.sleep(0.05)
            task = (await tenant.call("GET", f"{API}/tasks/status/{task['id']}")).json()
    return task["status"], task["error"] and task["error"]["code"]


def inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    match schema:
        case {"$ref": str(reference)}:
            return inlined(definitions[reference.rpartition("/")[2]], definitions)
        case dict():
            return {name: inlined(part, definitions) for name, part in schema.items() if name != "$defs"}
        case list():
            return [inlined(part, definitions) for part in schema]
    return schema
