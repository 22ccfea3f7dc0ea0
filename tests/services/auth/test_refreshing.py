"""A refresh token has one successor, given to whoever asks for it in time; asking later ends the session."""

import asyncio
from collections import Counter

import httpx
import jwt
import pytest
from sqlalchemy import text

from local.suite import Suite
from services.auth.entry.sessions import refreshing
from services.auth.models import RefreshToken
from shared.postgres import Database
from tests.fixtures.apps import open_service
from tests.fixtures.commits import commits_lost
from tests.fixtures.identity import User, register_with

TOKEN, ME = "/api/v1/auth/token", "/api/v1/auth/me"


async def ask(client: httpx.AsyncClient, token: str) -> httpx.Response:
    return await client.post(TOKEN, data={"grant_type": "refresh_token", "refresh_token": token})


async def refreshed(client: httpx.AsyncClient, token: str) -> dict[str, str]:
    answer = await ask(client, token)
    assert answer.status_code == 200, answer.text
    pair: dict[str, str] = answer.json()
    return pair


async def change(database: Database, user: User, changes: str) -> None:
    """Change what is kept of the user's refresh tokens: `SET ... WHERE ...`."""
    mine = "session_id IN (SELECT id FROM login_session WHERE user_id = :user_id)"
    async with database.transaction() as session:
        await session.execute(text(f"UPDATE refresh_token {changes} AND {mine}"), {"user_id": user.user_id})


A_SECOND = 60
"""A minute here: a machine may stand still for as long as an answer may be asked for again."""


@pytest.fixture(autouse=True)
def long_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refreshing, "_SAME_ANSWER", A_SECOND * refreshing._SAME_ANSWER)


async def age_uses(database: Database, user: User, *, seconds: int) -> None:
    """Have the user's refresh tokens been used some (long) seconds earlier."""
    earlier = seconds * A_SECOND
    await change(database, user, f"SET used_at = used_at - make_interval(secs => {earlier}) WHERE true")


async def is_over(client: httpx.AsyncClient, pair: dict[str, str]) -> bool:
    """Whether neither token of the pair works any more; a session that goes on has used the one that refreshes."""
    me = await client.get(ME, headers={"Authorization": f"Bearer {pair['access_token']}"})
    return {me.status_code, (await ask(client, pair["refresh_token"])).status_code} == {401}


async def test_of_fifty_parallel_refreshes_all_get_one_successor(client: httpx.AsyncClient) -> None:
    user = await register_with(client)()

    answers = await asyncio.gather(*(ask(client, user.refresh_token) for _ in range(50)))

    assert Counter(answer.status_code for answer in answers) == {200: 50}
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1
    assert len({answer.json()["access_token"] for answer in answers}) == 50


async def test_replicas_give_the_same_successor(suite: Suite) -> None:
    suite.up(["postgres", "redis-cache"])
    open_replica = open_service(suite, is_watched=False)
    async with open_replica("auth") as one, open_replica("auth") as other:
        user = await register_with(one)()
        first = await asyncio.gather(*(ask(replica, user.refresh_token) for replica in [one, other] * 10))
        [token] = {answer.json()["refresh_token"] for answer in first}
        second = await asyncio.gather(*(ask(replica, token) for replica in [other, one] * 10))

    assert Counter(answer.status_code for answer in first + second) == {200: 40}
    assert len({answer.json()["refresh_token"] for answer in second}) == 1


async def test_two_tabs_that_always_refresh_at_once_go_on(client: httpx.AsyncClient, database: Database) -> None:
    """Four times an hour, for an hour and more; between two rounds lies a quarter of an hour."""
    user = await register_with(client)()
    tabs = [user.refresh_token, user.refresh_token]
    for _ in range(6):
        tabs = [pair["refresh_token"] for pair in await asyncio.gather(*(refreshed(client, token) for token in tabs))]
        await age_uses(database, user, seconds=900)

    assert tabs[0] == tabs[1]


async def test_a_lost_answer_may_be_asked_for_again_for_ten_seconds(
    client: httpx.AsyncClient, database: Database
) -> None:
    user = await register_with(client)()
    lost = await refreshed(client, user.refresh_token)
    await age_uses(database, user, seconds=5)

    again = [await refreshed(client, user.refresh_token) for _ in range(3)]

    assert {pair["refresh_token"] for pair in again} == {lost["refresh_token"]}
    await refreshed(client, lost["refresh_token"])


async def test_a_crash_between_commit_and_answer_loses_no_session(client: httpx.AsyncClient) -> None:
    user = await register_with(client)()
    with commits_lost("refresh_token"):
        unheard = await ask(client, user.refresh_token)

    successor = await refreshed(client, user.refresh_token)

    assert unheard.status_code == 503
    assert await refreshed(client, user.refresh_token) | {"access_token": ""} == successor | {"access_token": ""}


async def test_each_answer_holds_the_scopes_it_was_asked_for(client: httpx.AsyncClient) -> None:
    user = await register_with(client)()
    form = {"grant_type": "refresh_token", "refresh_token": user.refresh_token}

    asked = [(await client.post(TOKEN, data=form | {"scope": one})).json() for one in ("agents:read", "chat:read")]
    beyond = await client.post(TOKEN, data=form | {"scope": "admin"})

    assert [pair["scope"] for pair in asked] == ["agents:read", "chat:read"]
    assert asked[0]["refresh_token"] == asked[1]["refresh_token"]
    assert (beyond.status_code, beyond.json()["error"]) == (422, "invalid_scope")


async def test_a_repetition_after_the_successor_was_used_ends_the_session(client: httpx.AsyncClient) -> None:
    user = await register_with(client)()
    second = await refreshed(client, user.refresh_token)
    third = await refreshed(client, second["refresh_token"])

    replayed = await ask(client, user.refresh_token)

    assert (replayed.status_code, replayed.json()["code"]) == (401, "auth.refresh_token_refused")
    assert await is_over(client, third)
    assert (await client.get(ME, headers=user.headers)).status_code == 401


async def test_after_ten_seconds_a_repetition_is_a_theft(client: httpx.AsyncClient, database: Database) -> None:
    user = await register_with(client)()
    successor = await refreshed(client, user.refresh_token)
    await age_uses(database, user, seconds=11)

    replayed = await asyncio.gather(*(ask(client, user.refresh_token) for _ in range(10)))

    assert Counter(answer.status_code for answer in replayed) == {401: 10}
    assert await is_over(client, successor)


async def test_no_access_token_outlives_its_session(client: httpx.AsyncClient, database: Database) -> None:
    user = await register_with(client)()
    async with database.transaction() as session:
        query = "UPDATE login_session SET expires_at = now() + interval '1 minute' WHERE user_id = :user_id"
        await session.execute(text(query), {"user_id": user.user_id})

    pair = await refreshed(client, user.refresh_token)

    claims = jwt.decode(pair["access_token"], options={"verify_signature": False})
    assert int(pair["expires_in"]) <= 60
    assert claims["exp"] - claims["iat"] <= 60


async def test_a_theft_is_in_the_audit_log_once(
    client: httpx.AsyncClient, database: Database, admin: dict[str, str]
) -> None:
    user = await register_with(client)()
    pair = await refreshed(client, user.refresh_token)
    await age_uses(database, user, seconds=11)
    for _ in range(2):
        await ask(client, user.refresh_token)

    session_id = jwt.decode(pair["access_token"], options={"verify_signature": False})["sid"]
    asked = {"action": "session.token_reused", "actor": user.user_id}
    entries = (await client.get("/api/v1/auth/audit", params=asked, headers=admin)).json()["items"]

    assert [(entry["actor"], entry["target"]) for entry in entries] == [(user.user_id, session_id)]


async def test_a_successor_that_cannot_be_made_again_is_no_theft(client: httpx.AsyncClient, database: Database) -> None:
    """It was made under another secret, or at random by an earlier release."""
    user = await register_with(client)()
    pair = await refreshed(client, user.refresh_token)
    await change(database, user, "SET token_hash = sha256(token_hash) WHERE parent_id IS NOT NULL")

    refused = await ask(client, user.refresh_token)

    me = await client.get(ME, headers={"Authorization": f"Bearer {pair['access_token']}"})
    assert (refused.status_code, me.status_code) == (401, 200)


async def test_a_token_that_an_earlier_release_took_out_of_use_ends_the_session(
    client: httpx.AsyncClient, database: Database
) -> None:
    user = await register_with(client)()
    await change(database, user, "SET superseded_at = now() WHERE true")

    assert (await ask(client, user.refresh_token)).status_code == 401
    assert (await client.get(ME, headers=user.headers)).status_code == 401


async def test_an_expired_refresh_token_is_refused_from_that_moment(
    client: httpx.AsyncClient, database: Database
) -> None:
    user = await register_with(client)()
    statement = text("UPDATE login_session SET expires_at = clock_timestamp() WHERE user_id = :user_id")
    async with database.transaction() as session:
        await session.execute(statement, {"user_id": user.user_id})

    assert (await ask(client, user.refresh_token)).status_code == 401


async def test_the_database_holds_no_token(client: httpx.AsyncClient, database: Database) -> None:
    """Neither one that was given out nor one that the next use will give."""
    user = await register_with(client)()
    tokens = [user.refresh_token]
    for _ in range(2):
        tokens.append((await refreshed(client, tokens[-1]))["refresh_token"])

    async with database.session() as session:
        columns = ", ".join(f"refresh_token.{column.name}::text" for column in RefreshToken.__table__.columns)
        statement = f"SELECT {columns} FROM refresh_token JOIN login_session ON login_session.id = session_id"  # noqa: S608
        rows = await session.execute(text(f"{statement} WHERE user_id = :user_id"), {"user_id": user.user_id})
        kept = [str(value) for row in rows for value in row]

    assert len(kept) >= 3
    assert [token for token in tokens for value in kept if token in value or token.encode().hex() in value] == []


async def test_a_logout_that_meets_a_refresh_leaves_no_token_alive(client: httpx.AsyncClient) -> None:
    user = await register_with(client)()

    answers = await asyncio.gather(
        ask(client, user.refresh_token), client.post("/api/v1/auth/logout", headers=user.headers)
    )

    if answers[0].status_code == 200:
        successor = await ask(client, answers[0].json()["refresh_token"])
        assert successor.status_code == 401
    assert answers[1].status_code == 204
