"""`make up OBSERVE=1`: the trace of a real request is shown at the address that is printed."""

import asyncio
import time
from collections.abc import AsyncIterator
from html import unescape

import httpx
import pytest

from local import farewell
from local.components.traces import COLLECTOR, Traces, page
from local.suite import Suite
from tests.fixtures.identity import User
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.settings import told

API = "/api/v1"


@pytest.fixture(scope="module")
async def observed(suite: Suite, gateway: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    """The gateway of a suite that is observed."""
    with told(suite, SUTAZAI_OBSERVE="on"):
        await asyncio.to_thread(suite.up)
        yield gateway


async def shown(address: str, parts: set[str]) -> str:
    """The page at `address`, once all of these are in it."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as browser:
        while True:
            text = unescape((await browser.get(address)).text)
            if missing := {part for part in parts if part not in text}:
                assert time.monotonic() < give_up_at, (missing, text)
                await asyncio.sleep(0.2)
                continue
            return text


@pytest.mark.timeout(300)
async def test_a_request_is_shown_from_the_gateway_to_the_store(
    suite: Suite, observed: httpx.AsyncClient, user: User
) -> None:
    answer = await observed.get(f"{API}/agents/list", headers=user.headers)
    trace_id = answer.headers["x-trace-id"]

    listed = await shown(page(suite.site), {f"traces/{trace_id}", "gateway: GET agents-list"})
    one = await shown(f"{page(suite.site)}traces/{trace_id}", {"agents: GET /api/v1/agents/list", "agents: READ neo4j"})

    assert answer.status_code == 200
    assert one.index("gateway: GET") < one.index("agents: GET") < one.index("agents: READ neo4j")
    assert user.email not in listed + one
    assert "access/changes" not in listed  # which nobody asked for
    assert page(suite.site) in farewell.text(suite.site)
    assert "traces" in {status.component for status in suite.status()}


def test_it_is_there_where_it_is_asked_for_and_the_caller_has_none(suite: Suite) -> None:
    def is_wanted(**settings: str) -> bool:
        with told(suite, **settings):
            return Traces().is_wanted(suite.site)

    assert not is_wanted(SUTAZAI_OBSERVE="off")
    assert is_wanted(SUTAZAI_OBSERVE="on")
    assert not is_wanted(SUTAZAI_OBSERVE="on", **{COLLECTOR: "http://collector.internal:4318"})
