"""S22: within a tenant, what is personal is its maker's; to another member of any role it is not there.

The second dimension of `test_tenants.py`: two members of one tenant, in each role, for every operation with an id.
"""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from local.layout import REPOSITORY
from local.suite import Suite
from services.auth.trust.scopes import Role
from tests.fixtures.identity import RegisterUser
from tests.fixtures.letters import Letters
from tests.security.belongings import AGENT, API, CONVERSATION, KINDS, Kind, Place, Tenant, places
from tests.security.spec import OPERATIONS, Operation
from tests.security.test_tenants import Attempt, ask, end_of, is_for_admins, seen
from tests.services.auth.tenancy import joining

pytestmark = pytest.mark.timeout(400)
PERSONAL = [kind for kind in KINDS if kind.is_personal]
ROLES = [str(role) for role in Role]
ROW = re.compile(r"^\| ([A-Za-z ]+) \| (the tenant's|its maker's) \| (.*?) \|$", re.MULTILINE)


class House:
    """One tenant, with a maker and another member in each role."""

    def __init__(self, gateway: httpx.AsyncClient, makers: dict[str, Tenant], others: dict[str, Tenant]) -> None:
        self._gateway, self.makers, self.others = gateway, makers, others

    def fresh(self, role: str) -> Tenant:
        """The maker once more, with nothing made yet: for what the other may change."""
        return Tenant(self._gateway, self.makers[role].user)


@pytest.fixture(scope="session")
async def house(gateway: httpx.AsyncClient, suite: Suite, register_user: RegisterUser) -> House:
    join = joining(gateway, Letters(suite.site.layout.home / "mail"), register_user)
    founder = await register_user()

    async def one_each(first: dict[str, Tenant]) -> dict[str, Tenant]:
        return first | {role: Tenant(gateway, await join(founder, role)) for role in ROLES if role not in first}

    return House(gateway, await one_each({"owner": Tenant(gateway, founder)}), await one_each({}))


def personal_places() -> Iterator[tuple[Operation, Kind]]:
    """Every operation with a place for something personal, and what that is."""
    for operation in OPERATIONS:
        if not is_for_admins(operation):
            kinds = {one.kind for one in places(operation)}
            yield from ((operation, kind) for kind in PERSONAL if kind in kinds)


def test_the_table_says_whose_each_thing_is() -> None:
    page = (REPOSITORY / "docs" / "security.md").read_text()

    described = {found[1]: (found[2] == "its maker's", found[3]) for found in ROW.finditer(page)}

    assert {name: personal for name, (personal, _) in described.items()} == {
        kind.name: kind.is_personal for kind in KINDS
    }
    for kind in PERSONAL:
        said = described[kind.name][1]
        assert {role for role in ROLES if re.search(rf"\b{role}s?\b", said)} == set(kind.also), kind.name


async def test_the_matrix_of_two_members(house: House) -> None:
    wrong, asked = {}, 0
    for operation, kind in personal_places():
        for maker in kind.makers:
            for role, other in house.others.items():
                asked += 1
                may = role in kind.also
                owner = house.fresh(maker) if may else house.makers[maker]
                differs = await (opened if may else difference)(operation, kind, owner, other)
                if differs:
                    wrong[f"{operation}: {role} asks for a {maker}'s {kind.name}"] = differs
    print(f"matrix of two members: {asked - len(wrong)} of {asked}")  # noqa: T201

    assert wrong == {}
    assert {kind.name for _, kind in personal_places()} == {kind.name for kind in PERSONAL}


async def difference(operation: Operation, kind: Kind, maker: Tenant, other: Tenant) -> str | None:
    """What gives the maker's away to the other; None when nothing does."""
    for place in places(operation):
        if place.kind:
            await maker.id_of(place.kind)  # what is made beneath a thing may change it
    before = await maker.read(kind)
    theirs, absent = [await ask_as(other, operation, kind, maker, id) for id in (await maker.id_of(kind), kind.missing)]

    if theirs.status_code not in (403, 404):
        return f"{theirs.status_code} {theirs.text}"
    if _seen(theirs, maker, kind) != _seen(absent, maker, kind):
        return f"{theirs.status_code} {theirs.text} instead of {absent.status_code} {absent.text}"
    if await maker.read(kind) != before:
        return f"changed what is not theirs: {before}"
    return None


async def opened(operation: Operation, kind: Kind, maker: Tenant, other: Tenant) -> str | None:
    """What is in the way of a role that may; None when nothing is."""
    answer = await ask_as(other, operation, kind, maker, await maker.id_of(kind))
    if answer.is_success or answer.status_code == 409:  # let in; the thing is in no state for it
        return None
    return f"{answer.status_code} {answer.text}"


async def ask_as(caller: Tenant, operation: Operation, kind: Kind, maker: Tenant, id: str) -> httpx.Response:
    """The operation with `id` for the personal thing, and with what the tenant has for the rest."""
    ids: dict[Place, str] = {}
    for place in places(operation):
        if place.kind:
            ids[place] = id if place.kind is kind else await maker.id_of(place.kind)
    return await ask(Attempt(operation, tuple(ids), ()), caller, ids)


def _seen(answer: httpx.Response, maker: Tenant, kind: Kind) -> tuple[int, Any]:
    ids = {Place("path", kind.name, kind): maker.owned[kind.name], Place("body", kind.name, kind): kind.missing}
    return seen(answer, ids)


async def test_a_list_holds_nothing_personal_of_another_member(house: House) -> None:
    """But for the log, by which owners learn what was done in their tenant: it has ids, not what they name."""
    lists = [one for one in OPERATIONS if one.method == "GET" and "{" not in one.path and not is_for_admins(one)]
    lists = [one for one in lists if one.id != "auth_list_tenant_audit"]
    shown: set[tuple[str, str]] = set()
    for kind in PERSONAL:
        theirs = {await house.makers[maker].id_of(kind) for maker in kind.makers}
        for role, other in house.others.items():
            answers = [await other.call("GET", one.path, params=_whole(one)) for one in lists]
            assert [answer.text for answer in answers if not answer.is_success] == []
            if any(id in answer.text for answer in answers for id in theirs):
                shown.add((kind.name, role))

    assert shown == {(kind.name, role) for kind in PERSONAL if kind.is_listed for role in kind.also}


def _whole(operation: Operation) -> dict[str, str]:
    return {"limit": "100"} if any(one["name"] == "limit" for one in operation.parameters) else {}


async def test_a_task_reaches_no_conversation_of_another_member(house: House) -> None:
    maker, ends = house.makers["member"], {}
    for role in ("member", "owner"):
        for conversation in (await maker.id_of(CONVERSATION), CONVERSATION.missing):
            given = {"agent_id": await maker.id_of(AGENT), "content": "Go on.", "conversation_id": conversation}
            ends[role, conversation] = await end_of(house.others[role], "agent.run", given)

    assert {end[0] for end in ends.values()} == {"failed"}
    assert len(set(ends.values())) == 1


async def test_what_is_the_tenants_every_role_may_read(house: House) -> None:
    """Each place of it answers; its own and lists name it, what is beneath it need not."""
    maker, wrong = house.makers["owner"], {}
    for kind in KINDS:
        if kind.is_personal:
            continue
        await maker.id_of(kind)
        for role, other in house.others.items():
            for path in kind.reads:
                answer = await other.call("GET", API + path.format(**maker.owned))
                is_beneath = "}/" in path and not path.endswith("}")
                if not answer.is_success or not (is_beneath or maker.owned[kind.name] in answer.text):
                    wrong[f"{role}: {path}"] = answer.text

    assert wrong == {}
