"""A body is refused by its told length, or by what came of it; the refusal arrives, whoever still sends."""

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.fixtures.identity import User

CREATE = "/api/v1/agents/create"
JSON = {"Content-Type": "application/json"}


async def megabytes(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b" " * 2**20


async def test_a_body_without_a_length_is_counted(gateway: httpx.AsyncClient, user: User) -> None:
    answer = await gateway.post(CREATE, content=megabytes(3), headers=user.headers | JSON)

    assert (answer.status_code, answer.json()["code"]) == (413, "common.too_large")


async def test_a_body_with_a_length_is_refused_by_it(gateway: httpx.AsyncClient, user: User) -> None:
    told = {"Content-Length": str(7 * 2**20)}

    answer = await gateway.post(CREATE, content=megabytes(7), headers=user.headers | JSON | told)

    assert (answer.status_code, answer.json()["code"]) == (413, "common.too_large")


async def test_nobodys_body_is_not_read(gateway: httpx.AsyncClient) -> None:
    answer = await gateway.post(CREATE, content=megabytes(7), headers=JSON)

    assert answer.status_code == 401


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32-le"])
@pytest.mark.parametrize(
    ("path", "shape"),
    [(CREATE, ("[" * 5_000, "]" * 5_000)), ("/api/v1/vectors/search", ("[" + "[]," * 9_000, "[]]"))],
    ids=["deep", "crowded"],
)
async def test_a_body_of_another_encoding_is_refused(
    gateway: httpx.AsyncClient, user: User, encoding: str, path: str, shape: tuple[str, str]
) -> None:
    """Its bytes are no measure of what it holds: brackets stand in them as something else, or not at all."""
    text = '{"a":"∀","b":' + "".join(shape) + ',"c":"∀"}'

    answer = await gateway.post(path, content=text.encode(encoding), headers=user.headers | JSON)

    assert answer.status_code == 422
    assert answer.json()["code"] in {"common.invalid", "common.too_complex"}
