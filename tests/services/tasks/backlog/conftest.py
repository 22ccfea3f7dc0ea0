"""An installation of their own, with somebody who wants much and somebody of another tenant who wants little.

What these tests leave would come to the workers of others.
"""

from collections.abc import AsyncIterator, Callable

import pytest

from shared.postgres import Database
from tests.fixtures.identity import User
from tests.services.tasks.running import Installation, Tasks


@pytest.fixture
def limits() -> dict[str, int]:
    """How many of a kind run at once."""
    return {}


@pytest.fixture
def installation(new_installation: Callable[[], Installation], limits: dict[str, int]) -> Installation:
    return new_installation().limited(limits)


@pytest.fixture
async def greedy(installation: Installation, user: User) -> AsyncIterator[Tasks]:
    async with installation.api() as client:
        yield Tasks(client, user)


@pytest.fixture
def modest(greedy: Tasks, other_user: User) -> Tasks:
    """Of another tenant."""
    return Tasks(greedy.client, other_user)


@pytest.fixture
async def database(installation: Installation, greedy: Tasks) -> AsyncIterator[Database]:
    async with installation.database() as opened:
        yield opened
