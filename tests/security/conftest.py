"""Callers for the proofs: tokens and keys with exactly the scopes a test is about."""

import math
import shutil
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from local import certificates
from local.secrets import ADMIN_EMAIL
from local.suite import Suite
from tests.fixtures.identity import RENEWED_AFTER_SECONDS, User
from tests.security.spec import FOR_ADMINS, PROTECTED

Headers = dict[str, str]
LogIn = Callable[[frozenset[str]], Awaitable[Headers]]
EVERY_SCOPE = frozenset(scope for operation in PROTECTED for scope in operation.scopes)


async def token(gateway: httpx.AsyncClient, username: str, password: str, scopes: frozenset[str]) -> str:
    form = {"grant_type": "password", "username": username, "password": password, "scope": " ".join(sorted(scopes))}
    answer = await gateway.post("/api/v1/auth/token", data=form)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


@pytest.fixture(scope="session")
def as_admin(gateway: httpx.AsyncClient, suite: Suite) -> LogIn:
    """The headers of an administrator with these scopes and no others; one login each, as long as its token lives."""
    known: dict[frozenset[str], tuple[float, Headers]] = {}

    async def log_in(scopes: frozenset[str]) -> Headers:
        issued_at, headers = known.get(scopes, (-math.inf, {}))
        if time.monotonic() - issued_at > RENEWED_AFTER_SECONDS:
            access = await token(gateway, ADMIN_EMAIL, suite.secrets.admin_password, scopes)
            headers = {"Authorization": f"Bearer {access}"}
            known[scopes] = time.monotonic(), headers
        return headers

    return log_in


async def api_key(gateway: httpx.AsyncClient, headers: Headers, scopes: frozenset[str]) -> str:
    body = {"name": "every scope", "scopes": sorted(scopes)}
    answer = await gateway.post("/api/v1/auth/api-keys", json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["key"])


@pytest.fixture(scope="session")
async def user_key(gateway: httpx.AsyncClient, user: User) -> str:
    """A user's API key with all that a user may do."""
    return await api_key(gateway, user.headers, EVERY_SCOPE - FOR_ADMINS)


@pytest.fixture(scope="session")
async def admin_key(gateway: httpx.AsyncClient, as_admin: LogIn) -> str:
    """An administrator's API key with every scope there is."""
    return await api_key(gateway, await as_admin(EVERY_SCOPE), EVERY_SCOPE)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The suite's authority, and a certificate of it for every process."""
    directory = tmp_path_factory.mktemp("certificates")
    certificates.put_missing(directory)
    return directory


@pytest.fixture(scope="session")
def strange(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same of somebody else."""
    directory = tmp_path_factory.mktemp("strange")
    certificates.put_missing(directory, processes=["auth", "agents"])
    return directory


@pytest.fixture
def own(made: Path, tmp_path: Path) -> Path:
    """Those of the suite, to be changed by a test."""
    return Path(shutil.copytree(made, tmp_path / "own"))
