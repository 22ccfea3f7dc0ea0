"""S22: a task is its submitter's; others of the tenant see it where they hold `tasks:tenant`, as owners do."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.fixtures.identity import RegisterUser, User
from tests.services.auth.tenancy import Join
from tests.services.tasks.running import Tasks

TASKS = "/api/v1/tasks"
MISSING = "01890a5d-ac96-774b-bcce-b302099a8057"


async def answers(api: httpx.AsyncClient, user: User, task_id: str) -> list[tuple[int, Any]]:
    """What the user is answered who follows and cancels the task."""
    asked = [("GET", f"{TASKS}/status/{task_id}"), ("POST", f"{TASKS}/{task_id}/cancel")]
    found = [await api.request(method, path, headers=user.headers) for method, path in asked]
    differing = {"instance", "trace_id"}
    return [
        (one.status_code, {name: value for name, value in one.json().items() if name not in differing}) for one in found
    ]


async def listed(api: httpx.AsyncClient, user: User) -> list[str]:
    page = await api.get(f"{TASKS}/list", params={"limit": 100}, headers=user.headers)
    return [one["id"] for one in page.raise_for_status().json()["items"]]


@pytest.mark.parametrize("role", ["viewer", "member"])
async def test_to_another_member_a_task_is_not_there(
    api: httpx.AsyncClient, register_user: RegisterUser, join: Join, role: str
) -> None:
    owner = await register_user()
    submitter, other = await join(owner, "member"), await join(owner, role)
    task = await Tasks(api, submitter).submit("echo", {"text": "between us"})

    assert await answers(api, other, task["id"]) == await answers(api, other, MISSING)
    assert (await answers(api, other, task["id"]))[0][0] == 404
    assert await listed(api, other) == []
    assert await listed(api, submitter) == [task["id"]]


async def test_an_owner_sees_and_cancels_what_the_tenant_has(
    api: httpx.AsyncClient, register_user: RegisterUser, join: Join
) -> None:
    owner = await register_user()
    member = await join(owner, "member")
    task = await Tasks(api, member).submit("echo", run_at=(datetime.now(UTC) + timedelta(hours=1)).isoformat())

    read, cancelled = await answers(api, owner, task["id"])

    assert (read[0], read[1]["submitted_by"]) == (200, member.user_id)
    assert (cancelled[0], cancelled[1]["status"]) == (200, "cancelled")
    assert await listed(api, owner) == [task["id"]]


async def test_an_owner_who_left_the_right_out_sees_their_own(
    api: httpx.AsyncClient, register_user: RegisterUser, join: Join
) -> None:
    owner = await register_user(scope="tasks:read tasks:write members:write members:read")
    member = await join(owner, "member")
    theirs, mine = await Tasks(api, member).submit("echo"), await Tasks(api, owner).submit("echo")

    assert (await answers(api, owner, theirs["id"]))[0][0] == 404
    assert await listed(api, owner) == [mine["id"]]


async def test_a_cursor_of_ones_own_list_is_none_of_the_tenants(
    api: httpx.AsyncClient, auth: httpx.AsyncClient, register_user: RegisterUser
) -> None:
    owner = await register_user()
    for _ in range(2):
        await Tasks(api, owner).submit("echo")
    page = (await api.get(f"{TASKS}/list?limit=1", headers=owner.headers)).json()
    form = {"grant_type": "password", "username": owner.email, "password": owner.password, "scope": "tasks:read"}
    token = (await auth.post("/api/v1/auth/token", data=form)).raise_for_status().json()["access_token"]

    url = f"{TASKS}/list?limit=1&cursor={page['next_cursor']}"
    answer = await api.get(url, headers={"Authorization": f"Bearer {token}"})

    assert answer.status_code == 422
