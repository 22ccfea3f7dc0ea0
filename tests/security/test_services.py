"""S14: a service on its own account is nobody on a user's route; work for a user has the user's rights and no more."""

import httpx
import pytest

from local.suite import Suite
from services.topology import CLIENTS
from tests.fixtures.identity import RegisterUser, service_headers
from tests.security.test_revocation import PROBES


@pytest.mark.parametrize("service", CLIENTS)
async def test_a_services_own_token_opens_no_users_route(
    gateway: httpx.AsyncClient, suite: Suite, service: str
) -> None:
    headers = await service_headers(gateway, suite, service)

    answers = {name: await gateway.get(path, headers=headers) for name, path in PROBES.items()}

    assert {answer.status_code for answer in answers.values()} == {403}
    assert {answer.json()["code"] for answer in answers.values()} == {"common.missing_scope"}


async def test_work_done_later_has_no_more_rights_than_its_user_gave_it(
    gateway: httpx.AsyncClient, register_user: RegisterUser
) -> None:
    """The key may submit and may not write vectors: so may not what it submits."""
    user = await register_user()
    body = {"name": "submitter", "scopes": ["tasks:read", "tasks:write"]}
    key = (await gateway.post("/api/v1/auth/api-keys", json=body, headers=user.headers)).json()["key"]
    task = {"kind": "vectors.ingest", "input": {"collection": "tea", "documents": [{"text": "Tea."}]}}

    answer = await gateway.post("/api/v1/tasks/submit", json=task, headers={"X-API-Key": key})

    assert (answer.status_code, answer.json()["code"]) == (403, "common.missing_scope")
    assert "vectors:write" in answer.json()["detail"]
