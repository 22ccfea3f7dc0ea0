"""S3: registering an address, or having forgotten its password, tells nobody whether it has an account.

Nothing here knows what an answer ought to hold. Everything that can be measured of many real and many pretended ones is
measured, and no measure may tell the two apart: so whatever is added to the answer is held to it as well.
"""

import asyncio
import itertools
import re
import secrets
import time
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from shared.postgres import Database
from tests.fixtures.identity import RegisterUser, User, register_with
from tests.services.auth.tenancy import INVITATIONS, MEMBERS, TOKEN

REGISTER, FORGOT = "/api/v1/auth/register", "/api/v1/auth/password/forgot"
SAMPLES = 100  # of each
# So far apart are the distributions of a measure that tells nothing once in a million times, with so many samples.
CHANCE = 0.4
# What a real account costs more is written in less; a difference below the twentieth of a login is none (S3).
CLOCK_SLACK_MS = 1.5
Measures = dict[str, object]


_DISABLE = text("UPDATE user_account SET disabled_at = now() WHERE id = ANY(:ids)")
_PROVE = text("UPDATE user_account SET email_verified_at = now() WHERE id = ANY(:ids)")


@pytest.fixture(scope="module")
async def measured(shared_app: httpx.AsyncClient, database: Database) -> tuple[list[Measures], list[Measures]]:
    """What there is to see of real answers, and of pretended ones. Taken in turns, so that drift meets both."""
    taken = await taken_addresses(shared_app, database)
    real, pretended = list[Measures](), list[Measures]()
    for number in range(SAMPLES):
        pair = [(real, f"{secrets.token_hex(8)}@example.com"), (pretended, taken[number % len(taken)])]
        for found, email in pair[:: (-1) ** number]:
            found.append(await registered(shared_app, email, name="Ada" if number % 4 < 2 else None))
    return real, pretended


@pytest.fixture(scope="module")
async def forgotten(shared_app: httpx.AsyncClient, database: Database) -> tuple[list[Measures], list[Measures]]:
    """The same of passwords that were forgotten: of accounts, and of addresses that have none."""
    taken = await taken_addresses(shared_app, database)
    real, pretended = list[Measures](), list[Measures]()
    for number in range(SAMPLES):
        pair = [(real, taken[number % len(taken)]), (pretended, f"{secrets.token_hex(8)}@example.com")]
        for found, email in pair[:: (-1) ** number]:
            found.append(await asked(shared_app, FORGOT, {"email": email}))
    return real, pretended


async def taken_addresses(client: httpx.AsyncClient, database: Database) -> list[str]:
    """As long as new ones. Of people who only registered, logged in, proved their address, or were disabled."""
    users = [await register_with(client)() for _ in range(12)]
    async with database.transaction() as session:
        for change, some in ((_DISABLE, users[::3]), (_PROVE, users[::2])):
            await session.execute(change, {"ids": [user.user_id for user in some]})
    fresh = [f"{secrets.token_hex(8)}@example.com" for _ in range(10)]
    for email in fresh:
        (await client.post(REGISTER, json={"email": email, "password": "a password of its own"})).raise_for_status()
    return [*fresh, *(user.email for user in users)]


async def registered(client: httpx.AsyncClient, email: str, name: str | None) -> Measures:
    return await asked(client, REGISTER, {"email": email, "password": secrets.token_urlsafe(12), "name": name})


async def asked(client: httpx.AsyncClient, path: str, body: dict[str, str | None]) -> Measures:
    sent_ms = time.time() * 1e3
    answer = await client.post(path, json=body)
    received_ms = time.time() * 1e3
    # What comes after the answer is no part of the next one's time: a stranger cannot send so closely.
    await asyncio.gather(*(task for task in asyncio.all_tasks() if task.get_name() == "letter"))
    return dict(measures(answer, sent_ms, received_ms))


def measures(answer: httpx.Response, sent_ms: float, received_ms: float) -> Iterator[tuple[str, object]]:
    """By name; a number is compared with its likes, anything else is the same or not."""
    body = answer.json() if answer.content else {}
    yield "status", answer.status_code
    yield "headers in their order", tuple(name for name, _ in answer.headers.raw)
    yield "members in their order", tuple(body)
    for name, value in answer.headers.multi_items():
        yield f"length of {name}", len(value)
        yield f"shape of {name}", shape(value)
    for name, value in body.items():
        yield f"type of {name}", type(value)
        yield f"length of {name}", len(str(value))
        yield f"shape of {name}", shape(str(value))
    for one, other in itertools.combinations(sorted(body), 2):
        yield f"{one} < {other}", str(body[one]) < str(body[other])
    moments = {name: moment for name, value in body.items() if (moment := moment_ms(value))}
    clocks = {"sent": sent_ms, "received": received_ms}
    for (one, at), (other, then) in itertools.combinations({**moments, **clocks}.items(), 2):
        yield f"from {one} to {other}", then - at


def shape(value: str) -> str:
    """What kind of character stands where; of an id also its version and variant."""
    kinds = re.sub(r"[a-z]", "a", re.sub(r"[0-9a-f](?=[0-9a-f-]*-)|\d", "0", value))
    try:
        identity = UUID(value)
    except ValueError:
        return re.sub(r"[0a]+", "0", kinds)
    return f"{identity.version} {identity.variant}"


def moment_ms(value: object) -> float | None:
    """The time that an id or a timestamp holds."""
    try:
        return float(UUID(str(value)).int >> 80)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(str(value)).timestamp() * 1e3
    except ValueError:
        return None


def distance(one: list[object], other: list[object], slack: float) -> float:
    """How well a single look at the measure tells the two apart: 0 not at all, 1 always."""
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in [*one, *other]):
        first, second = [sorted(float(str(value)) for value in values) for values in (one, other)]
        return max(_ahead(first, second, slack), _ahead(second, first, slack))
    counts, others = Counter(one), Counter(other)
    return max(abs(counts[value] / len(one) - others[value] / len(other)) for value in counts | others)


def _ahead(first: list[float], second: list[float], slack: float) -> float:
    """Kolmogorov and Smirnov's distance, one way; what is nearer than `slack` counts as equal."""
    return max(
        bisect_right(first, value) / len(first) - bisect_right(second, value + slack) / len(second) for value in first
    )


def told_apart(real: list[Measures], pretended: list[Measures]) -> dict[str, float]:
    """The measures that tell real from pretended, and how well."""
    names = {name for one in (*real, *pretended) for name in one}
    found = {}
    for name in names:
        slack = CLOCK_SLACK_MS if re.search(r"\b(sent|received)$", name) else 0
        first, second = [[one.get(name, "absent") for one in of] for of in (real, pretended)]
        if (apart := distance(first, second, slack)) > CHANCE:
            found[name] = apart
    return found


def test_no_measure_tells_a_pretended_account_from_a_real_one(
    measured: tuple[list[Measures], list[Measures]],
) -> None:
    real, pretended = measured

    assert {one["status"] for one in real} == {201}
    assert told_apart(real, pretended) == {}


def test_no_measure_tells_whose_forgotten_password_there_is(
    forgotten: tuple[list[Measures], list[Measures]],
) -> None:
    real, pretended = forgotten

    assert {one["status"] for one in real} == {202}
    assert told_apart(real, pretended) == {}


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda one: one | {"id < tenant_id": not one["id < tenant_id"]}, "id < tenant_id"),
        (lambda one: one | {"from id to created_at": one["from id to created_at"] + 1}, "from id to created_at"),
        (lambda one: one | {"from created_at to received": one["from created_at to received"] - 20}, "from created_at"),
        (lambda one: one | {"length of x-new": 3}, "length of x-new"),
        (lambda one: one | {"headers in their order": one["headers in their order"][::-1]}, "headers in their order"),
        (lambda one: one | {"shape of id": "4 specified in RFC 4122"}, "shape of id"),
    ],
)
def test_a_difference_would_be_found(
    measured: tuple[list[Measures], list[Measures]], change: Callable[[Measures], Measures], name: str
) -> None:
    real, pretended = measured

    found = told_apart(real, [change(one) for one in pretended])

    assert any(one.startswith(name) for one in found)


async def test_what_was_pretended_leads_a_stranger_nowhere_as_what_is_real_does(
    client: httpx.AsyncClient, register_proved: RegisterUser
) -> None:
    stranger, somebody = [await register_proved() for _ in range(2)]
    emails = {"real": f"{secrets.token_hex(8)}@example.com", "pretended": somebody.email}

    outcomes = defaultdict(list)
    for kind, email in emails.items():
        made = (await client.post(REGISTER, json={"email": email, "password": "a password of its own"})).json()
        outcomes[kind] = [
            told(answer) for answer in await tried(client, stranger, made["id"], made["tenant_id"], email)
        ]

    assert outcomes["real"] == outcomes["pretended"]


async def tried(client: httpx.AsyncClient, stranger: User, id: str, tenant_id: str, email: str) -> list[httpx.Response]:
    """Everything somebody without the password can do with what the answer told."""
    wrong = {"grant_type": "password", "username": email, "password": "wrong password"}
    own = {"grant_type": "password", "username": stranger.email, "password": stranger.password, "tenant_id": tenant_id}
    invitation = {"email": email, "role": "viewer"}
    return [
        await client.post(TOKEN, data=wrong),
        await client.post(TOKEN, data=wrong | {"tenant_id": tenant_id}),
        await client.post(TOKEN, data=own),
        await client.get(f"/api/v1/auth/users/{id}", headers=stranger.headers),
        await client.patch(f"{MEMBERS}/{id}", json={"role": "viewer"}, headers=stranger.headers),
        await client.delete(f"{MEMBERS}/{id}", headers=stranger.headers),
        await client.post(INVITATIONS, json=invitation, headers=stranger.headers),
        await client.post(REGISTER, json={"email": email, "password": "another of its own"}),
        await client.post(FORGOT, json={"email": email}),
    ]


def told(answer: httpx.Response) -> tuple[object, ...]:
    """What the answer says, but for what is new in each."""
    content = answer.json() if answer.content else {}
    body = {name: value for name, value in content.items() if name not in {"trace_id", "instance"}}
    words = {name: value for name, value in body.items() if answer.is_error}
    return answer.status_code, tuple(body), str(words), [name for name, _ in answer.headers.multi_items()]
