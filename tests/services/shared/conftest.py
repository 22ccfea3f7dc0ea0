"""Somebody who hears what services tell auth."""

import asyncio
from collections.abc import AsyncIterator
from importlib import import_module

import pytest

from local.suite import Suite
from shared.messages import open_connection
from tests.fixtures.brokers import own_broker
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.services.shared.hearing import Heard


@pytest.fixture
async def heard(suite: Suite, patient_publishing: None, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Heard]:
    """At a broker where nothing is told but by the test, and that is told all, once, however busy the machine is."""
    monkeypatch.setattr(import_module("shared.identity.telling"), "_LAST_SECONDS", PATIENCE_SECONDS)
    url = await own_broker(suite)
    async with open_connection(url, "test hears") as connection:
        heard = Heard(connection, url)
        heard.consumer.start()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await heard.is_bound.wait()
        yield heard
        await heard.consumer.aclose()
