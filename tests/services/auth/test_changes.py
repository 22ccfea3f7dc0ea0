"""What services ask for again and again: since a time that there is."""

import httpx
import pytest

from local.suite import Suite
from tests.fixtures.identity import service_headers

CHANGES = "/internal/access/changes"


@pytest.mark.parametrize(
    ("since", "status"), [("0", 200), (str(2**37), 200), (str(2**38), 422), ("-1", 422), ("nan", 422), ("inf", 422)]
)
async def test_no_time_is_beyond_the_calendar(client: httpx.AsyncClient, suite: Suite, since: str, status: int) -> None:
    service = await service_headers(client, suite, "chat")

    assert (await client.get(CHANGES, params={"since": since}, headers=service)).status_code == status
