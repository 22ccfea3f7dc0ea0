"""What every answer has, whoever gives it: no browser guesses what it is, and a page may read how to become known."""

import httpx
import pytest

from local.suite import Suite
from tests.architecture.apps import APPS
from tests.fixtures.inside import client_of
from tests.security.spec import OPERATIONS, Operation

ELSEWHERE = ("/docs", "/docs/errors", "/docs/assets/reference.js", "/docs/nothing", "/api/v1/openapi.json", "/nowhere")


def sniffing(answer: httpx.Response) -> list[str]:
    return answer.headers.get_list("x-content-type-options")


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
async def test_no_answer_of_an_operation_is_guessed_at(gateway: httpx.AsyncClient, operation: Operation) -> None:
    assert sniffing(await gateway.request(operation.method, operation.filled())) == ["nosniff"]


@pytest.mark.parametrize("path", ELSEWHERE)
async def test_no_page_or_document_is_guessed_at(gateway: httpx.AsyncClient, path: str) -> None:
    assert sniffing(await gateway.get(path)) == ["nosniff"]


@pytest.mark.parametrize("name", APPS)
async def test_nothing_private_is_guessed_at(gateway: httpx.AsyncClient, suite: Suite, name: str) -> None:
    async with client_of(suite, name) as client:
        answers = [await client.get(path) for path in ("/health/live", "/health/ready", "/metrics", "/nowhere")]

    assert [sniffing(answer) for answer in answers] == [["nosniff"]] * 4


async def test_a_page_elsewhere_may_read_which_credential_is_asked_for(gateway: httpx.AsyncClient) -> None:
    answer = await gateway.get("/api/v1/auth/me", headers={"Origin": "https://app.example"})

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert "WWW-Authenticate" in answer.headers["access-control-expose-headers"].split(",")
