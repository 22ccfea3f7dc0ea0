"""Lists of agents: pages, filters, search."""

from typing import Any

import httpx
import pytest

from tests.fixtures.identity import RegisterUser, User
from tests.services.agents.conftest import AGENTS, Create


@pytest.fixture
async def owner(register_user: RegisterUser) -> User:
    """A tenant without agents."""
    return await register_user()


async def names(client: httpx.AsyncClient, owner: User, **params: Any) -> list[str]:
    answer = await client.get(f"{AGENTS}/list", params=params, headers=owner.headers)
    assert answer.status_code == 200, answer.text
    return [agent["name"] for agent in answer.json()["items"]]


async def test_a_list_shows_whole_agents_newest_first(client: httpx.AsyncClient, owner: User, create: Create) -> None:
    agents = [await create(f"Agent {number}", by=owner, capabilities=["sums"]) for number in range(3)]

    answer = await client.get(f"{AGENTS}/list", headers=owner.headers)

    assert answer.json() == {"items": agents[::-1], "next_cursor": None}


async def test_pages_are_stable_while_others_write(client: httpx.AsyncClient, owner: User, create: Create) -> None:
    agents = [await create(f"Agent {number}", by=owner) for number in range(7)]
    seen: list[str] = []
    params: dict[str, Any] = {"limit": 3}
    for number in range(3):
        page = (await client.get(f"{AGENTS}/list", params=params, headers=owner.headers)).json()
        seen += [agent["name"] for agent in page["items"]]
        params["cursor"] = page["next_cursor"]
        await create(f"Late {number}", by=owner)
        await client.delete(f"{AGENTS}/{agents[6 - 3 * number]['id']}", headers=owner.headers)

    assert seen == [f"Agent {number}" for number in range(6, -1, -1)]
    assert params["cursor"] is None


async def test_a_change_does_not_move_an_agent(client: httpx.AsyncClient, owner: User, create: Create) -> None:
    agents = [await create(f"Agent {number}", by=owner) for number in range(2)]

    await client.patch(f"{AGENTS}/{agents[0]['id']}", json={"model": "m"}, headers=owner.headers)

    assert await names(client, owner) == ["Agent 1", "Agent 0"]


async def test_a_tenant_sees_its_own(client: httpx.AsyncClient, owner: User, other_user: User, create: Create) -> None:
    await create("Hidden treasure", by=other_user, capabilities=["digging"], knowledge=["maps"])

    assert await names(client, owner) == []
    assert await names(client, owner, capability="digging") == []
    assert await names(client, owner, knowledge="maps") == []
    assert await names(client, owner, capability="digging", knowledge="maps") == []
    assert await names(client, owner, q="treasure") == []
    assert await names(client, owner, q="treasure", capability="digging") == []


async def test_a_capability_filters_by_what_the_current_version_has(
    client: httpx.AsyncClient, owner: User, create: Create
) -> None:
    first = await create("First", by=owner, capabilities=["email", "sums"])
    await create("Second", by=owner, capabilities=["email"])
    await create("Third", by=owner)
    assert await names(client, owner, capability="email") == ["Second", "First"]

    await client.patch(f"{AGENTS}/{first['id']}", json={"capabilities": ["sums", "mail"]}, headers=owner.headers)

    assert await names(client, owner, capability="email") == ["Second"]
    assert await names(client, owner, capability="mail") == ["First"]
    assert await names(client, owner, capability="sums") == ["First"]


@pytest.mark.parametrize(
    ("parameter", "field", "one", "another", "third"),
    [
        ("knowledge", "knowledge", "laws", "letters", "notes"),
        ("tool", "tools", "vectors.search", "tasks.submit", "agents.delegate"),
    ],
)
async def test_a_name_filters_by_what_the_current_version_has(
    client: httpx.AsyncClient,
    owner: User,
    create: Create,
    parameter: str,
    field: str,
    one: str,
    another: str,
    third: str,
) -> None:
    first = await create("First", by=owner, **{field: [one, another]})
    await create("Second", by=owner, **{field: [one]})
    await create("Third", by=owner)
    gone = await create("Gone", by=owner, **{field: [one]})
    assert await names(client, owner, **{parameter: one}) == ["Gone", "Second", "First"]

    await client.patch(f"{AGENTS}/{first['id']}", json={field: [another, third]}, headers=owner.headers)
    await client.delete(f"{AGENTS}/{gone['id']}", headers=owner.headers)

    assert await names(client, owner, **{parameter: one}) == ["Second"]
    assert await names(client, owner, **{parameter: third}) == ["First"]
    assert await names(client, owner, **{parameter: "nothing"}) == []


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("invoice", ["Post office", "Invoice assistant"]),
        ("INV", ["Post office", "Invoice assistant"]),
        ("inv ass", ["Invoice assistant"]),
        ("e-mail", ["Post office"]),
        ("supplier invoices", ["Post office"]),
        ("発票", ["発票アシスタント"]),
        ("voice", []),
        ("invoice nothing", []),
        ("c++", ["C++ reviewer"]),
        ("reviewer OR invoice", []),
        ("name:invoice", []),
        ("*", []),
        ('" \\ ) (', []),
        ("AND", []),
    ],
)
async def test_search_finds_every_word_or_its_beginning(
    client: httpx.AsyncClient, owner: User, create: Create, typed: str, found: list[str]
) -> None:
    await create("Invoice assistant", by=owner)
    await create("Post office", by=owner, description="Sends supplier invoices by e-mail.")
    await create("発票アシスタント", by=owner)
    await create("C++ reviewer", by=owner)

    assert await names(client, owner, q=typed) == found


async def test_search_follows_a_change(client: httpx.AsyncClient, owner: User, create: Create) -> None:
    agent = await create("Before", by=owner, description="about apples")

    await client.patch(f"{AGENTS}/{agent['id']}", json={"name": "After", "description": None}, headers=owner.headers)

    assert await names(client, owner, q="after") == ["After"]
    assert await names(client, owner, q="apples") == []


async def test_filters_combine_and_page(client: httpx.AsyncClient, owner: User, create: Create) -> None:
    for number in range(4):
        await create(f"Bot {number}", by=owner, capabilities=["sums"] if number % 2 else ["sums", "email"])
    params: dict[str, Any] = {"q": "bot", "capability": "email", "limit": 1}

    first = (await client.get(f"{AGENTS}/list", params=params, headers=owner.headers)).json()
    second = await names(client, owner, **params, cursor=first["next_cursor"])

    assert [first["items"][0]["name"], *second] == ["Bot 2", "Bot 0"]


@pytest.mark.parametrize("rare", ["capability", "knowledge", "tool"])
async def test_whichever_name_is_rare_all_filters_hold_on_all_pages(
    client: httpx.AsyncClient, owner: User, create: Create, rare: str
) -> None:
    fields = {"capability": "capabilities", "knowledge": "knowledge", "tool": "tools"}
    wanted = {"capability": "sums", "knowledge": "laws", "tool": "vectors.search"}
    everything = {field: [wanted[parameter]] for parameter, field in fields.items()}
    for number in range(6):
        await create(f"Bot {number}", by=owner, **everything | ({fields[rare]: []} if number % 2 else {}))
    params: dict[str, Any] = wanted | {"limit": 2}

    first = (await client.get(f"{AGENTS}/list", params=params, headers=owner.headers)).json()
    second = await names(client, owner, **params, cursor=first["next_cursor"])
    searched = await names(client, owner, **params | {"q": "bot", "limit": 9})

    assert [agent["name"] for agent in first["items"]] == ["Bot 4", "Bot 2"]
    assert (second, searched) == (["Bot 0"], ["Bot 4", "Bot 2", "Bot 0"])


async def test_pages_by_a_name_are_stable_while_others_write(
    client: httpx.AsyncClient, owner: User, create: Create
) -> None:
    agents = [await create(f"Agent {number}", by=owner, tools=["vectors.search"]) for number in range(6)]
    params: dict[str, Any] = {"tool": "vectors.search", "limit": 3}
    first = (await client.get(f"{AGENTS}/list", params=params, headers=owner.headers)).json()

    await create("Late", by=owner, tools=["vectors.search"])
    await client.delete(f"{AGENTS}/{agents[3]['id']}", headers=owner.headers)
    await client.patch(f"{AGENTS}/{agents[1]['id']}", json={"model": "m"}, headers=owner.headers)

    assert await names(client, owner, **params, cursor=first["next_cursor"]) == ["Agent 2", "Agent 1", "Agent 0"]


async def test_a_cursor_belongs_to_its_tenant_and_filters(
    client: httpx.AsyncClient, owner: User, user: User, create: Create
) -> None:
    for number in range(2):
        await create(f"Agent {number}", by=owner)
    page = (await client.get(f"{AGENTS}/list", params={"limit": 1}, headers=owner.headers)).json()
    cursor = page["next_cursor"]

    answers = [
        await client.get(f"{AGENTS}/list", params={"cursor": cursor, "q": "agent"}, headers=owner.headers),
        await client.get(f"{AGENTS}/list", params={"cursor": cursor, "tool": "t"}, headers=owner.headers),
        await client.get(f"{AGENTS}/list", params={"cursor": cursor}, headers=user.headers),
        await client.get(f"{AGENTS}/list", params={"cursor": "x" + cursor}, headers=owner.headers),
    ]

    assert [(answer.status_code, answer.json()["errors"][0]["pointer"]) for answer in answers] == [
        (422, "query/cursor")
    ] * 4


@pytest.mark.parametrize(
    "params",
    [
        *({"limit": 0}, {"limit": 101}, {"capability": "Not A Slug"}, {"q": " "}, {"q": "x" * 101}, {"q": "a\x00"}),
        *({"q": "\x1c"}, {"q": "a\x1cb"}, {"q": "\x1f".join("abcdefghijklmnop")}),
        *({"knowledge": "Not A Collection"}, {"knowledge": "k" * 64}, {"tool": "no tool"}, {"tool": "t" * 130}),
    ],
)
async def test_bad_parameters_are_refused(client: httpx.AsyncClient, owner: User, params: dict[str, Any]) -> None:
    answer = await client.get(f"{AGENTS}/list", params=params, headers=owner.headers)

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, f"query/{next(iter(params))}")
